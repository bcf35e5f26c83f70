"""An index without vectors, of texts with a kind each: what commands need that search by words alone."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage

SCHEMA = IndexSchema(dense=None, sparse=None, keyword_fields=("kind",))


def filled_by_words(connection: Connection, index: str, texts: Mapping[str, str]) -> str:
    """Creates the index, one document of one passage for each text, and returns its name; ``zlib`` is no function."""
    create_index(connection, index, SCHEMA)
    lines = b""
    for id_, text in texts.items():
        passage = Passage(Document(id_, text, {"kind": "class" if id_ == "zlib" else "function"}), 0, 0, len(text))
        lines += index_action(index, EncodedPassage(passage, None, None), connection.dialect, SCHEMA)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, index)
    return index
