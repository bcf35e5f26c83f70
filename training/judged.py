"""Judged retrieval sets in BEIR layout, for choosing checkpoints and reporting; never for training."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from training.states import StateFile, encode

DOCUMENT_TOKENS = 256
QUERY_TOKENS = 64


@dataclass(frozen=True)
class JudgedSet:
    """A corpus, the queries of one split and their judgements, with the encoder's states of both."""

    name: str
    document_ids: list[str]
    query_ids: list[str]
    judgements: dict[str, dict[str, int]]
    documents: StateFile
    queries: StateFile
    document_texts: list[str]
    query_texts: list[str]


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """``query -> document -> grade`` of a tab-separated file with a header."""
    judgements: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judgements.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return judgements


def load(data: Path, name: str, split: str, cache: Path) -> JudgedSet:
    """One split of the set in ``data / name``; states are kept in ``cache``."""
    with gzip.open(data / name / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    with (data / name / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = [json.loads(line) for line in lines]
    judgements = read_judgements(data / name / "qrels" / f"{split}.tsv")
    queries = [query for query in queries if query["_id"] in judgements]
    texts = [f"{document['title']} {document['text']}".strip() for document in documents]
    return JudgedSet(
        name=f"{name}/{split}",
        document_ids=[document["_id"] for document in documents],
        query_ids=[query["_id"] for query in queries],
        judgements=judgements,
        documents=encode(texts, cache / f"{name}-documents", max_tokens=DOCUMENT_TOKENS),
        queries=encode([q["text"] for q in queries], cache / f"{name}-{split}-queries", max_tokens=QUERY_TOKENS),
        document_texts=texts,
        query_texts=[query["text"] for query in queries],
    )
