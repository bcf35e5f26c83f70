"""An engine and models made of plain functions, for tests of the search alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.engine import AsyncConnection, Connection
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.records import Fingerprint, IndexSchema, Leg

DIALECT = OpenSearchDialect((3, 6, 0))
DENSE = Fingerprint(kind="dense", name="plane", weights="0", dimension=2)
SPARSE = Fingerprint(kind="sparse", name="letters", weights="1")
SCHEMA = IndexSchema(dense=DENSE, sparse=SPARSE)

Run = Sequence[tuple[str, float]]
Responder = Callable[[Request], Answer]


class FunctionTransport:
    """A transport that asks a function."""

    where = "http://fake"

    def __init__(self, respond: Responder) -> None:
        self._respond = respond
        self.requests: list[Request] = []

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._respond(request)

    def close(self) -> None:
        """Nothing is open."""


class AsyncFunctionTransport:
    """The same, after a step in which other tasks run; searches are held until ``together`` of them wait at once.

    ``arrived`` is set when a search has come, ``released`` when they are held no longer.
    """

    where = "http://fake"

    def __init__(self, respond: Responder, together: int = 0) -> None:
        self._respond = respond
        self._together = together
        self._waiting = 0
        self.arrived, self.released = asyncio.Event(), asyncio.Event()

    async def send(self, request: Request) -> Answer:
        await asyncio.sleep(0)
        if request.path.endswith("search"):
            await self._meet()
        return self._respond(request)

    async def _meet(self) -> None:
        self._waiting += 1
        self.arrived.set()
        if self._waiting >= self._together:
            self.released.set()
        try:
            await self.released.wait()
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Nothing is open."""


def connection(respond: Responder) -> Connection:
    """A connection to a function."""
    return Connection(FunctionTransport(respond), DIALECT)


def async_connection(respond: Responder, together: int = 0) -> AsyncConnection:
    """The same with awaitables; searches are held until ``together`` of them wait at once."""
    return AsyncConnection(AsyncFunctionTransport(respond, together), DIALECT)


class PlaneEncoder:
    """Every text at angle 0 of a plane, with the terms of its letters; what is asked of it is kept in ``texts``."""

    dense = DENSE
    sparse = SPARSE
    max_tokens = 100

    def __init__(self) -> None:
        self.texts: list[list[str]] = []

    @property
    def tokenizer(self) -> WordSpans:
        return WordSpans()

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        return self.encode_queries(texts)

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        self.texts.append(list(texts))
        dense = np.tile(np.array([1.0, 0.0], dtype=np.float32), (len(texts), 1))
        return EncodedTexts(
            dense, [{letter: 1.0 for letter in sorted(set(text)) if letter.isalpha()} for text in texts]
        )


def leg_of(body: Mapping[str, Any]) -> Leg | None:
    """The leg of a search body; None for the fetch of passages."""
    query = str(body["query"])
    marks = {"'match'": Leg.BM25, "'knn'": Leg.DENSE, "'rank_feature'": Leg.SPARSE}
    return next((leg for mark, leg in marks.items() if mark in query), None)


def bodies(request: Request) -> list[dict[str, Any]]:
    """The searches of an ``_msearch``."""
    assert request.path == "/docs/_msearch"
    assert request.body is not None
    return [orjson.loads(line) for line in request.body.splitlines()[1::2]]


def found(hits: Sequence[Mapping[str, Any]], *, timed_out: bool = False, failed: int = 0) -> dict[str, Any]:
    """One answer of an ``_msearch``."""
    return {
        "took": 3,
        "timed_out": timed_out,
        "_shards": {"total": 2, "successful": 2 - failed, "failed": failed},
        "hits": {"hits": list(hits)},
        "status": 200,
    }


def engine(runs: Mapping[Leg, Run], answers: Mapping[Leg, Any] | None = None) -> Responder:
    """Answers legs with ``runs`` cut to size, or with whole ``answers``, and a fetch with passages ``text of ID``.

    Its analyzer knows one stop word, "the".
    """

    def respond(request: Request) -> Answer:
        if request.path == "/docs/_analyze":
            assert request.body is not None
            words = [word for word in orjson.loads(request.body)["text"].split() if word.isalpha() and word != "the"]
            return Answer(200, {"tokens": [{"token": word} for word in words]})
        return Answer(200, {"responses": [_answer(body, runs, answers or {}) for body in bodies(request)]})

    return respond


def _answer(body: Mapping[str, Any], runs: Mapping[Leg, Run], answers: Mapping[Leg, Any]) -> Any:
    leg = leg_of(body)
    if leg is None:
        return found([stored(id_) for id_ in body["query"]["ids"]["values"]])
    if leg in answers:
        return answers[leg]
    return found([{"_id": id_, "_score": score} for id_, score in runs.get(leg, ())[: body["size"]]])


def stored(passage_id: str) -> dict[str, Any]:
    """A passage as an engine returns it."""
    document, _, number = passage_id.rpartition("#")
    begin = int(number) * 10
    source = {"doc_id": document, "start": begin, "end": begin + 5, "text": f"text of {passage_id}", "fields": {"n": 1}}
    return {"_id": passage_id, "_score": 1.0, "_source": source}
