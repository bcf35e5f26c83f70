"""What the tests of the ingest load: generated documents, an encoder of designed vectors, a transport of functions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import orjson

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.records import Document, Fingerprint

DIMENSION = 16
DENSE = Fingerprint("dense", "generated", "0" * 16, dimension=DIMENSION, normalized=True)
SPARSE = Fingerprint("sparse", "generated", "1" * 16)


class WordTokenizer:
    """One token per run of characters without white space."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in re.finditer(r"\S+", text)] for text in texts]


class GeneratedEncoder:
    """Vectors that are a function of the text's hash; ``texts`` records what was encoded."""

    def __init__(self, dense: Fingerprint | None = DENSE, sparse: Fingerprint | None = SPARSE, max_tokens: int = 8):
        self.dense, self.sparse, self.max_tokens = dense, sparse, max_tokens
        self.tokenizer = WordTokenizer()
        self.texts: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        self.texts += texts
        seeds = [blake2b(text.encode(), digest_size=4).digest() for text in texts]
        dense = np.array([np.frombuffer(seed * 4, np.uint8) for seed in seeds], np.float32) + 1
        sparse = [{str(seed[0]): 1.0 + seed[1]} for seed in seeds]
        return EncodedTexts(dense if self.dense else None, sparse if self.sparse else None)

    encode_queries = encode_documents


def documents(count: int, *, words: int = 5, first: int = 0, vectors: bool = False) -> Iterator[Document]:
    """Documents ``d0``, ``d1``, ... of so many words, with vectors of their own or without."""
    for number in range(first, first + count):
        text = " ".join(f"w{number}x{place}" for place in range(words))
        dense = np.full(DIMENSION, number + 1, np.float32) if vectors else None
        sparse = {str(number % 50): 1.0 + number % 7} if vectors else None
        yield Document(f"d{number}", text, {"place": number}, dense, sparse, origin=f"generated:{number}")


def record_line(document: Document, **changes: object) -> str:
    """A document of :func:`documents` as a line of JSON, as it would stand in a source."""
    record = {
        "_id": document.id,
        "text": document.text,
        "place": document.fields["place"],
        "dense": None if document.dense is None else document.dense.tolist(),
        "sparse": document.sparse,
    }
    return orjson.dumps({**record, **changes}).decode() + "\n"


class FunctionTransport:
    """A transport that answers by a function; ``requests`` records what was sent."""

    where = "http://fake"

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    def send(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
        return self._answer(request)

    def close(self) -> None:
        """Nothing to close."""


def action_ids(body: bytes | None) -> list[str]:
    """The ids of the actions of a bulk body, in order."""
    heads = (orjson.loads(line) for line in (body or b"").splitlines())
    return [head[name]["_id"] for head in heads for name in ("index", "delete") if isinstance(head.get(name), dict)]


def bulk_answer(
    request: Request,
    refused: Callable[[str], tuple[int, str] | None] = lambda _: None,
    kind: str = "mapper_parsing_exception",
) -> Answer:
    """200 with an item per action; ``refused`` gives status and reason of those that fail, ``kind`` their type."""
    items = []
    for id_ in action_ids(request.body):
        failed = refused(id_)
        result = {"_id": id_, "status": 201}
        if failed is not None:
            result = {
                "_id": id_,
                "status": failed[0],
                "error": {"type": kind, "reason": failed[1]},
            }
        items.append({"index": result})
    return Answer(200, {"errors": True, "items": items})
