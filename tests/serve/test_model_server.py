"""The model server: the paths of Text Embeddings Inference and OpenAI, many callers in one batch, and who is let in."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from model_server import model_server
from served import DIMENSION, HashedEncoder, LongestFirst

from hybrid_search.encode.tokens import WordSpans
from hybrid_search.serve.models.batcher import Batcher, FullError, Room


class Hashed(HashedEncoder):
    """With a tokenizer: words."""

    tokenizer = WordSpans()


TEXTS = ["tea with rice", "cold water", "a slow morning"]


@pytest.fixture(scope="module")
def server():
    with model_server(Hashed(), LongestFirst()) as (url, _):
        yield url


def ask(url: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any, dict[str, str]]:
    """Status, decoded answer and headers."""
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, headers)  # noqa: S310  # http of the test's own server
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # the same
            raw = answer.read()
            kind = answer.headers.get("content-type", "")
            return answer.status, json.loads(raw) if "json" in kind else raw.decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), dict(error.headers)


def test_dense_vectors(server) -> None:
    """One text or several; the vectors are the encoder's own."""
    status, rows, _ = ask(server, "/embed", {"inputs": TEXTS})
    own = Hashed().encode_documents(TEXTS).dense
    assert status == 200
    assert np.allclose(rows, own, atol=1e-6)
    assert ask(server, "/embed", {"inputs": TEXTS[0]})[1] == [rows[0]]
    assert ask(server, "/embed", {"inputs": []})[1] == []


def test_a_text_that_is_too_long(server) -> None:
    """It is refused with its length, or cut where that may be; OpenAI's interface cuts."""
    long = "tea " * 201
    status, refusal, _ = ask(server, "/embed", {"inputs": ["short", long]})
    assert (status, refusal["error"]["what"]) == (413, "a text has 201 tokens, and the model reads 200")
    assert ask(server, "/embed", {"inputs": long, "truncate": True})[0] == 200
    assert ask(server, "/v1/embeddings", {"model": "hashed", "input": long})[0] == 200


def test_tokens(server) -> None:
    """With the characters at which they begin and end."""
    _, rows, _ = ask(server, "/tokenize", {"inputs": ["thé vert"]})
    assert [(one["text"], one["start"], one["stop"]) for one in rows[0]] == [("thé", 0, 3), ("vert", 4, 8)]


def test_a_model_that_breaks() -> None:
    """Its kind of error, and not what it says, which may hold a text."""

    class Broken(Hashed):
        def encode_documents(self, texts):
            raise ZeroDivisionError(f"secret {texts}")

    with model_server(Broken()) as (url, _):
        status, refusal, _ = ask(url, "/embed", {"inputs": "tea"})
    assert (status, refusal["error"]["what"]) == (500, "the model failed (ZeroDivisionError)")


def test_fewer_dimensions(server) -> None:
    """The first components, at their length or at length 1; more than there are is refused."""
    _, rows, _ = ask(server, "/embed", {"inputs": TEXTS, "dimensions": 8})
    own = Hashed().encode_documents(TEXTS).dense[:, :8]
    assert np.allclose(rows, own, atol=1e-6)
    _, units, _ = ask(server, "/embed", {"inputs": TEXTS, "dimensions": 8, "normalize": True})
    assert np.allclose(np.linalg.norm(units, axis=1), 1, atol=1e-5)
    status, refusal, _ = ask(server, "/embed", {"inputs": TEXTS, "dimensions": 99})
    assert (status, refusal["error"]["what"]) == (422, f"the vectors have {DIMENSION} components")


def test_sparse_vectors(server) -> None:
    """Ids of the vocabulary and their weights."""
    _, rows, _ = ask(server, "/embed_sparse", {"inputs": TEXTS})
    own = Hashed().encode_documents(TEXTS).sparse
    assert [{str(one["index"]): one["value"] for one in row} for row in rows] == own


def test_both_legs_in_one_request(server) -> None:
    """For clients of this package."""
    _, both, _ = ask(server, "/encode", {"inputs": TEXTS, "prompt_name": "query"})
    own = Hashed().encode_queries(TEXTS)
    assert np.allclose(both["dense"], own.dense, atol=1e-6)
    assert both["sparse"] == own.sparse


def test_scores_come_best_first(server) -> None:
    """Raw, or between 0 and 1: 1 / (1 + e^-10) for a passage of ten characters."""
    body = {"query": "tea", "texts": ["ten chars.", "more than ten"], "raw_scores": True}
    assert ask(server, "/rerank", body)[1] == [{"index": 1, "score": 13.0}, {"index": 0, "score": 10.0}]
    _, scaled, _ = ask(server, "/rerank", body | {"raw_scores": False, "return_text": True})
    assert scaled[1] == {"index": 0, "score": pytest.approx(1 / (1 + np.exp(-10))), "text": "ten chars."}


