"""Quality of every leg and every fusion on a BEIR folder, on a real engine, in one command.

    python benchmarks/quality/beir.py ../shared/data/nfcorpus --url http://127.0.0.1:9200
    python benchmarks/quality/beir.py ../shared/data/nfcorpus --rerank late
    python benchmarks/quality/beir.py ../shared/data/nfcorpus --max-tokens 128 --title no
    python benchmarks/quality/beir.py ../shared/data/nfcorpus --sparse-vectors ../shared/data/nfcorpus-splade-v3

Indexes the folder (whole documents, as published figures do; ``--passages`` cuts them), measures with the judgements
of ``--split``, prints the tables and deletes the index. ``--sparse-vectors`` takes recorded vectors of a sparse model
in place of the starter's: ``documents.jsonl.gz`` (``_id``, ``vector``: term to 100 times its weight) and
``queries.tsv.gz`` (id, tab, terms repeated by weight). Only test queries were recorded. Late reranking of all systems
asks for the same passages again and again: here their token states are kept, which changes no score.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from hybrid_search import read
from hybrid_search.encode import PRECOMPUTED, load_encoder, load_reranker
from hybrid_search.encode.dense import DenseEncoder
from hybrid_search.engine import connect
from hybrid_search.engine.indices import delete_index
from hybrid_search.evaluate import run_experiment, time_searches
from hybrid_search.evaluate.report import experiment_table, notes, timing_table
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document, Query, SparseVector
from hybrid_search.search import SearchClient
from hybrid_search.settings import (
    ChunkingSettings,
    DenseSettings,
    EngineSettings,
    RerankSettings,
    Settings,
    SparseSettings,
)

WHOLE = ChunkingSettings(max_tokens=1_000_000, overlap=0)
RECORDED_UNIT = 100


def main() -> None:
    """Index, measure, print, delete."""
    options = arguments()
    settings = Settings(
        chunking=chunking(options),
        dense=DenseSettings(model=options.dense),
        sparse=SparseSettings(model=PRECOMPUTED if options.sparse_vectors else options.sparse),
        rerank=RerankSettings(model=options.rerank),
        engine=EngineSettings(url=options.url),
    )
    encoder = load_encoder(settings)
    judged = read.qrels(options.folder, split=options.split)
    queries = [query for query in read.queries(options.folder) if query.id in judged]
    documents: Iterator[Document] = iter(read.documents(options.folder, settings.documents))
    if options.sparse_vectors is not None:
        documents = with_vectors(documents, recorded_documents(options.sparse_vectors))
        queries = with_query_vectors(queries, recorded_queries(options.sparse_vectors))
    index, console = f"beir-{options.folder.name}-{uuid4().hex[:8]}", Console()
    with connect(settings.engine) as connection:
        try:
            console.print(index_documents(documents, index, connection, encoder, settings).as_json())
            reranker = RememberingReranker(encoder) if options.rerank == "late" else load_reranker(settings, encoder)
            client = SearchClient(index, settings=settings, encoder=encoder, reranker=reranker, connection=connection)
            experiment = run_experiment(client, queries, judged, rerank=reranker is not None, exact=True)
            console.print(experiment_table(experiment), *notes(experiment), sep="\n")
            console.print(timing_table(time_searches(client, queries)))
        finally:
            if not options.keep:
                delete_index(connection, index)


def chunking(options: argparse.Namespace) -> ChunkingSettings:
    """Whole documents, or passages, under their titles or without."""
    title = None if options.title is None else options.title == "yes"
    if options.max_tokens is not None:
        return ChunkingSettings(max_tokens=options.max_tokens, with_title=title)
    return msgspec.structs.replace(ChunkingSettings() if options.passages else WHOLE, with_title=title)


class RememberingReranker:
    """Late reranking that encodes each passage once, and keeps 1 GB of 5,000 passages of 250 tokens.

    Args:
        encoder: with the bi-encoder whose token states are compared.
    """

    def __init__(self, encoder: Any) -> None:
        self._bi_encoder: DenseEncoder = encoder.bi_encoder
        self._kept: dict[str, NDArray[np.float16]] = {}
        self.name = f"late:{self._bi_encoder.fingerprint.name}"

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """MaxSim of each passage, shape (n,), in order; but for 16 bits a state that of LateReranker."""
        new = [text for text in dict.fromkeys(passages) if text not in self._kept]
        for text, states in zip(new, self._bi_encoder.token_states(new, query=False), strict=True):
            self._kept[text] = unit(states).astype(np.float16)
        tokens = unit(self._bi_encoder.token_states([query], query=True)[0])
        scores = [(tokens @ self._kept[text].T.astype(np.float32)).max(axis=1).mean() for text in passages]
        return np.array(scores, np.float32)


def unit(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1."""
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a BEIR folder: corpus, queries, qrels")
    parser.add_argument("--split", default="test")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--dense", default=DenseSettings().model)
    parser.add_argument("--sparse", default=SparseSettings().model)
    parser.add_argument("--sparse-vectors", type=Path, help="recorded vectors instead of a sparse model")
    parser.add_argument("--rerank", default=RerankSettings().model)
    parser.add_argument("--passages", action="store_true", help="cut documents to the encoder's limit")
    parser.add_argument("--max-tokens", type=int, help="cut documents to passages of so many tokens")
    parser.add_argument("--title", choices=("yes", "no"), help="read titles before passages (default: as settings say)")
    parser.add_argument("--keep", action="store_true", help="do not delete the index")
    return parser.parse_args()


def recorded_documents(folder: Path) -> dict[str, SparseVector]:
    """Sparse vectors by document id."""
    with gzip.open(folder / "documents.jsonl.gz") as lines:
        records = (json.loads(line) for line in lines)
        return {
            record["_id"]: {term: weight / RECORDED_UNIT for term, weight in record["vector"].items()}
            for record in records
        }


def recorded_queries(folder: Path) -> dict[str, SparseVector]:
    """Sparse vectors by query id: a term weighs as often as it is repeated."""
    with gzip.open(folder / "queries.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = (line.rstrip("\n").partition("\t") for line in lines)
        return {id_: {term: float(n) for term, n in Counter(terms.split()).items()} for id_, _, terms in rows}


def with_vectors(documents: Iterator[Document], vectors: Mapping[str, SparseVector]) -> Iterator[Document]:
    """The documents with their recorded vectors."""
    return (replace(document, sparse=vectors[document.id]) for document in documents)


def with_query_vectors(queries: list[Query], vectors: Mapping[str, SparseVector]) -> list[Query]:
    """The queries with their recorded vectors."""
    return [replace(query, sparse=vectors[query.id or ""]) for query in queries]


if __name__ == "__main__":
    main()
