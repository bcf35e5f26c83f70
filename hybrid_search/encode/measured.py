"""How a model does here: its speed on this machine, and whether its vectors are those of sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.card import card_of
from hybrid_search.encode.folder import weights_digest
from hybrid_search.encode.loading import quiet
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.encode.sparse import sparsity
from hybrid_search.encode.starter import read_head
from hybrid_search.encode.ways import (
    QUERIES,
    Kind,
    OnWay,
    WayMeasured,
    encoders,
    measure_ways,
    milliseconds,
    passages_per_second,
    rerankers,
)
from hybrid_search.errors import ModelError
from hybrid_search.settings import NO_MODEL, DenseSettings, RerankSettings, Settings, SparseSettings

SECONDS = 5.0
"""For passages: as many as fit, and at least two batches."""

PASSAGES = (
    "The lake was surveyed in March. No trout were found, although the water had cleared since the mill closed.",
    "To sort a list in place, call its sort method; to get a new list and keep the old one, call sorted.",
    "Vitamin D deficiency was more frequent among patients who worked at night than among those who did not.",
    "Return within 30 days in the original box. Shoes that have been worn outside are not taken back.",
    "Das Amt ist dienstags geschlossen; Anträge können jederzeit in den Briefkasten geworfen werden.",
    "HTTP 429 means that too many requests came in a short time. Wait, as Retry-After says, and send it again. " * 4,
    "A heat pump moves heat rather than making it, which is why it gives more than it takes. " * 10,
)
"""Our own sentences, of lengths as they come."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        passages_per_second: encoded, of about 60 words on average, as the settings are by default; pairs of a reranker.
        query_ms: median milliseconds for one query; for a reranker, for one pair.
        agreement: the least cosine with sentence-transformers' vectors (a reranker: 1 - the largest difference).
        sparsity: of passages and of queries, as ``SparseEncoder.sparsity`` gives it: ``active_dims`` and
            ``sparsity_ratio``.
        ways: every backend and precision that is installed.
    """

    passages_per_second: float
    query_ms: float
    agreement: float | None
    sparsity: Mapping[str, Mapping[str, float]] | None = None
    ways: tuple[WayMeasured, ...] = ()


def measure_model(
    name: str, *, seconds: float = SECONDS, on_way: OnWay = lambda _: None, ways: bool = True
) -> Measured:
    """Load a model, time it, compare it with sentence-transformers, and every way to run it with torch in float32.

    Where a precision is part of a fingerprint, what was found is kept for searches
    (:mod:`~hybrid_search.encode.agreement`). With the model of the starter's pass, the starter is checked too.

    Args:
        name: of the model, or its folder.
        seconds: for each timing.
        on_way: told about each backend and precision.
        ways: whether to try them.

    Raises:
        ModelError: it cannot be loaded, or no section of the settings takes it.
    """
    card = card_of(name)
    if card.role is None:
        raise ModelError(f"this is {card.what}", where=name, remedy="No setting takes it")
    measure = {"dense": _dense, "sparse": _sparse, "rerank": _cross}[card.role]
    found, kind = measure(name, Path(card.folder), seconds)
    tried = measure_ways(kind, PASSAGES, seconds=seconds / 2, on_way=on_way) if ways else ()
    return replace(found, ways=tuple(tried))


def _dense(name: str, folder: Path, seconds: float) -> tuple[Measured, Kind[Any]]:
    settings = Settings(dense=DenseSettings(model=name), sparse=SparseSettings(model=NO_MODEL))
    encoder = load_encoder(settings)
    own = np.asarray(encoder.encode_documents(PASSAGES).dense, dtype=np.float64)
    theirs = np.asarray(_oracle("SentenceTransformer", folder).encode_document(list(PASSAGES)), dtype=np.float64)
    found = _timed(encoder, seconds, _cosine(own, theirs))
    if weights_digest(folder) == read_head().metadata["encoder_weights"]:
        settings = Settings(dense=DenseSettings(model=name))  # with the starter, which rides on its pass
    return found, encoders(lambda encode: load_encoder(structs.replace(settings, encode=encode)))


def _sparse(name: str, folder: Path, seconds: float) -> tuple[Measured, Kind[Any]]:
    settings = Settings(dense=DenseSettings(model=NO_MODEL), sparse=SparseSettings(model=name))
    encoder = load_encoder(settings)
    vectors = encoder.encode_documents(PASSAGES).sparse or []
    oracle = _oracle("SparseEncoder", folder)
    theirs = oracle.encode_document(list(PASSAGES), convert_to_sparse_tensor=False, save_to_cpu=True)
    rows = np.asarray(theirs, dtype=np.float64)
    own = np.zeros_like(rows)
    for row, vector in zip(own, vectors, strict=True):
        row[[int(term) for term in vector]] = list(vector.values())
    asked = encoder.encode_queries(QUERIES).sparse or []
    shown = {what: sparsity(some, rows.shape[1]) for what, some in (("passages", vectors), ("queries", asked))}
    found = replace(_timed(encoder, seconds, _cosine(own, rows)), sparsity=shown)
    return found, encoders(lambda encode: load_encoder(structs.replace(settings, encode=encode)))


def _cross(name: str, folder: Path, seconds: float) -> tuple[Measured, Kind[Any]]:
    settings = Settings(rerank=RerankSettings(model=name))
    reranker, query = _loaded(settings), QUERIES[0]
    theirs = _oracle("CrossEncoder", folder).predict([(query, text) for text in PASSAGES], show_progress_bar=False)
    found = Measured(
        passages_per_second(lambda texts: reranker.score(query, texts), PASSAGES, seconds),
        milliseconds(lambda text: reranker.score(text, [query])),
        1.0 - float(np.abs(reranker.score(query, PASSAGES) - np.asarray(theirs)).max()),
    )
    return found, rerankers(lambda encode: _loaded(structs.replace(settings, encode=encode)))


def _loaded(settings: Settings) -> Reranker:
    reranker = load_reranker(settings)
    if reranker is None:
        raise ModelError("no reranker was loaded", where=settings.rerank.model)
    return reranker


def _timed(encoder: TextEncoder, seconds: float, agreement: float) -> Measured:
    return Measured(
        passages_per_second(encoder.encode_documents, PASSAGES, seconds),
        milliseconds(lambda text: encoder.encode_queries([text])),
        agreement,
    )


def _oracle(kind: str, folder: Path) -> Any:
    """The model as the library loads and runs it."""
    import sentence_transformers

    with quiet():
        return getattr(sentence_transformers, kind)(str(folder), device="cpu", local_files_only=True)


def _cosine(own: Any, theirs: Any) -> float:
    """The least cosine of two rows that belong together."""
    lengths = np.linalg.norm(own, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.min((own * theirs).sum(axis=1) / np.maximum(lengths, 1e-30)))
