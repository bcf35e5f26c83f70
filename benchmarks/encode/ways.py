"""What is measured: each way of doing a job, as a function that makes a function to be timed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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
    if way == "one thread":
        os.environ["OMP_NUM_THREADS"] = "1"
        way = "torch fp32"
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
    """Scores of pairs: eight queries with passages of 8 to 160 words, shared out among them."""
    cut = [" ".join(text.split()[: 8 + 37 * n % 153]) for n, text in enumerate(texts)]
    pairs = [(f"what is known about number {n % 8}", text) for n, text in enumerate(cut)]
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


def packing(texts: Sequence[str], way: str) -> Job:
    """Passes over texts of unlike lengths, eight together as they come: padded, or by the faster of the ways."""
    from hybrid_search.encode.backends.network import TorchNetwork

    encoder = ours("torch fp32")
    network = encoder.backbone.networks[0]
    if way == "padded":
        network._networks["passages"] = TorchNetwork(network.exportable, encoder.backbone.device)  # noqa: SLF001
    ids = encoder._cut.ids([" ".join(text.split()[: 8 + 37 * n % 153]) for n, text in enumerate(texts)])  # noqa: SLF001
    groups = [ids[start : start + 8] for start in range(0, len(ids), 8)]
    return lambda: [encoder.backbone([""] * len(rows), rows, prompt="", query=False) for rows in groups]


def head(texts: Sequence[str], way: str) -> Job:
    """MiB by which the peak of the process rises when the head pools 64 texts of 128 tokens, and what is allowed."""
    del texts
    import torch

    from hybrid_search.encode.splade_head import CHUNK, VocabularyPooling

    count, tokens, hidden, vocabulary = 64, 128, 384, 30_522
    pool = VocabularyPooling(torch.nn.Linear(hidden, vocabulary))
    chunk = count * tokens * CHUNK * 4

    def features(rows: int) -> dict[str, torch.Tensor]:
        mask = torch.ones(rows, tokens, dtype=torch.bool)
        return {"token_embeddings": torch.randn(rows, tokens, hidden), "attention_mask": mask}

    @torch.inference_mode()
    def run() -> float:
        pool(features(8))  # buffers of the matrix product stay
        given = features(count)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = memory("VmRSS")
        output = pool(given)["sentence_embedding"].nbytes
        rise = memory("VmHWM") - before
        return rise if way == "rise" else (1.1 * output + chunk) / 2**20

    return run


def memory(name: str) -> float:
    """MiB that the process holds now (``VmRSS``) or held at most (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def share(texts: Sequence[str], way: str) -> Job:
    """Seconds that passages take, and that their arithmetic would take at the peak of the matrix product.

    Counted are the matrices of MiniLM's layers (2 x 1.77 million x tokens, six times) and the two products of attention
    (4 x tokens x tokens x 384); the rest is left out.
    """
    encoder = ours("torch fp32")
    lengths = [len(row) for row in encoder._cut.ids(list(texts))]  # noqa: SLF001 - what a pass is made of
    layer = 4 * 384 * 384 + 2 * 384 * 1536
    operations = sum(6 * (2 * layer * length + 4 * length * length * 384) for length in lengths)

    def run() -> float:
        begun = time.perf_counter()
        encoder.encode_documents(texts)
        taken = time.perf_counter() - begun
        return taken if way == "torch fp32" else operations / gemm()

    return run


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
    if job.__qualname__.startswith("head"):  # a peak can rise but once
        return {"own": job()}
    job()
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "load": os.getloadavg()[0]}
    return found | ({"own": result} if isinstance(result, float) else {})
