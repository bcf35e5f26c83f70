"""Encoding on a GPU here and by sentence-transformers: ratios of interleaved rounds, in one process.

    python benchmarks/encode/gpu.py CORPUS.jsonl.gz [--device cuda] [--documents N] [--rounds N] [--out FILE]

MiniLM's own weights; SPLADE and the cross-encoder have the shape of BERT-base and of MiniLM, and random weights.
sentence-transformers is run by its defaults, and "tuned": in 16 bits, sorted by length, 256 texts together. On a CPU
(``--device cpu --small``) it shows that it runs, and nothing about speed.

Every result is written to ``benchmarks/results/encode-gpu-DEVICE.txt``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from splade_head import BERT_BASE, MINILM, save_cross, save_model

from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.devices import synchronize, utilisation
from hybrid_search.encode.pair import PairEncoder
from hybrid_search.encode.sources import find_model
from hybrid_search.encode.sparse import load_sparse
from hybrid_search.errors import HybridSearchError
from hybrid_search.settings import DENSE_MODEL, DenseSettings, EncodeSettings, RerankSettings, SparseSettings

RESULTS = Path(__file__).parents[1] / "results"
TUNED = 256
QUERY = "does exercise help against depression"

Job = Callable[[], Any]


class Bench:
    """What is measured, on one device; each line goes to the screen and into the file."""

    def __init__(self, device: str, texts: Sequence[str], rounds: int, out: Path) -> None:
        self.device, self.texts, self.rounds, self.out = torch.device(device), list(texts), rounds, out
        self.half = "fp16" if self.device.type == "cuda" else "bf16"

    def tell(self, line: str) -> None:
        print(line, flush=True)
        with self.out.open("a", encoding="utf-8") as opened:
            opened.write(line + "\n")

    def ratio(self, name: str, ours: Job, peers: Mapping[str, tuple[Job, float]], count: int) -> None:
        """Rounds of all in turn, after a first of each; the median of each peer's ratio to ours, beside its goal."""
        jobs = {"ours": ours, **{peer: job for peer, (job, _) in peers.items()}}
        taken: dict[str, list[float]] = {one: [] for one in jobs}
        for job in jobs.values():
            job()
        with used(self.device) as share:
            for _ in range(self.rounds):
                for one, job in jobs.items():
                    taken[one].append(self._seconds(job))
        speed = count / statistics.median(taken["ours"])
        found = [f"{name:44} {speed:9,.1f}/s"]
        for peer, (_, goal) in peers.items():
            ratio = statistics.median(a / b for a, b in zip(taken[peer], taken["ours"], strict=True))
            verdict = "reached" if ratio >= goal else "missed"
            found.append(f"{ratio:6.2f}x {peer} (goal {goal:g}x {verdict})")
        self.tell(
            "  ".join([*found, f"GPU busy {share():.0%}" if share() is not None else "use of the device unknown"])
        )

    def _seconds(self, job: Job) -> float:
        synchronize(self.device)
        begun = time.perf_counter()
        job()
        synchronize(self.device)
        return time.perf_counter() - begun


@contextmanager
def used(device: torch.device) -> Iterator[Callable[[], Any]]:
    """The mean share of the time in which the device computes, asked ten times a second."""
    seen: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if (now := utilisation(device)) is not None:
                seen.append(now)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: statistics.mean(seen) if seen else None
    finally:
        over.set()
        thread.join()


def in_half(bench: Bench, name: str, load: Callable[[EncodeSettings], Any]) -> Any:
    """A model in 16 bits, or in 32 where that is refused, which random weights can be."""
    try:
        return load(EncodeSettings("torch", bench.half))
    except HybridSearchError as error:
        bench.tell(f"{name} is run in fp32: {error}")
        return load(EncodeSettings("torch"))


