"""What is measured: each way of doing a job, as a function that makes a function to be timed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

Job = Callable[[], Any]


def dense(texts: Sequence[str], way: str) -> Job:
    """Vectors of passages: ``BACKEND PRECISION`` of ours, or sentence-transformers by its defaults or at its best."""
    if way.startswith("library"):
        from sentence_transformers import SentenceTransformer

        from hybrid_search.encode.sources import find_model
        from hybrid_search.settings import DENSE_MODEL

        model = SentenceTransformer(str(find_model(DENSE_MODEL)), device="cpu")
        batch = 8 if way.endswith("best") else 32
        return lambda: model.encode(list(texts), batch_size=batch, show_progress_bar=False)
    encoder = ours(way)
    return lambda: encoder.encode_documents(texts)


def ours(way: str) -> Any:
    """The default bi-encoder by a backend in a precision."""
    from hybrid_search.encode.dense import load_dense
    from hybrid_search.settings import DenseSettings, EncodeSettings

    backend, precision = way.split()
    return load_dense(DenseSettings(device="cpu"), EncodeSettings(backend=backend, precision=precision))


def forward(texts: Sequence[str], way: str) -> Job:
    """The passes alone over batches that are tokenized before."""
    from hybrid_search.encode.batching import batches

    encoder = ours(way)
    ids = encoder._cut.ids(list(texts))  # noqa: SLF001 - what text to vectors is made of
    groups = list(batches([len(row) for row in ids], budget=2048))
    parts = [([texts[row] for row in rows], [ids[row] for row in rows]) for rows in groups]
    return lambda: [encoder.backbone(texts_of, ids_of, prompt="", query=False) for texts_of, ids_of in parts]


def starter(texts: Sequence[str], way: str) -> Job:
    """Dense and sparse vectors of one pass."""
    from hybrid_search import load_encoder
    from hybrid_search.settings import DenseSettings, EncodeSettings, Settings

    backend, precision = way.split()
    settings = Settings(dense=DenseSettings(device="cpu"), encode=EncodeSettings(backend=backend, precision=precision))
    encoder = load_encoder(settings)
    return lambda: encoder.encode_documents(texts)


def splade(texts: Sequence[str], way: str, folder: str) -> Job:
    """Sparse vectors of passages by a SPLADE model of random weights."""
    if way.startswith("library"):
        from sentence_transformers import SparseEncoder

        model = SparseEncoder(folder, device="cpu")
        batch = 8 if way.endswith("best") else 32
        return lambda: model.encode_document(list(texts), batch_size=batch, show_progress_bar=False)
    from hybrid_search.encode.sparse import load_sparse
    from hybrid_search.settings import EncodeSettings, SparseSettings

    backend, precision = way.split()
    encoder = load_sparse(
        SparseSettings(model=folder, device="cpu"), EncodeSettings(backend=backend, precision=precision)
    )
    return lambda: encoder.encode_documents(texts)


def cross(texts: Sequence[str], way: str, folder: str) -> Job:
    """Scores of pairs: eight queries with the passages, shared out among them."""
    pairs = [(f"what is known about number {n % 8}", text) for n, text in enumerate(texts)]
    if way.startswith("library"):
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(folder, device="cpu", max_length=256)
        return lambda: model.predict(pairs, show_progress_bar=False)
    from hybrid_search.encode.cross import load_cross
    from hybrid_search.settings import EncodeSettings, RerankSettings

    backend, precision = way.split()
    reranker = load_cross(
        RerankSettings(model=folder, device="cpu"), EncodeSettings(backend=backend, precision=precision)
    )
    return lambda: reranker.score_pairs(pairs)


def query(texts: Sequence[str], way: str) -> Job:
    """One short query at a time; the median of forty."""
    encoder = ours(way)
    asked = [" ".join(text.split()[:6]) for text in texts[:40]]

    def run() -> float:
        taken = []
        for text in asked:
            begun = time.perf_counter()
            encoder.encode_queries([text])
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken)

    return run


def late(texts: Sequence[str], way: str) -> Job:
    """MaxSim of a query with fifty passages: encoded again, or stored as an index has them."""
    from base64 import b64decode, b64encode

    from hybrid_search.encode.late import LateReranker

    encoder = ours("torch fp32")
    reranker, passages = LateReranker(encoder), list(texts[:50])
    if way == "encoded":
        return lambda: reranker.score("does exercise help against depression", passages)
    stored = [b64encode(one) for one in encoder.encode_with_tokens(passages)[1]]
    return lambda: reranker.score_stored("does exercise help against depression", [b64decode(one) for one in stored])


def gemm() -> float:
    """Floating-point operations in a second of the matrix product that MiniLM does most."""
    import torch

    left, right = torch.randn(2048, 384), torch.randn(384, 1536)
    left @ right
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        left @ right
        taken.append(time.perf_counter() - begun)
    return 2 * 2048 * 384 * 1536 / min(taken)


def timed(job: Job) -> dict[str, float]:
    """Seconds of wall and processor time, after a first run of its own; a job that measures itself says ``own``."""
    job()
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "load": os.getloadavg()[0]}
    return found | ({"own": result} if isinstance(result, float) else {})
