"""Facets over all matches: aggregations, and what engines answer to them.

Documents are counted, not their passages, of which an engine knows alone. All passages of a document have its fields,
so that what passes a filter is counted by each document's first passage: exactly. Words match passages: there the
engine tells documents apart by their ids (``cardinality``, an estimate), unless no passage but first ones matched.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.fields import filter_kinds
from hybrid_search.found import FacetCounts, Value
from hybrid_search.records import IndexSchema
from hybrid_search.search.facets import Dates, Facet, MinMax, Ranges, Terms
from hybrid_search.search.facets_counted import shown_terms
from hybrid_search.search.facets_found import extreme, interval, ranges
from hybrid_search.search.legs import Body

PRECISION = 10_000
"""Documents up to which an engine tells them apart nearly exactly; it takes some 8 bytes for each, and each bucket."""

DOCUMENTS, PASSAGES, OWN, MISSING, CHOSEN = "documents", "passages", "facet", "missing", "chosen"
FIRST = {"term": {layout.PASSAGE: 0}}


@dataclass(frozen=True, slots=True)
class Grouped:
    """Facets that one search counts, by their names.

    Attributes:
        query: the clause whose matches are counted.
        facets: what of them.
        by_passage: the clause says which passages match, not which documents.
        selected: the values that the filter names, by facet.
        without_own_filter: the facet's own conditions are left out.
    """

    query: Mapping[str, Any]
    facets: Sequence[Facet]
    by_passage: bool
    selected: Mapping[str, Collection[Value]] = field(default_factory=dict)
    without_own_filter: bool = False

    def body(self, schema: IndexSchema, within: float) -> Body:
        """The whole search body, for an engine that may take ``within`` seconds."""
        attached = schema.attached is not None
        query = self.query if self.by_passage or attached else {"bool": {"filter": [FIRST, self.query]}}
        every = {"value_count": {"field": "_index" if attached else layout.DOC_ID}}
        aggregations = {DOCUMENTS: _distinct() if self.by_passage and not attached else every}
        if self.by_passage and not attached:
            aggregations[PASSAGES] = {"max": {"field": layout.PASSAGE}}
        for number, facet in enumerate(self.facets):
            for part, asked in self._parts(facet, schema).items():
                aggregations[f"{part}-{number}"] = asked
        return {
            "query": query,
            "size": 0,
            "track_total_hits": False,
            "timeout": f"{round(within * 1000)}ms",
            "aggs": aggregations,
        }

    def _parts(self, facet: Facet, schema: IndexSchema) -> dict[str, Body]:
        path = layout.field_path(facet.field, schema)
        inner = {"aggs": {DOCUMENTS: _distinct()}} if self.by_passage and schema.attached is None else {}
        overfetch = self.by_passage and schema.attached is None
        asked = {OWN: _asked(facet, path, schema, overfetch=overfetch), MISSING: {"missing": {"field": path}}}
        if chosen := self.selected.get(facet.called, ()):
            include = sorted(chosen, key=str)
            asked[CHOSEN] = {"terms": {"field": path, "include": include, "size": len(include)}}
        return {part: one if "stats" in one else {**one, **inner} for part, one in asked.items()}

    def read(self, found: Mapping[str, Any], schema: IndexSchema, *, whole: bool) -> dict[str, FacetCounts]:
        """The counts, by the names of the facets; KeyError, TypeError or ValueError where the answer is none.

        ``whole`` says that all shards have answered to the end.
        """
        estimated = self.by_passage and schema.attached is None and (found[PASSAGES]["value"] or 0) > 0
        reading = _Reading(found, estimated, whole, schema, self)
        return {facet.called: reading.counts(number, facet) for number, facet in enumerate(self.facets)}


def _distinct() -> Body:
    return {"cardinality": {"field": layout.DOC_ID, "precision_threshold": PRECISION}}


def _asked(facet: Facet, path: str, schema: IndexSchema, *, overfetch: bool) -> Body:
    """The aggregation of one facet."""
    match facet:
        case Terms(size=size):
            wanted = max(4 * size, 50) if overfetch else size
            order = [{"_count": "desc"}, {"_key": "asc"}]
            most = {"size": wanted, "shard_size": max(2 * wanted, 200), "order": order}
            return {"terms": {"field": path, "collect_mode": "breadth_first", **most}}
        case Ranges(edges=edges):
            dates = filter_kinds(schema)[facet.field] == "date"
            bounds = zip([None, *edges], [*edges, None], strict=True)
            asked = [_bounds(place, *bound, dates=dates) for place, bound in enumerate(bounds)]
            if dates:
                return {"date_range": {"field": path, "format": "epoch_millis", "ranges": asked}}
            return {"range": {"field": path, "ranges": asked}}
        case Dates(interval=by, time_zone=time_zone):
            return {
                "date_histogram": {"field": path, "calendar_interval": by, "time_zone": time_zone, "min_doc_count": 1}
            }
        case _:
            return {"stats": {"field": path}}


def _bounds(place: int, start: Any, end: Any, *, dates: bool) -> Body:
    given = {"from": start, "to": end}
    return {"key": str(place), **{at: str(v) if dates else v for at, v in given.items() if v is not None}}


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer, and how its buckets are to be read."""

    found: Mapping[str, Any]
    estimated: bool
    whole: bool
    schema: IndexSchema
    group: Grouped

    def counts(self, number: int, facet: Facet) -> FacetCounts:
        own, kind = self.found[f"{OWN}-{number}"], filter_kinds(self.schema)[facet.field]
        read: dict[str, Any] = {"exact": self.whole and not self.estimated}
        lost = 0
        match facet:
            case Terms():
                read |= self._terms(number, facet, own, kind)
            case Ranges():
                by_place = {bucket["key"]: self._documents(bucket) for bucket in own["buckets"]}
                read["values"] = ranges(facet, kind, [by_place[str(n)] for n in range(len(facet.edges) + 1)])
            case Dates():
                made = [(interval(facet, int(b["key"]), self._documents(b)), b) for b in own["buckets"]]
                read["values"] = tuple(value for value, _ in made if value is not None)
                lost = sum(self._documents(bucket) for value, bucket in made if value is None)
            case MinMax():
                ends = {"minimum": own["min"], "maximum": own["max"]} if own["count"] else {}
                read |= {name: extreme(end, kind) for name, end in ends.items()}
        return FacetCounts(
            facet.field,
            facet.kind,
            facet.counts,
            int(self.found[DOCUMENTS]["value"]),
            self._documents(self.found[f"{MISSING}-{number}"]) + lost,
            without_own_filter=self.group.without_own_filter,
            **read,
        )

    def _documents(self, bucket: Mapping[str, Any]) -> int:
        return int(bucket[DOCUMENTS]["value"] if self.estimated else bucket["doc_count"])

    def _terms(self, number: int, facet: Terms, own: Mapping[str, Any], kind: str) -> dict[str, Any]:
        chosen = self.found[f"{CHOSEN}-{number}"]["buckets"] if f"{CHOSEN}-{number}" in self.found else []
        counted = {_key(bucket, kind): self._documents(bucket) for bucket in (*own["buckets"], *chosen)}
        selected = self.group.selected.get(facet.called, ())
        values, rest = shown_terms(facet, counted, selected)
        unseen = int(own["sum_other_doc_count"])
        if chosen:
            listed = {_key(bucket, kind) for bucket in own["buckets"]}
            unseen -= sum(int(b["doc_count"]) for b in chosen if _key(b, kind) not in listed)
        sure = self.whole and not self.estimated and own.get("doc_count_error_upper_bound", 0) == 0
        return {"values": values, "others": None if self.estimated and unseen else rest + unseen, "exact": sure}


def _key(bucket: Mapping[str, Any], kind: str) -> Value:
    key = bucket["key"]
    if kind != "number":
        return str(key)
    return int(key) if float(key).is_integer() else float(key)
