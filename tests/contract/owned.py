"""An index that its owner made, for tests: what it holds, and how it is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import NDJSON, Request

PREFIX = {"elasticsearch": "es", "opensearch": "os"}

MAPPINGS: dict[str, Any] = {
    "properties": {
        "headline": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "body": {"type": "text"},
        "brand": {"type": "keyword"},
        "year": {"type": "integer"},
        "published": {"type": "date"},
    }
}


def article(number: int, **changes: Any) -> dict[str, Any]:
    """Words that differ, two brands, a year and a day for each document."""
    return {
        "headline": f"Headline {number} of many",
        "body": f"The body w{number} speaks of thing {number} and of nothing else.",
        "brand": "Sony" if number % 2 else "Canon",
        "year": 2000 + number % 20,
        "published": f"2024-01-{1 + number % 28:02}",
        **changes,
    }


def make(connection: Connection, index: str, mappings: Mapping[str, Any] | None = None, **settings: Any) -> None:
    """An empty index."""
    body = {"mappings": mappings or MAPPINGS, "settings": {"index.number_of_replicas": 0, **settings}}
    connection.send(Request.json("PUT", f"/{index}", body))


def write(connection: Connection, index: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write documents by their ids, and let them be found."""
    lines = b"".join(
        orjson.dumps({"index": {"_index": index, "_id": id_}}) + b"\n" + orjson.dumps(source) + b"\n"
        for id_, source in documents.items()
    )
    answer = connection.send(Request("POST", "/_bulk", {"refresh": "true"}, lines, NDJSON))
    assert not answer["errors"], answer


def delete(connection: Connection, index: str, ids: Iterable[str]) -> None:
    """Delete documents."""
    lines = b"".join(orjson.dumps({"delete": {"_index": index, "_id": id_}}) + b"\n" for id_ in ids)
    connection.send(Request("POST", "/_bulk", {"refresh": "true"}, lines, NDJSON))


def source_of(connection: Connection, index: str) -> str:
    """The index as a source is named."""
    return f"{PREFIX[connection.dialect.engine]}:{index}"
