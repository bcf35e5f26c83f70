"""Documents and queries of the search benchmarks: many passages with the term weights of a real SPLADE model.

A document's terms are those of two recorded SPLADE-v3 documents of NFCorpus, mixed: each weight comes from the one or
the other, scaled by some noise, and the 150 to 200 heaviest are kept. So terms are as frequent, as heavy and as often
together as a model makes them, which decides how much of an inverted index a query can pass over. The queries are the
recorded ones of the same model. The recordings are not part of the project: ``--recorded`` names their folder.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

from hybrid_search.encode.protocols import EncodedTexts, Tokenizer
from hybrid_search.records import Document, Fingerprint, Query

DIMENSION = 384
CENTERS = 500
"""Vectors lie around so many centres: a graph over vectors without any neighbourhoods is no measure of one with."""
SPREAD = 0.7
TERMS = (150, 201)
HUNDREDTHS = 100
"""The recordings hold a hundred times the weight, rounded."""


class MixedCorpus:
    """``count`` documents with a text of their heaviest terms, a unit vector of 384 dimensions and 150 to 200 terms."""

    def __init__(self, count: int, recorded: Path, seed: int = 1) -> None:
        self.count, self._random = count, np.random.default_rng(seed)
        with gzip.open(recorded / "documents.jsonl.gz") as lines:
            self._recorded = [orjson.loads(line)["vector"] for line in lines]
        with gzip.open(recorded / "queries.tsv.gz", "rt", encoding="utf-8") as lines:
            self._asked = [line.rstrip("\n").split("\t") for line in lines]
        self._centers = self._random.standard_normal((CENTERS, DIMENSION), np.float32)

    def documents(self) -> Iterator[Document]:
        """The documents, with their vectors."""
        for number in range(self.count):
            terms = self._terms()
            text = " ".join(term for term in terms if term.isalpha())
            dense = self._near(int(self._random.integers(CENTERS)))
            yield Document(f"d{number}", text, {"group": f"g{number % 20}", "number": number}, dense, terms)

    def queries(self) -> list[Query]:
        """The recorded queries, each with a vector near one of the centres."""
        found = []
        for place, (id_, tokens) in enumerate(self._asked):
            counts = Counter(tokens.split(" "))
            sparse = {term: count / HUNDREDTHS for term, count in counts.items()}
            words = " ".join(term for term, _ in counts.most_common(8) if term.isalpha())
            found.append(Query(words or "health", dense=self._near(place % CENTERS), sparse=sparse, id=id_))
        return found

    def _terms(self) -> dict[str, float]:
        first, second = self._random.integers(len(self._recorded), size=2)
        sides = (self._recorded[first], self._recorded[second])
        names = sorted(sides[0].keys() | sides[1].keys())
        chosen = self._random.integers(2, size=len(names))
        noise = self._random.lognormal(0.0, 0.2, size=len(names))
        weights = [float(sides[side].get(name, 0)) for name, side in zip(names, chosen, strict=True)]
        mixed = {n: w * x / HUNDREDTHS for n, w, x in zip(names, weights, noise, strict=True) if w}
        kept = sorted(mixed, key=mixed.__getitem__, reverse=True)[: int(self._random.integers(*TERMS))]
        return {name: mixed[name] for name in kept}

    def _near(self, center: int) -> np.ndarray:
        vector = self._centers[center] + SPREAD * self._random.standard_normal(DIMENSION, np.float32)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class CarriedVectors:
    """The encoder of a corpus that carries its vectors: an identity, and nothing to compute."""

    dense = Fingerprint("precomputed", "mixed", "0" * 16, dimension=DIMENSION, normalized=True)
    sparse = Fingerprint("precomputed", "mixed", "1" * 16)
    max_tokens = 512

    @property
    def tokenizer(self) -> Tokenizer:
        raise AssertionError("documents that carry vectors are not cut")

    def encode_documents(self, texts: list[str]) -> EncodedTexts:
        raise AssertionError(f"{len(texts)} documents that carry vectors were to be encoded")

    encode_queries = encode_documents
