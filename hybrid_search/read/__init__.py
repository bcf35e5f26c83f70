"""Sources of documents: what they look like, and how they are read one record at a time."""

from hybrid_search.read.beir import Qrels, is_beir, qrels, queries
from hybrid_search.read.sources import documents, records

__all__ = ["Qrels", "documents", "is_beir", "qrels", "queries", "records"]
