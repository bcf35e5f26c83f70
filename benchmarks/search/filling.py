"""The index of the search benchmarks: made once for each number of documents, and kept."""

from __future__ import annotations

from pathlib import Path

from corpus import CarriedVectors, MixedCorpus
from msgspec.structs import replace

from hybrid_search.engine import Connection
from hybrid_search.engine.indices import exists
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.settings import DocumentSettings, Settings

FIELDS = DocumentSettings(keyword=("group",), number=("number",))


def filled(connection: Connection, settings: Settings, count: int, recorded: Path) -> str:
    """The name of an index of ``count`` mixed documents."""
    index = f"benchmark-mixed-{count}"
    if not exists(connection, index):
        documents = MixedCorpus(count, recorded).documents()
        index_documents(documents, index, connection, CarriedVectors(), replace(settings, documents=FIELDS))
    return index
