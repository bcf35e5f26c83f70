"""Images of untrusted sources: named in records, fetched, and decoded in processes of their own."""
