"""Every way that our mappings index dense vectors, with what it wants in memory and on disk for so many passages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hybrid_search.engine.templates import Version, index_types
from hybrid_search.evaluate.sweep.cheapest import memory_of
from hybrid_search.evaluate.sweep.options import Build, has_graph
from hybrid_search.records import Leg

NEWEST: dict[str, Version] = {"opensearch": (3, 6, 0), "elasticsearch": (9, 5, 0)}
"""The versions whose layouts are shown where no engine was asked."""

WHOLE = 4
"""Bytes of a component that both engines keep beside what is rounded."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One value of ``engine.dense_index``.

    Attributes:
        engine: whose.
        kind: the value.
        memory: bytes that searches want in memory, of one copy; None where the vendor has no formula.
        disk: bytes of vectors and graph on disk, of one copy, by the same formula and the whole vectors.
    """

    engine: str
    kind: str
    memory: int | None
    disk: int | None


def layouts(engine: str | None, version: Version | None, passages: int, dimension: int, m: int) -> list[Layout]:
    """Those of an engine's version; of the newest of both, where there is none."""
    asked = {engine: version or NEWEST[engine]} if engine else NEWEST
    return [one for name, at in asked.items() for one in _of(name, at, passages, dimension, m)]


def _of(engine: str, version: Version, passages: int, dimension: int, m: int) -> Iterator[Layout]:
    for kind in sorted(index_types(engine, version, "dense_index")):
        build = Build(Leg.DENSE, kind, m if has_graph(kind) else None)
        memory = memory_of(build, engine, passages, dimension)
        yield Layout(engine, kind, memory, _disk(build, engine, memory, passages * dimension * WHOLE))


def _disk(build: Build, engine: str, memory: int | None, whole: int) -> int | None:
    """Whole vectors are kept once, and what is rounded beside them; faiss has a file of its own beside Lucene's."""
    if memory is None:
        return None
    is_whole = build.kind in {"hnsw", "flat"}
    if is_whole and engine == "opensearch":
        memory = round(memory / 1.1)  # what is added for the heap of faiss is on no disk
    return memory if is_whole else memory + whole
