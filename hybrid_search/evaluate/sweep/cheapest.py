"""The rows of a sweep, which of them none beats, and which is the cheapest that is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hybrid_search.evaluate.sweep.options import FLAT, Build, Way
from hybrid_search.records import Leg

Cost = Literal["memory", "disk", "latency"]

_FAISS_FACTOR = 1.1
"""What OpenSearch's documentation adds to the bytes of vectors and graph."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one way to build and search an index of one leg costs, and what it finds.

    Attributes:
        build: how it was built.
        way: how it was searched.
        recall: at ``k``, against exact search over unpruned vectors.
        p50: milliseconds of a search at the client, one at a time.
        p99: the same of the slowest hundredth.
        disk: bytes of the copy, which holds the vectors and ids of passages and nothing else.
        memory: estimated bytes to hold; None where there is no formula for the kind.
        seconds: of writing and merging to one segment.
        in_use: whether the index and the settings are as the row says.
    """

    build: Build
    way: Way
    recall: float
    p50: float
    p99: float
    disk: int
    memory: int | None
    seconds: float
    in_use: bool = False


def pareto(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other of their leg is at least as good as in recall, median latency (to .1 ms) and size."""
    return [row for row in rows if not any(_beats(other, row) for other in rows)]


def _beats(one: Row, other: Row) -> bool:
    ours, theirs = _figures(one), _figures(other)
    is_at_least = all(our <= their for our, their in zip(ours, theirs, strict=True))
    return one.build.leg == other.build.leg and is_at_least and ours != theirs


def _figures(row: Row) -> tuple[float, float, float]:
    """The less the better."""
    return -round(row.recall, 4), round(row.p50, 1), row.disk


def cheapest(rows: Sequence[Row], *, at_least: float, by: Cost = "memory", flat: bool = True) -> dict[Leg, Row]:
    """Of each leg the cheapest of the rows that find at least this share, the one of the best recall where none does.

    Equal costs are decided by latency; where memory is not known, disk takes its place. Without ``flat`` a kind that
    compares every vector is chosen only where there is no other: what it takes for a sample says nothing of the whole.
    A kind that cannot be set is not chosen.
    """
    rows = [row for row in rows if row.build.can_be_set]
    graphs = {leg: [row for row in rows if row.build.leg == leg and FLAT not in row.build.kind] for leg in _legs(rows)}
    every = {leg: [row for row in rows if row.build.leg == leg] for leg in _legs(rows)}
    return {leg: _chosen(every[leg] if flat else graphs[leg] or every[leg], at_least, by) for leg in every}


def _legs(rows: Sequence[Row]) -> list[Leg]:
    return list(dict.fromkeys(row.build.leg for row in rows))


def _chosen(rows: Sequence[Row], at_least: float, by: Cost) -> Row:
    good = [row for row in rows if row.recall >= at_least]
    return min(good, key=lambda row: (_cost(row, by), row.p50)) if good else max(rows, key=lambda row: row.recall)


def _cost(row: Row, by: Cost) -> float:
    if by == "latency":
        return row.p50
    return row.disk if by == "disk" or row.memory is None else row.memory


def memory_of(build: Build, engine: str, passages: int, dimension: int) -> int | None:
    """Bytes that a search wants in memory for the vectors of a leg and their graph; None where it is not known.

    The formulas are the vendors' own: Elasticsearch, *Tune approximate kNN search* ("ensure data nodes have enough
    memory"), OpenSearch, *Methods and engines* ("memory estimation"). Elasticsearch: dimension x 4 bytes, as int8
    dimension + 4, int4 dimension / 2 + 4, bbq dimension / 8 + 14; 4 x m for the graph. OpenSearch: 1.1 x (bytes of the
    vector + 8 x m).
    """
    vector = _vector_bytes(build.kind, engine, dimension)
    if build.leg == Leg.SPARSE or vector is None:
        return None
    if engine == "opensearch":
        return round(_FAISS_FACTOR * (vector + 8 * (build.m or 0)) * passages)
    return round((vector + 4 * (build.m or 0)) * passages)


def _vector_bytes(kind: str, engine: str, dimension: int) -> float | None:
    extra = 0 if engine == "opensearch" else 4
    sizes = {"int8": dimension + extra, "int4": dimension / 2 + extra, "bbq": dimension / 8 + 14, "fp16": 2 * dimension}
    if kind == "bbq_disk":
        return None
    if kind == "lucene_on_disk":
        return dimension
    if "on_disk" in kind:
        return dimension / 8
    named = next((size for name, size in sizes.items() if name in kind.split("_")), None)
    is_whole = kind in {"hnsw", FLAT, "faiss_hnsw"}
    return 4 * dimension if is_whole else named
