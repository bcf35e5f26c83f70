"""What services answer, checked before it becomes a vector: numbers, finite, as many as there must be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.remote.post import Service
from hybrid_search.probes import PROBE
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import DenseSettings

Row = NDArray[np.float32]
"""One vector, of shape (dimension,)."""
PROBE_TEXT = "The quick survey of 17 lakes, finished in March, found no trout."
PROBED = 64
"""Components of the probe's vector that are kept: enough to tell models apart, and few for an index's ``_meta``."""


def dense_rows(service: Service, rows: Any, dimension: int | None) -> NDArray[np.float32]:
    """Vectors of shape (n, dimension).

    Raises:
        ModelError: they are no vectors, of another dimension, or not finite.
    """
    try:
        vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError):
        raise service.refused("what it gives are no vectors of one length") from None
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise service.refused("what it gives are no vectors")
    if dimension is not None and vectors.shape[1] != dimension:
        what = f"it gives vectors of {vectors.shape[1]:,} components, and gave {dimension:,} before"
        raise service.refused(what, "Has its model changed? Then open the index again")
    if not np.isfinite(vectors).all():
        raise service.refused("it gave vectors that are not finite")
    return vectors


def sparse_row(service: Service, entries: Any) -> SparseVector:
    """One sparse vector of ``[{"index": 1055, "value": 1.2}, ...]``, its positive entries.

    Raises:
        ModelError: it is none.
    """
    try:
        pairs = [(int(entry["index"]), float(entry["value"])) for entry in entries]
    except (TypeError, KeyError, ValueError, OverflowError):
        raise service.refused("what it gives is no sparse vector", "sparse.url needs a SPLADE model") from None
    if any(number < 0 or not math.isfinite(weight) for number, weight in pairs):
        raise service.refused("it gave weights that are not finite")
    return {str(number): weight for number, weight in pairs if weight > 0}


def ranked_scores(service: Service, answers: Any, count: int, value: str) -> NDArray[np.float32]:
    """Scores in the order of the passages, of ``[{"index": 3, value: .7}, ...]`` in any order.

    Raises:
        ModelError: a passage has none, or one that is not finite.
    """
    scores = np.full(count, np.nan, dtype=np.float32)
    try:
        for answer in answers:
            scores[int(answer["index"])] = float(answer[value])
    except (TypeError, KeyError, ValueError, IndexError):
        raise service.refused("what it gives are no scores", "rerank.url needs a reranker") from None
    if not np.isfinite(scores).all():
        raise service.refused(f"it gave {int(np.isfinite(scores).sum()):,} scores for {count:,} passages")
    return scores


def probed(vector: Sequence[float]) -> list[float]:
    """The first components of a vector in short: what another model's differ from."""
    return [float(f"{component:.5g}") for component in vector[:PROBED]]


def fingerprint_of_probe(
    settings: DenseSettings, *, name: str, vector: NDArray[np.float32], said: Mapping[str, Any]
) -> Fingerprint:
    """The identity of a model that tells little of itself: what it says, and what it makes of a text."""
    return Fingerprint(
        kind="dense",
        name=name,
        weights="",
        dimension=int(vector.size),
        query_prompt=settings.query_prompt or "",
        document_prompt=settings.document_prompt or "",
        extra={"service": settings.service, "model": name, **said, PROBE: probed(vector.tolist())},
    )
