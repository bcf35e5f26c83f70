"""The values that documents have in a keyword field, each once, in order; as many as there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.layout import PASSAGE, field_path
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMissingError, QueryError
from hybrid_search.fields import filter_kinds

MOST_AT_ONCE = 10_000
"""Values that an engine gives in one answer; it takes 65,536 at most."""

LONGEST_BEGINNING = 400
"""Characters of a beginning: the engines take patterns of 1,000, in which most signs are two."""

Counted = tuple[str, int]
"""A value, and how many documents have it."""


def values_of(
    connection: Connection,
    index: str,
    opened: OpenedIndex,
    field: str,
    query: Mapping[str, Any],
    *,
    beginning: str = "",
    descending: bool = False,
    limit: int | None = None,
) -> Iterator[Counted]:
    """The values of a keyword field that begin so, in the order of their characters, with counts of documents.

    Args:
        connection: the cluster.
        index: what was opened, by the name that it is asked for: an alias shows a part.
        opened: the index.
        field: the user's name of a keyword field.
        query: a clause that the documents match; all passages of a document match it, or none.
        beginning: what the values begin with.
        descending: the last values first.
        limit: how many at most; None for all.

    Raises:
        QueryError: no keyword field of the index, or a longer beginning than an engine takes.
        EngineError: the cluster cannot be reached, or refuses; while values are asked for.
    """
    if filter_kinds(opened.schema).get(field) != "keyword":
        raise QueryError(f"the index has no keyword field {field!r:.60}, whose values could be listed")
    if len(beginning) > LONGEST_BEGINNING:
        what = f"a beginning of {len(beginning):,} characters, and the engines take {LONGEST_BEGINNING}"
        raise QueryError(what, where=field, remedy="Give its first characters")
    order = "desc" if descending else "asc"
    listing = _Listing(connection, index, field_path(field, opened.schema), query, beginning, order)
    return islice(listing.all(limit), limit)


@dataclass(frozen=True, slots=True)
class _Listing:
    """Lists values by aggregations over first passages, of which every document has one."""

    connection: Connection
    index: str
    path: str
    query: Mapping[str, Any]
    beginning: str
    order: str

    def all(self, limit: int | None) -> Iterator[Counted]:
        """Every value, if ``limit`` is none; those behind the first :data:`MOST_AT_ONCE` page by page."""
        page = self._first(MOST_AT_ONCE if limit is None else min(limit, MOST_AT_ONCE))
        while page:
            yield from page
            page = list(self._behind(page[-1][0]))

    def _first(self, size: int) -> list[Counted]:
        asked: dict[str, Any] = {"field": self.path, "size": size, "order": {"_key": self.order}}
        if self.beginning:
            asked["include"] = f"{_literal(self.beginning)}.*"
        return [(bucket["key"], bucket["doc_count"]) for bucket in self._buckets({"terms": asked})]

    def _behind(self, value: str) -> Iterator[Counted]:
        """The next values that begin so, after one that does."""
        source = {"value": {"terms": {"field": self.path, "order": self.order}}}
        asked = {"sources": [source], "size": MOST_AT_ONCE, "after": {"value": value}}
        counted = ((bucket["key"]["value"], bucket["doc_count"]) for bucket in self._buckets({"composite": asked}))
        return takewhile(lambda one: one[0].startswith(self.beginning), counted)

    def _buckets(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        matching = {"bool": {"filter": [{"term": {PASSAGE: 0}}, self.query]}}
        body = {"query": matching, "size": 0, "track_total_hits": False, "aggs": {"values": asked}}
        path = f"/{quote(self.index, safe='')}/_search"
        try:
            answer = self.connection.send(Request.json("POST", path, body))
        except IndexMissingError:
            return []
        buckets: list[dict[str, Any]] = answer["aggregations"]["values"]["buckets"]
        return buckets


def _literal(text: str) -> str:
    """The text as a pattern of the engines in which no character is a sign."""
    return "".join(c if c.isalnum() else f"\\{c}" for c in text)
