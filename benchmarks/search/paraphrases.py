"""The most similar pair among 10,000 sentences: 65 hours of a cross-encoder, or one look at an index.

    python benchmarks/search/paraphrases.py --data ../shared/data --url http://127.0.0.1:9200

The headline is that of Reimers and Gurevych (Sentence-BERT, EMNLP 2019, arXiv 1908.10084): BERT reads 49,995,000 pairs
in about 65 hours on a V100; a bi-encoder encodes 10,000 sentences in about 5 s and compares them in .01 s. Here the
sentences are titles of products and papers. Encoding is timed apart from mining, which reads the stored vectors of an
index of its own and compares all with all, or asks the graph. The cross-encoders are estimates: so many pairs, times
what one pair takes here, measured with random weights in the shape of the real models, for the time does not depend on
the weights; theirs are processor hours. Seconds are wall seconds, with processor seconds of this process behind them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import mean
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode import load_encoder
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, delete_index, refresh
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage
from hybrid_search.search import SearchClient
from hybrid_search.search.duplicates_pairs import alike
from hybrid_search.settings import NO_MODEL, EngineSettings, SearchSettings, Settings, SparseSettings

COLLECTIONS = ("esci", "scifact", "nfcorpus")
BULK = 1000
SHAPES = {"BERT base": (768, 12, 12, 3072), "MiniLM-L6": (384, 6, 12, 1536)}
"""Hidden size, layers, heads and inner size."""

PAIRS_READ = 64


def main() -> None:
    """Measure and print."""
    options = arguments()
    settings = Settings(engine=EngineSettings(url=options.url), sparse=SparseSettings(model=NO_MODEL))
    sentences = list(islice(titles(options.data), options.sentences))
    pairs = len(sentences) * (len(sentences) - 1) // 2
    print(f"{len(sentences):,} sentences, {pairs:,} pairs, threshold {options.threshold}")
    encoder = load_encoder(settings)
    with timed("encode, once"):
        dense = encoder.encode_documents(sentences).dense
    if dense is None:
        raise SystemExit("the settings name no dense model")
    with connect(settings.engine) as connection, indexed(sentences, dense, encoder, connection) as name:
        client = SearchClient(name, settings=Settings(search=SearchSettings(legs=("bm25",))), connection=connection)
        exact = mined(client, "read and compare all with all", options.threshold, exact=True)
        graph = mined(client, "read and ask the graph", options.threshold, exact=False)
    with timed("the comparison alone, in numpy"):
        units = dense / np.linalg.norm(dense, axis=1, keepdims=True)
        for begin in range(0, len(units), 2048):
            alike(units[begin : begin + 2048], units, options.threshold)
    recall = len(exact.keys() & graph.keys()) / max(1, len(exact))
    print(f"{len(exact):,} pairs; of these by the graph: {recall:.4f}")
    (one, other), cosine = next(iter(exact.items()))
    print(f"most similar, {cosine:.4f}:\n  {sentences[int(one)]}\n  {sentences[int(other)]}")
    tokens = round(2 * mean(map(len, encoder.tokenizer.spans(sentences[:500])))) + 3
    for shape in SHAPES:
        took = seconds_per_pair(shape, tokens)
        print(
            f"estimate: {shape} as a cross-encoder, {tokens} tokens a pair, {1000 * took:.1f} ms: "
            f"{took * pairs / 3600:,.0f} h"
        )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the collections")
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--threshold", type=float, default=0.9)
    return parser.parse_args()


def titles(data: Path) -> Iterator[str]:
    """Titles of the collections, each once."""
    seen: set[str] = set()
    for name in COLLECTIONS:
        with gzip.open(data / name / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            for title in (json.loads(line).get("title", "").strip() for line in lines):
                if title and title not in seen:
                    seen.add(title)
                    yield title


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what the block took."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    print(f"{what:<34} {time.perf_counter() - wall:8.2f} s  ({time.process_time() - processor:.2f} s)")


@contextmanager
def indexed(
    sentences: list[str], dense: NDArray[np.float32], encoder: TextEncoder, connection: Connection
) -> Iterator[str]:
    """An index of the sentences, by their numbers; deleted afterwards."""
    name, schema = f"paraphrases-{uuid4().hex[:8]}", IndexSchema(dense=encoder.dense, sparse=None)
    create_index(connection, name, schema)
    try:
        with timed("index"):
            for begin in range(0, len(sentences), BULK):
                rows = range(begin, min(begin + BULK, len(sentences)))
                lines = b"".join(
                    index_action(name, passage(row, sentences[row], dense[row]), connection.dialect, schema)
                    for row in rows
                )
                if connection.send(bulk_request(lines))["errors"]:
                    raise SystemExit("the engine refused sentences")
            refresh(connection, name)
        yield name
    finally:
        delete_index(connection, name)


def passage(row: int, sentence: str, vector: NDArray[np.float32]) -> EncodedPassage:
    """One sentence as a document."""
    return EncodedPassage(Passage(Document(str(row), sentence), 0, 0, len(sentence)), vector, None)


def mined(client: SearchClient, what: str, threshold: float, *, exact: bool) -> dict[tuple[str, str], float]:
    """Cosines of the pairs that are found, best first."""
    with timed(what):
        found = client.similar_pairs(threshold, exact=exact)
        return {(pair.first, pair.second): pair.cosine for pair in found}


def seconds_per_pair(shape: str, tokens: int) -> float:
    """Processor seconds that a cross-encoder of this shape, of random weights, takes for a pair, in batches of 32."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    hidden, layers, heads, inner = SHAPES[shape]
    config = BertConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        num_labels=1,
    )
    model = BertForSequenceClassification(config).eval()
    ids = torch.randint(1000, 20_000, (32, tokens))
    with torch.inference_mode():
        model(ids)
        begin = time.process_time()
        for _ in range(PAIRS_READ // 32):
            model(ids)
    return (time.process_time() - begin) / PAIRS_READ


if __name__ == "__main__":
    main()
