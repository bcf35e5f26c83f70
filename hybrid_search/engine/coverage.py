"""How much of an index has vectors of its models: what was loaded without has them later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hybrid_search.engine import layout
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import ADMIN_TIMEOUT, VECTORS_LATER, read_meta, update_meta
from hybrid_search.engine.protocols import Request
from hybrid_search.records import IndexSchema


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of how many passages (of documents, in an index that others own) the vectors are there."""

    vectors: int
    of: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lacking."""
        return self.vectors >= self.of

    @property
    def share(self) -> float:
        """From 0 to 1; 1 for an empty index."""
        return self.vectors / self.of if self.of else 1.0

    def __str__(self) -> str:
        percent = int(self.share * 1000) / 10  # never 100 % where anything is lacking
        return f"{percent:g} %"


def expect_vectors_later(connection: Connection, index: str) -> None:
    """Lets passages be written that have no vectors yet: searches count them from then on.

    The field that says so is added to an index of before there was one.
    """
    added = {"properties": {layout.VECTORS: {"type": "keyword", "index": True, "doc_values": True}}}
    connection.send(Request.json("PUT", f"/{quote(index, safe='')}/_mapping", added, timeout=ADMIN_TIMEOUT))
    if not read_meta(connection, index).get(VECTORS_LATER):
        update_meta(connection, index, {VECTORS_LATER: True})


def every(schema: IndexSchema) -> dict[str, Any]:
    """What every passage, or document of another owner, matches."""
    return {"match_all": {}} if schema.attached is not None else {"exists": {"field": layout.DOC_ID}}


def lacking(schema: IndexSchema) -> dict[str, Any]:
    """What those match whose vectors are not there, or of other models than those of the index."""
    field = layout.models_field(schema)
    if schema.attached is not None:
        return {"bool": {"must_not": [{"term": {field: schema.attached.models}}]}}
    if schema.vectors is None:
        return {"term": {field: layout.LATER}}
    return {"bool": {"filter": [every(schema)], "must_not": [{"term": {field: schema.vectors}}]}}


def counting(index: str, schema: IndexSchema) -> Request:
    """The request whose answer :func:`counted` reads."""
    named = {"all": every(schema), "lacking": lacking(schema)}
    body = {"size": 0, "track_total_hits": False, "aggs": {"vectors": {"filters": {"filters": named}}}}
    return Request.json("POST", f"/{quote(index, safe='')}/_search", body)


def counted(answer: Mapping[str, Any]) -> Coverage:
    """What an engine has counted; KeyError, TypeError or ValueError where the answer is none."""
    buckets = answer["aggregations"]["vectors"]["buckets"]
    every, without = (int(buckets[name]["doc_count"]) for name in ("all", "lacking"))
    return Coverage(every - without, every)


def coverage(connection: Connection, index: str, schema: IndexSchema) -> Coverage:
    """Counts what has vectors, as of the last refresh."""
    return counted(connection.send(counting(index, schema)))