def dense(bench: Bench) -> None:
    """Vectors of passages in 32 and in 16 bits, what they agree in, and one query."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(find_model(DENSE_MODEL)), device=str(bench.device))
    tuned = SentenceTransformer(str(find_model(DENSE_MODEL)), device=str(bench.device)).to(
        torch.float16 if bench.half == "fp16" else torch.bfloat16
    )
    peers = {
        "defaults": (lambda: theirs.encode(bench.texts, show_progress_bar=False), 5.0),
        "tuned": (lambda: tuned.encode(bench.texts, batch_size=TUNED, show_progress_bar=False), 1.5),
    }
    reference = theirs.encode(bench.texts[:64], show_progress_bar=False)
    for precision in ("fp32", "bf16", "fp16"):
        try:
            encoder = load_dense(DenseSettings(device=str(bench.device)), EncodeSettings("torch", precision))
        except HybridSearchError as error:
            bench.tell(f"dense, {precision}: not used: {error}")
            continue
        bench.ratio(f"dense, {precision}", lambda e=encoder: e.encode_documents(bench.texts), peers, len(bench.texts))
        cosine = float((encoder.encode_documents(bench.texts[:64]) * reference).sum(axis=1).min())
        network = encoder.backbone.networks[0]
        small = type(network._networks["query"]).__name__  # noqa: SLF001 - which way was taken is what is told
        padding = f"padding {encoder.budget.padding:.1%}, passes of {encoder.budget.tokens_now:,} tokens"
        bench.tell(f"    least cosine {cosine:.6f}; batches {network.way}, {padding}; a query by {small}")
        taken = [bench._seconds(lambda e=encoder: e.encode_queries([QUERY])) for _ in range(20)]  # noqa: SLF001
        bench.tell(f"    one query: {1000 * statistics.median(taken):.2f} ms")


def sparse(bench: Bench, folder: Path) -> None:
    """A SPLADE model of random weights."""
    from sentence_transformers import SparseEncoder

    theirs = SparseEncoder(str(folder), device=str(bench.device))
    tuned = SparseEncoder(str(folder), device=str(bench.device)).to(
        torch.float16 if bench.half == "fp16" else torch.bfloat16
    )
    settings = SparseSettings(model=str(folder), device=str(bench.device))
    encoder = in_half(bench, "SPLADE", partial(load_sparse, settings))
    quiet = {"show_progress_bar": False}
    peers = {
        "defaults": (lambda: theirs.encode_document(bench.texts, **quiet), 10.0),
        "tuned": (lambda: tuned.encode_document(bench.texts, batch_size=TUNED, **quiet), 2.0),
    }
    bench.ratio("SPLADE", lambda: encoder.encode_documents(bench.texts), peers, len(bench.texts))


def pair(bench: Bench, folder: Path) -> None:
    """Dense and sparse on one device at the same time, against one after the other."""
    where = str(bench.device)
    half_dense = in_half(bench, "dense", partial(load_dense, DenseSettings(device=where)))
    half_sparse = in_half(bench, "SPLADE", partial(load_sparse, SparseSettings(model=str(folder), device=where)))
    both = PairEncoder(half_dense, half_sparse)

    def apart() -> None:
        half_dense.encode_documents(bench.texts)
        half_sparse.encode_documents(bench.texts)

    name = "dense and sparse side by side"
    bench.ratio(name, lambda: both.encode_documents(bench.texts), {"apart": (apart, 1.0)}, len(bench.texts))


def cross(bench: Bench, folder: Path) -> None:
    """A cross-encoder of random weights on pairs of eight queries with passages of unlike lengths."""
    from sentence_transformers import CrossEncoder

    cut = [" ".join(text.split()[: 8 + 37 * n % 153]) for n, text in enumerate(bench.texts)]
    pairs = [(f"what is known about number {n % 8}", text) for n, text in enumerate(cut)]
    theirs = CrossEncoder(str(folder), device=str(bench.device), max_length=256)
    settings = RerankSettings(model=str(folder), device=str(bench.device))
    reranker = in_half(bench, "the cross-encoder", partial(load_cross, settings))
    peers = {"defaults": (lambda: theirs.predict(pairs, show_progress_bar=False), 2.0)}
    bench.ratio("cross-encoder", lambda: reranker.score_pairs(pairs), peers, len(pairs))
    found, wanted = reranker.score_pairs(pairs[:64]), theirs.predict(pairs[:64], show_progress_bar=False)
    bench.tell(f"    largest difference of a score {float(np.abs(found - wanted).max()):.5f}")


def main() -> None:
    """Measure all of it on one device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="models of MiniLM's shape alone")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(given.documents), strict=False)]
    texts = [f"{row.get('title', '')}\n{row['text']}" for row in rows]
    named = torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else "cpu"
    named = re.sub(r"\W+", "-", named.lower()).strip("-")
    out = given.out or RESULTS / f"encode-gpu-{named}.txt"
    bench = Bench(given.device, texts, given.rounds, out)
    corpus = given.corpus.parent.name
    bench.tell(f"{len(texts)} documents of {corpus}, {given.rounds} rounds, {named}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folders = Path(name) / "splade", Path(name) / "cross"
        save_model(folders[0], MINILM if given.small else BERT_BASE)
        save_cross(folders[1])
        dense(bench)
        sparse(bench, folders[0])
        pair(bench, folders[0])
        cross(bench, folders[1])


if __name__ == "__main__":
    main()
