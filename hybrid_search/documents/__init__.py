"""Documents of an index by their ids: put, get, find, count, delete."""

from __future__ import annotations

from hybrid_search.documents.async_client import AsyncDocumentClient
from hybrid_search.documents.client import DocumentClient

__all__ = ["AsyncDocumentClient", "DocumentClient"]
