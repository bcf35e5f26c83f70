"""What a copy carries: passages as they are stored, and what their index says of itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

import msgspec
import numpy as np
import orjson

from hybrid_search.engine.layout import DENSE, SPARSE
from hybrid_search.engine.templates import index_types
from hybrid_search.ingest.state.cluster import LoadedSource
from hybrid_search.records import IndexSchema, ResumePoint, Vector

LOSSLESS, ROUNDED = 1e-6, 2.0**-8
"""Relative differences: of float32 that went through a direction and a length, and of weights that an engine rounds."""

SPARSE_VECTOR = "sparse_vector"


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """One passage: its id in the engine, all that is stored of it, and where reading goes on behind it.

    ``values`` is the ``_source``, of which ``dense`` is float32 of shape ``(dimension,)`` where there is one.
    """

    id: str
    values: Mapping[str, Any]
    at: ResumePoint = field(compare=False)

    @property
    def load(self) -> int:
        """The number of the load that wrote it."""
        return int(self.values.get("load") or 1)


@dataclass(frozen=True, slots=True)
class Bulk:
    """A part of what is copied, which is read by itself: its name, what tells that it is as it was, and its size."""

    key: str
    held: tuple[int, ...]
    passages: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of two copies found: passages, and those of them that the copy has otherwise, or not at all."""

    passages: int
    wrong: tuple[str, ...]


class Facts(msgspec.Struct, frozen=True):
    """What an index says of itself.

    Attributes:
        schema: which models, fields, languages and kinds of vectors it has.
        sources: what was loaded whole, by the name of the source.
        last_load: the highest number of a load.
        meta: what else this package keeps in ``_meta``, without what belongs to one index alone.
    """

    schema: IndexSchema
    sources: dict[str, LoadedSource]
    last_load: int
    meta: dict[str, Any] = {}


class Origin(Protocol):
    """What is copied from, as it was when it was first looked at."""

    where: str
    facts: Facts

    def bulks(self) -> Sequence[Bulk]: ...

    def read(self, number: int, start: ResumePoint | None = None) -> Iterator[StoredPassage]:
        """The passages of a bulk, behind a place in it."""
        ...

    def close(self) -> None: ...


def differences(one: StoredPassage, other: Mapping[str, Any], *, rounded: bool) -> Iterator[str]:
    """The names of what two copies of a passage have otherwise.

    ``rounded`` says that an engine has kept the weights of terms with fewer bits than it was given.
    """
    for name in sorted({*one.values, *other} - {DENSE, SPARSE}):
        if _json(one.values.get(name)) != _json(other.get(name)):
            yield name
    if not _is_close(one.values.get(DENSE), other.get(DENSE)):
        yield DENSE
    if not _weigh_the_same(one.values.get(SPARSE), other.get(SPARSE), ROUNDED if rounded else LOSSLESS):
        yield SPARSE


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def _is_close(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool(np.abs(one - other).max() <= LOSSLESS * np.abs(one).max())


def _weigh_the_same(one: Mapping[str, float] | None, other: Mapping[str, float] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return (one or None) is (other or None)
    return one.keys() == other.keys() and all(
        math.isclose(weight, other[term], rel_tol=tolerance) for term, weight in one.items()
    )


def pages(passages: Iterable[StoredPassage], size: int) -> Iterator[list[StoredPassage]]:
    """So many passages at a time."""
    remaining = iter(passages)
    while page := list(islice(remaining, size)):
        yield page


LEAST_OF_BITS = 64
"""Components that Elasticsearch wants of vectors of which it keeps bits."""

NEAREST = {
    "int4_hnsw": ("int8_hnsw",),
    "bbq_hnsw": ("lucene_on_disk", "int8_hnsw"),
    "bbq_disk": ("bbq_hnsw", "lucene_on_disk", "int8_hnsw"),
    "int8_flat": ("int8_hnsw",),
    "int4_flat": ("int8_hnsw",),
    "bbq_flat": ("lucene_on_disk", "int8_hnsw"),
    "lucene_on_disk": ("bbq_hnsw", "int8_hnsw"),
    "faiss_on_disk": ("lucene_on_disk", "bbq_hnsw", "int8_hnsw"),
}
"""For kinds of vectors that another engine has not: the kinds nearest to each, before ``hnsw``, which all have."""


def fitting(schema: IndexSchema, engine: str, version: tuple[int, int, int]) -> tuple[IndexSchema, list[str]]:
    """The schema with kinds that an engine has, and a note for each that is another."""
    notes = []
    changed: dict[str, Any] = {}
    for leg, name, usual in (("dense", "dense_index", "hnsw"), ("sparse", "sparse_index", "rank_features")):
        kind, known = getattr(schema, name), index_types(engine, version, name)
        if getattr(schema, leg) is None or kind in known:
            continue
        dimension = 0 if schema.dense is None else schema.dense.dimension or 0
        near = [
            one for one in NEAREST.get(kind, ()) if one in known and (dimension >= LEAST_OF_BITS or one[:3] != "bbq")
        ]
        new = near[0] if near else usual
        changed[name] = new
        notes.append(f"{engine} has no {name} {kind!r}: it is {new!r} there")
    return replace(schema, **changed), notes
