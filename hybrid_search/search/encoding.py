"""The vectors that legs need and a query does not carry, from its text."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hybrid_search.errors import HybridSearchError, ModelError, ModelUnavailableError
from hybrid_search.images import ImageSource
from hybrid_search.records import Query
from hybrid_search.search.asking import Budget
from hybrid_search.search.leg import VECTORS, Part, SearchLeg
from hybrid_search.search.outcomes import Failed, Found, Late, Outcome, missed
from hybrid_search.search.steps import Encode, Encoded, EncodeImage, Step

HOPELESS = 4
"""Failures in a row after which an encoder is not asked for the other texts of a batch."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A vector of a query's text; ``cut`` says, behind the name of a leg, how much of the text the model read."""

    vector: Any
    cut: str | None = None


Encodings = Mapping[Part, Outcome[Encoding]]
"""What came of each vector that one query lacked."""


def lacking(query: Query, legs: Iterable[SearchLeg]) -> list[Part]:
    """The vectors that the legs need and the query does not carry."""
    wanted = {leg.part for leg in legs}
    return [part for part in VECTORS if part in wanted and getattr(query, part) is None]


def with_vectors(query: Query, encodings: Encodings) -> Query:
    """The query with the vectors that were made for it."""
    made: dict[str, Any] = {part: one.value.vector for part, one in encodings.items() if isinstance(one, Found)}
    return replace(query, **made) if made else query


def encode(
    queries: Sequence[Query], legs: Sequence[SearchLeg], budget: Budget
) -> Generator[Step, Any, list[Encodings]]:
    """What comes of the vectors that each query lacks, in one step.

    Where the encoder fails on many texts it is asked for them one by one, so that a text that it cannot take is the
    failure of its own query; but not for ever, if it takes none, and not at all where it was late.
    """
    wanted = [lacking(query, legs) for query in queries]
    found: list[Encodings] = [{} for _ in queries]
    for n, query in enumerate(queries):
        if query.image is not None and "dense" in wanted[n]:
            found[n] = {"dense": (yield from _of_image(query.image, budget))}
            wanted[n] = [part for part in wanted[n] if part != "dense"]
    whole = [n for n, parts in enumerate(wanted) if parts]
    failures, batches = 0, [whole] if whole else []
    while batches:
        batch, *batches = batches
        try:
            encoded: Encoded = yield Encode([queries[n].plain for n in batch], budget.for_the_encoder)
        except HybridSearchError as error:
            failures += 1
            lost = missed(error)
            if isinstance(lost, Late) or isinstance(error, ModelUnavailableError) or failures == HOPELESS:
                _give_up(found, wanted, [n for rest in (batch, *batches) for n in rest], lost)
                break
            if len(batch) > 1:
                batches = [[n] for n in batch]
            else:
                _give_up(found, wanted, batch, lost)
        else:
            failures = 0
            for row, n in enumerate(batch):
                found[n] = {**found[n], **{part: _vector(part, encoded, row, len(batch)) for part in wanted[n]}}
    return found


def _give_up(
    found: list[Encodings], wanted: Sequence[Sequence[Part]], places: Iterable[int], lost: Failed | Late
) -> None:
    for n in places:
        found[n] = {**found[n], **dict.fromkeys(wanted[n], lost)}


def _of_image(image: ImageSource, budget: Budget) -> Generator[Step, Any, Outcome[Encoding]]:
    """The vector of a query's image, or why there is none."""
    try:
        encoded: Encoded = yield EncodeImage(image, budget.for_the_encoder)
    except HybridSearchError as error:
        return missed(error)
    return _vector("dense", encoded, 0, 1)


def _vector(part: Part, encoded: Encoded, row: int, count: int) -> Outcome[Encoding]:
    """One of ``count`` vectors, if it is one."""
    vectors: Any = getattr(encoded.vectors, part)
    if fault := ill_formed(vectors, row, count):
        return Failed(ModelError(f"the encoder gave {fault}", remedy="Look at the model, or leave the leg out"))
    cut = None
    if row in encoded.cut.get(part, {}):
        read, there = encoded.cut[part][row]
        cut = f"read the first {read:,} of the query's {there:,} tokens"
    return Found(Encoding(vectors[row], cut))


def ill_formed(vectors: Any, row: int, count: int) -> str | None:
    """What is wrong with the vector of this row among ``count`` dense or sparse ones; None where nothing is."""
    try:
        if vectors is None or len(vectors) != count:
            return f"{0 if vectors is None else len(vectors)} vectors for {count} texts"
        vector = vectors[row]
        if isinstance(vector, Mapping):
            weights = np.array(list(vector.values()), dtype=np.float64)
            positive = np.isfinite(weights).all() and (weights > 0).all()
            return None if positive else "a weight that is not positive and finite"
        if np.ndim(vector) != 1:
            return f"a vector of shape {np.shape(vector)}"
        return None if np.isfinite(vector).all() and np.any(vector) else "a vector that is zero or not finite"
    except (TypeError, ValueError) as error:
        return f"what is no vector: {error}"