def test_embeddings_as_openai_gives_them(server) -> None:
    """Numbers, or little-endian float32 in base64; another model's name is refused."""
    _, answer, _ = ask(server, "/v1/embeddings", {"model": "hashed", "input": TEXTS, "encoding_format": "base64"})
    raw = [np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in answer["data"]]
    assert np.allclose(raw, Hashed().encode_documents(TEXTS).dense, atol=1e-6)
    assert answer["model"] == "hashed"
    status, refusal, _ = ask(server, "/v1/embeddings", {"model": "other", "input": "x"})
    assert (status, refusal["error"]["remedy"]) == (404, "This server has hashed.")


def test_what_is_wrong_is_said(server) -> None:
    """A body of another shape, an unknown path, an unknown role; nothing of the text is repeated."""
    status, refusal, _ = ask(server, "/embed", {"inputs": [1, 2], "secret": "x"})
    assert status == 422
    assert "inputs" in refusal["error"]["what"]
    assert ask(server, "/nothing")[0] == 404
    assert ask(server, "/embed", {"inputs": "x", "prompt_name": "someone"})[0] == 422
    assert ask(server, "/embed", {"inputs": ["x"] * 513})[0] == 422


def test_a_model_that_is_not_served() -> None:
    """The setting that would serve it is named."""
    with model_server(None, LongestFirst()) as (url, _):
        status, refusal, _ = ask(url, "/embed", {"inputs": "x"})
        assert status == 424
        assert refusal["error"]["remedy"] == "Start the server with dense.model."
        assert ask(url, "/info")[1]["model_id"] == "longest"


def test_a_token_is_asked_for() -> None:
    """Where there is one; only whether it is alive is told without."""
    token = "a-token-of-the-test-0123"  # noqa: S105  # of no use elsewhere
    with model_server(Hashed(), token=token) as (url, _):
        assert ask(url, "/embed", {"inputs": "tea"})[0] == 401
        assert ask(url, "/info")[0] == 401
        assert ask(url, "/embed", {"inputs": "tea"}, token)[0] == 200
        assert ask(url, "/health")[0] == 200


def test_counters(server) -> None:
    """Requests by path, sizes of batches; no text."""
    ask(server, "/embed", {"inputs": ["a-text-that-nobody-else-sends"]})
    _, text, _ = ask(server, "/metrics")
    assert 'hybrid_search_models_requests_total{path="/embed",status="200"}' in text
    assert "nobody" not in text


class _Slow(Hashed):
    """Waits at its first call until it is let go, and keeps the sizes of its calls."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def encode_documents(self, texts):
        self.sizes.append(len(texts))
        self.begun.set()
        assert self.go.wait(30)
        return super().encode_documents(texts)


def test_who_waits_goes_together() -> None:
    """Ten callers behind a busy model are one batch, and each has the vector of its own text."""
    slow = _Slow()
    with model_server(slow) as (url, served), ThreadPoolExecutor(11) as callers:
        first = callers.submit(ask, url, "/embed", {"inputs": "first"})
        assert slow.begun.wait(30)
        others = [callers.submit(ask, url, "/embed", {"inputs": f"tea {number}"}) for number in range(10)]
        while served.room.waiting < 11:
            threading.Event().wait(0.01)
        slow.go.set()
        rows = [other.result()[1][0] for other in others]
        assert first.result()[0] == 200
    assert slow.sizes == [1, 10]
    assert np.allclose(rows, Hashed().encode_documents([f"tea {number}" for number in range(10)]).dense)


def test_too_much_waiting_is_told_to_come_again() -> None:
    """429 with Retry-After; what waits is answered all the same."""
    slow = _Slow()
    with model_server(slow, waiting=3) as (url, served), ThreadPoolExecutor(2) as callers:
        first = callers.submit(ask, url, "/embed", {"inputs": ["a", "b"]})
        assert slow.begun.wait(30)
        status, refusal, headers = ask(url, "/embed", {"inputs": ["c", "d"]})
        assert status == 429
        assert int(headers["retry-after"]) >= 1
        assert refusal["error"]["what"] == "2 texts are waiting"
        slow.go.set()
        assert first.result()[0] == 200
        assert served.room.waiting == 0


async def test_one_bad_text_fails_alone() -> None:
    """A batch that fails is asked again caller by caller."""
    calls: list[list[str]] = []

    def run(texts):
        calls.append(list(texts))
        if "bad" in texts:
            raise ValueError("bad")
        return [text.upper() for text in texts]

    with ThreadPoolExecutor(1) as thread:
        batcher: Batcher[str, str] = Batcher(run, Room(100), thread)
        outcomes = await asyncio.gather(*map(batcher.ask, (["a"], ["b"], ["bad"])), return_exceptions=True)
    assert outcomes[:2] == [["A"], ["B"]]
    assert isinstance(outcomes[2], ValueError)
    assert calls in ([["a", "b", "bad"], ["a"], ["b"], ["bad"]], [["a"], ["b", "bad"], ["b"], ["bad"]])
    assert batcher.room.waiting == 0


def test_room_is_for_so_many() -> None:
    """A request larger than all of it gets in where nothing waits, and then nothing else does."""
    room = Room(4)
    room.enter(9)
    with pytest.raises(FullError):
        room.enter(1)
    room.leave(9, 1.0)
    room.enter(1)
    assert room.rate == pytest.approx(100 + 0.2 * (9 - 100))
