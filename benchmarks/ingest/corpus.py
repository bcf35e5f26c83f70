"""Generated documents with vectors, the same for every peer of the comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from hybrid_search.encode.protocols import EncodedTexts, Tokenizer
from hybrid_search.records import Document, Fingerprint

DIMENSION = 384
TERMS = 150
"""Terms of a document's sparse vector, as SPLADE models give for a passage."""
VOCABULARY = 30_000
WORDS = 60
POOL = 2_000
"""Different vectors; documents take them in turn, so that making them does not cost more than loading them."""


class Corpus:
    """``count`` documents of 60 words, a unit vector of 384 dimensions and 150 term weights each."""

    def __init__(self, count: int, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        dense = random.standard_normal((POOL, DIMENSION), np.float32)
        self._dense = dense / np.linalg.norm(dense, axis=1, keepdims=True)
        self._sparse = [self._terms(random) for _ in range(POOL)]
        vocabulary = [f"w{number:04}" for number in range(5_000)]
        self._texts = [" ".join(random.choice(vocabulary, WORDS)) for _ in range(POOL)]
        self.count = count

    def documents(self) -> Iterator[Document]:
        """The documents, with their vectors."""
        for number in range(self.count):
            place = number % POOL
            text = f"{self._texts[place]} d{number}"
            yield Document(f"d{number}", text, {"n": number}, self._dense[place], self._sparse[place])

    def vendor_actions(self, index: str) -> Iterator[dict[str, object]]:
        """The same documents as the vendors' helpers take them: plain lists, in the layout of the index."""
        for document in self.documents():
            yield {
                "_index": index,
                "_id": f"{document.id}#0",
                "doc_id": document.id,
                "passage": 0,
                "start": 0,
                "end": len(document.text),
                "text": document.text,
                "content_hash": "0" * 32,
                "fields": document.fields,
                "dense": [] if document.dense is None else document.dense.tolist(),
                "sparse": document.sparse,
            }

    @staticmethod
    def _terms(random: np.random.Generator) -> dict[str, float]:
        terms = random.choice(VOCABULARY, TERMS, replace=False)
        weights = random.gamma(2.0, 0.5, TERMS) + 0.01
        return {str(term): round(float(weight), 4) for term, weight in zip(terms, weights, strict=True)}


class CarriedVectors:
    """The encoder of a corpus that carries its vectors: an identity, and nothing to compute."""

    dense = Fingerprint("dense", "generated", "0" * 16, dimension=DIMENSION, normalized=True)
    sparse = Fingerprint("sparse", "generated", "1" * 16)
    max_tokens = 512

    @property
    def tokenizer(self) -> Tokenizer:
        raise AssertionError("documents that carry vectors are not cut")

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        raise AssertionError(f"{len(texts)} documents that carry vectors were to be encoded")

    encode_queries = encode_documents


class OtherDevice(CarriedVectors):
    """An encoder that leaves this machine's cores alone, as one on a GPU does: it waits, and gives vectors."""

    def __init__(self, corpus: Corpus, seconds_per_text: float) -> None:
        self._vectors = [(document.dense, document.sparse) for document in islice(corpus.documents(), POOL)]
        self._seconds = seconds_per_text

    @property
    def tokenizer(self) -> Tokenizer:
        return OneToken()

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        time.sleep(self._seconds * len(texts))
        vectors = self._vectors[: len(texts)]
        return EncodedTexts(np.array([dense for dense, _ in vectors]), [sparse or {} for _, sparse in vectors])


class OneToken:
    """Sees every text as a single token."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(0, len(text))] for text in texts]
