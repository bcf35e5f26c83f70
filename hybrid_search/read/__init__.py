"""Sources of documents: what they look like, and how they are read one record at a time."""
