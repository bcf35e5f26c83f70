"""How a model does here: its speed on this machine, and whether its vectors are those of sentence-transformers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.card import card_of
from hybrid_search.encode.loading import quiet
from hybrid_search.encode.sparse import sparsity
from hybrid_search.errors import ModelError
from hybrid_search.settings import NO_MODEL, DenseSettings, RerankSettings, Settings, SparseSettings

QUERIES = 15
"""Queries that are timed, one by one."""
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
        passages_per_second: encoded, of about 60 words on average; for a reranker, pairs.
        query_ms: median milliseconds for one query; for a reranker, for one pair.
        agreement: the least cosine with sentence-transformers' vectors (a reranker: 1 - the largest difference).
        active_dims: mean entries of a sparse vector.
        sparsity: the share of the vocabulary that is zero.
    """

    passages_per_second: float
    query_ms: float
    agreement: float | None
    active_dims: float | None = None
    sparsity: float | None = None


def measure_model(name: str, *, seconds: float = SECONDS) -> Measured:
    """Load a model, time it and compare it with sentence-transformers.

    Raises:
        ModelError: it cannot be loaded, or no section of the settings takes it.
    """
    card = card_of(name)
    if card.role == "dense":
        return _dense(name, Path(card.folder), seconds)
    if card.role == "sparse":
        return _sparse(name, Path(card.folder), seconds)
    if card.role == "rerank":
        return _cross(name, Path(card.folder), seconds)
    raise ModelError(f"this is {card.what}", where=name, remedy="No setting takes it")


def _dense(name: str, folder: Path, seconds: float) -> Measured:
    settings = Settings(dense=DenseSettings(model=name), sparse=SparseSettings(model=NO_MODEL))
    encoder = load_encoder(settings)
    own = np.asarray(encoder.encode_documents(PASSAGES).dense, dtype=np.float64)
    theirs = np.asarray(_oracle("SentenceTransformer", folder).encode_document(list(PASSAGES)), dtype=np.float64)
    return Measured(
        _passages_per_second(encoder.encode_documents, seconds),
        _milliseconds(lambda text: encoder.encode_queries([text])),
        _cosine(own, theirs),
    )


def _sparse(name: str, folder: Path, seconds: float) -> Measured:
    settings = Settings(dense=DenseSettings(model=NO_MODEL), sparse=SparseSettings(model=name))
    encoder = load_encoder(settings)
    vectors = encoder.encode_documents(PASSAGES).sparse or []
    oracle = _oracle("SparseEncoder", folder)
    theirs = oracle.encode_document(list(PASSAGES), convert_to_sparse_tensor=False, save_to_cpu=True)
    rows = np.asarray(theirs, dtype=np.float64)
    own = np.zeros_like(rows)
    for row, vector in zip(own, vectors, strict=True):
        row[[int(term) for term in vector]] = list(vector.values())
    shown = sparsity(vectors, rows.shape[1])
    return Measured(
        _passages_per_second(encoder.encode_documents, seconds),
        _milliseconds(lambda text: encoder.encode_queries([text])),
        _cosine(own, rows),
        shown["active_dims"],
        shown["sparsity_ratio"],
    )


def _cross(name: str, folder: Path, seconds: float) -> Measured:
    reranker = load_reranker(Settings(rerank=RerankSettings(model=name)))
    if reranker is None:
        raise ModelError("no reranker was loaded", where=name)
    query = "what does a heat pump do"
    theirs = _oracle("CrossEncoder", folder).predict([(query, text) for text in PASSAGES], show_progress_bar=False)
    return Measured(
        _passages_per_second(lambda texts: reranker.score(query, texts), seconds),
        _milliseconds(lambda text: reranker.score(query, [text])),
        1.0 - float(np.abs(reranker.score(query, PASSAGES) - np.asarray(theirs)).max()),
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


def _passages_per_second(encode: Callable[[Sequence[str]], object], seconds: float) -> float:
    texts, begin, count = list(islice(cycle(PASSAGES), 32)), time.perf_counter(), 0
    while count < 2 * len(texts) or time.perf_counter() - begin < seconds:
        encode(texts)
        count += len(texts)
    return count / (time.perf_counter() - begin)


def _milliseconds(ask: Callable[[str], object]) -> float:
    times = []
    for number in range(QUERIES):
        begin = time.perf_counter()
        ask(f"how many lakes were surveyed in {1990 + number}")
        times.append(time.perf_counter() - begin)
    return 1000 * median(times)
