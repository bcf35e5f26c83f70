"""A part of SciFact with its judged queries, and models of words that take no time."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import orjson

from hybrid_search import read
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.records import Fingerprint, Query

DIMENSION = 64
AXES = np.random.default_rng(3).standard_normal((4096, DIMENSION)).astype(np.float32)


@dataclass(frozen=True)
class Part:
    """A small collection in the layout of BEIR, with its queries and judgements."""

    folder: Path
    rows: list[dict]
    queries: list[Query]
    qrels: read.Qrels


def part_of_scifact(data_folder: Path, folder: Path, queries: int = 40, documents: int = 300) -> Part:
    """The first queries, what was judged for them, and the first documents besides."""
    source = data_folder / "scifact"
    qrels = dict(list(read.qrels(source).items())[:queries])
    judged = {doc for grades in qrels.values() for doc in grades}
    with gzip.open(source / "corpus.jsonl.gz") as lines:
        every = [orjson.loads(line) for line in lines]
    rows = [row for number, row in enumerate(every) if number < documents or row["_id"] in judged]
    asked = [query for query in read.queries(source) if query.id in qrels]
    return written(folder, rows, asked, qrels)


def written(folder: Path, rows: list[dict], queries: list[Query], qrels: read.Qrels) -> Part:
    """The part as files."""
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    asked = [orjson.dumps({"_id": query.id, "text": query.text}) + b"\n" for query in queries]
    (folder / "queries.jsonl").write_bytes(b"".join(asked))
    judged = [f"{query}\t{doc}\t{grade}\n" for query, grades in qrels.items() for doc, grade in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return Part(folder, rows, queries, qrels)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class WordTokenizer:
    """One token for each run of letters."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in re.finditer(r"\w+", text)] for text in texts]


class WordEncoder:
    """Weights 1 + ln tf of words, and a random projection of them: texts of like words are alike."""

    def __init__(self, *, sparse: bool = True) -> None:
        self.dense = Fingerprint("dense", "words", "0" * 16, dimension=DIMENSION, normalized=True)
        self.sparse = Fingerprint("sparse", "words", "1" * 16) if sparse else None
        self.tokenizer, self.max_tokens = WordTokenizer(), 200

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        sparse = [
            {str(zlib.crc32(word.encode()) % 30_000): 1 + log(n) for word, n in Counter(words(text)).items()}
            for text in texts
        ]
        dense = np.array([sum(w * AXES[int(term) % 4096] for term, w in one.items()) for one in sparse], np.float32)
        dense /= np.linalg.norm(dense, axis=1, keepdims=True)
        return EncodedTexts(dense, sparse if self.sparse else None)

    encode_queries = encode_documents


class WordReranker:
    """The share of a query's words that a passage has."""

    name = "shared-words"

    def score(self, query: str, passages: Sequence[str]):
        asked = set(words(query))
        return np.array([len(asked & set(words(passage))) / len(asked) for passage in passages], np.float32)
