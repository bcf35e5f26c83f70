"""What keeps an index right after a load: compare, remove, send again."""
