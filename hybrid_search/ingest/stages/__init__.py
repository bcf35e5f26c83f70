"""What a load does to documents: each stage takes batches and gives batches."""
