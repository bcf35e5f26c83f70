"""Late reranking from token states that a real engine stores, beside whole states: nDCG@10, and bytes on disk.

    python benchmarks/quality/late_stored.py ../shared/data/nfcorpus ../shared/data/scifact --url http://127.0.0.1:9200

For each BEIR folder two indices of whole documents, BM25 and dense, one with ``rerank.stored``: what the engine says
each takes on disk after its segments are merged, and what the default fusion gives as it is, reranked by what the first
index lacks and has to be encoded (whole states), and by what the second one stores. ``--queries`` takes the first so
many. The indices are deleted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import msgspec
from beir import WHOLE, RememberingReranker

from hybrid_search import read
from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.indices import delete_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate import run_experiment
from hybrid_search.ingest import index_documents
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.fusion import Fusion
from hybrid_search.settings import (
    DenseSettings,
    EncodeSettings,
    EngineSettings,
    RerankSettings,
    Settings,
    SparseSettings,
)

TIMED = 15
"""Queries whose reranking is timed both ways, in turns."""


class Once:
    """An encoder that encodes a passage once for both indices; ``late`` is what the next index is to store."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._kept: dict[str, tuple[Any, bytes]] = {}
        self.late = encoder.late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors, and token states where the index stores them."""
        if missing := [text for text in dict.fromkeys(texts) if text not in self._kept]:
            found = self._encoder.encode_documents(missing)
            self._kept |= dict(zip(missing, zip(found.dense, found.late, strict=True), strict=True))
        dense, late = zip(*(self._kept[text] for text in texts), strict=True)
        return EncodedTexts(list(dense), None, list(late) if self.late else None)  # type: ignore[arg-type]  # rows


def main() -> None:
    """Load, measure, delete."""
    options = arguments()
    settings = Settings(
        chunking=WHOLE,
        dense=DenseSettings(model=options.dense),
        sparse=SparseSettings(model="none"),
        rerank=RerankSettings(model="late", stored=True),
        engine=EngineSettings(url=options.url),
        encode=EncodeSettings(backend=options.backend, precision=options.precision),
    )
    encoder = load_encoder(settings)
    with connect(settings.engine) as connection:
        for folder in options.folders:
            measure(folder, options.queries, settings, encoder, connection)


def measure(folder: Path, most: int | None, settings: Settings, encoder: Any, connection: Connection) -> None:
    """The lines of one set."""
    judged = read.qrels(folder, split="test")
    queries = [query for query in read.queries(folder) if query.id in judged][:most]
    once, whole = Once(encoder), RememberingReranker(encoder)
    without = msgspec.structs.replace(settings, rerank=RerankSettings(model="late"))
    dialect = connection.dialect
    print(f"\n{folder.name} on {dialect.engine} {'.'.join(map(str, dialect.version))}, {len(queries)} queries")
    with loaded(folder, settings, once, connection) as (stored, count, stored_bytes):
        once.late = None
        with loaded(folder, without, once, connection) as (plain, _, plain_bytes):
            each = (stored_bytes - plain_bytes) / count
            print(f"on disk, bytes a passage: {plain_bytes / count:,.0f}, and {each:,.0f} for token states")
            clients = {
                "whole states": SearchClient(
                    plain, settings=without, encoder=encoder, reranker=whole, connection=connection
                ),
                "stored states": SearchClient(
                    stored,
                    settings=settings,
                    encoder=encoder,
                    reranker=load_reranker(settings, encoder),
                    connection=connection,
                ),
            }
            for name, client in clients.items():
                report(name, client, queries, judged)
            timing(clients["stored states"], queries[:TIMED], encoder, settings)
            for client in clients.values():
                client.close()


def report(name: str, client: SearchClient, queries: list[Query], judged: Any) -> None:
    """nDCG@10 of the default fusion, and of it reranked."""
    found = run_experiment(client, queries, judged, fusions=[Fusion()], rerank=True)
    for row in found.rows:
        if len(row.system.legs) == 2:
            values = [row.scores.mean[measure] for measure in found.measures]
            figures = ", ".join(f"{m} {value:.4f}" for m, value in zip(found.measures, values, strict=True))
            print(f"{name}: {row.system.name}: {figures}", flush=True)


def timing(client: SearchClient, queries: list[Query], encoder: Any, settings: Settings) -> None:
    """Reranking the same 50 passages both ways, in turns: the ratio, since other work goes on."""
    reranker: Any = load_reranker(settings, encoder)
    seconds: dict[str, list[float]] = {"stored": [], "encoded": []}
    for query in queries:
        ids = [hit.passage_id for hit in client.search(query, 50, rerank=False).hits]
        texts, tokens = client.passages_to_score(ids)
        for way, call in (
            ("stored", lambda: reranker.score_stored(query.text, tokens)),  # noqa: B023 - called at once
            ("encoded", lambda: reranker.score(query.text, list(texts.values()))),  # noqa: B023
        ):
            begun = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - begun)
    middle = {way: 1000 * median(found) for way, found in seconds.items()}
    print(
        f"reranking 50 passages: {middle['stored']:.1f} ms from stored states, {middle['encoded']:.0f} ms encoded"
        f" ({middle['encoded'] / middle['stored']:.0f} times), other work going on"
    )


@contextmanager
def loaded(folder: Path, settings: Settings, encoder: Any, connection: Connection) -> Iterator[tuple[str, int, int]]:
    """A new index of the set, its passages and its bytes on disk once its segments are one; it is deleted after."""
    index = f"late-{folder.name}-{uuid4().hex[:8]}"
    try:
        report = index_documents(read.documents(folder, settings.documents), index, connection, encoder, settings)
        connection.send(Request.json("POST", f"/{index}/_forcemerge", max_num_segments="1"))
        refresh(connection, index)
        stats = connection.send(Request.json("GET", f"/{index}/_stats/store,docs"))["_all"]["primaries"]
        yield index, report.passages, stats["store"]["size_in_bytes"]
    finally:
        delete_index(connection, index)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="BEIR folders: corpus, queries, qrels")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--dense", default=DenseSettings().model)
    parser.add_argument("--queries", type=int, help="the first so many judged queries (default: all)")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="fp32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
