"""Models behind an address: services that the tests write, good and bad, and what becomes of their answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.remote import post
from hybrid_search.encode.remote.approximate import ApproximateSpans
from hybrid_search.errors import ModelError, ModelUnavailableError, SettingsError
from hybrid_search.probes import PROBE
from hybrid_search.read.settings_file import load_settings, to_toml
from hybrid_search.records import Fingerprint
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

KEY = "a-key-that-nobody-may-see"
Answer = tuple[int, Any, dict[str, str]]
Service = Callable[[str, Any], Answer | Any]


class Asked(list[tuple[str, Any, str | None]]):
    """Path, body and ``Authorization`` of every request."""


@contextmanager
def service(answer: Service) -> Iterator[tuple[str, Asked]]:
    """A service on loopback whose answers a function gives: a body, or status, body and headers."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Not on the terminal."""

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: Any) -> None:
            asked.append((self.path, body, self.headers["authorization"]))
            found = answer(self.path, body)
            status, said, headers = found if isinstance(found, tuple) else (200, found, {})
            sent = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(sent))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = threading.Thread(target=server.serve_forever, args=(0.01,))
    running.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        running.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr(post, "BACKOFF", 0.0)


def vector(text: str) -> list[float]:
    """Three numbers that tell texts apart; 64 more that are the same, as a model's are not."""
    return [len(text), text.count("e"), text.count("a") + 1.0]


def openai(path: str, body: Any) -> Any:
    """OpenAI's interface, its rows in another order than the texts."""
    assert path == "/v1/embeddings"
    rows = [{"index": number, "embedding": vector(text)} for number, text in enumerate(body["input"])]
    return {"data": rows[::-1], "model": body["model"]}


def dense_settings(url: str, **keys: Any) -> Settings:
    given = {"url": url, "service": "openai", "model": "small", "api_key": KEY, **keys}
    return Settings(dense=DenseSettings(**given), sparse=SparseSettings(model="none"))


def test_openai() -> None:
    """Vectors in the order of the texts, by the key, in batches of ``batch_size``."""
    with service(openai) as (url, asked):
        encoder = load_encoder(dense_settings(url + "/v1", batch_size=2, dimension=3))
        texts = ["tea", "coffee", "rice", "water", ""]
        found = encoder.encode_documents(texts).dense
    assert found.tolist() == [vector(text or " ") for text in texts]
    sizes = sorted(len(body["input"]) for _, body, _ in asked[1:])
    assert sizes == [1, 2, 2]
    assert {(body["model"], body["dimensions"], key) for _, body, key in asked} == {("small", 3, f"Bearer {KEY}")}


def test_prompts_are_put_before() -> None:
    """Queries and passages are told apart by them where the service knows no roles."""
    with service(openai) as (url, asked):
        encoder = load_encoder(dense_settings(url + "/v1", query_prompt="query: ", document_prompt="passage: "))
        encoder.encode_queries(["tea"])
        encoder.encode_documents(["tea"])
    assert [body["input"] for _, body, _ in asked[1:]] == [["query: tea"], ["passage: tea"]]


def test_cohere() -> None:
    """Roles, and scores in any order."""

    def answer(path: str, body: Any) -> Any:
        if path == "/v2/embed":
            return {"embeddings": {"float": [vector(text) for text in body["texts"]]}}
        assert path == "/v2/rerank"
        rows = [{"index": n, "relevance_score": len(text) / 10} for n, text in enumerate(body["documents"])]
        return {"results": sorted(rows, key=lambda row: -row["relevance_score"])}

    with service(answer) as (url, asked):
        encoder = load_encoder(dense_settings(url, service="cohere"))
        assert encoder.encode_queries(["tea"]).dense.tolist() == [vector("tea")]
        reranker = load_reranker(Settings(rerank=RerankSettings(url=url, service="cohere", model="rank")))
        assert reranker.score("tea", ["one", "three"]) == pytest.approx([0.3, 0.5])
    assert [body.get("input_type") for _, body, _ in asked] == ["search_document", "search_query", None]


def tei(path: str, body: Any) -> Any:
    """Text Embeddings Inference, whose tokens count bytes."""
    match path:
        case "/info":
            return {"model_id": "org/model", "model_sha": "abc", "max_input_length": 128}
        case "/embed":
            assert "prompt_name" not in body
            return [vector(text) for text in body["inputs"]]
        case "/embed_sparse":
            return [[{"index": len(text), "value": 1.5}, {"index": 7, "value": 0.0}] for text in body["inputs"]]
        case "/rerank":
            return [{"index": n, "score": float(n)} for n in reversed(range(len(body["texts"])))]
        case "/tokenize":
            return [[_token(text, word) for word in text.split()] for text in body["inputs"]]
    return 404, {}, {}


def _token(text: str, word: str) -> dict[str, Any]:
    start = len(text[: text.index(word)].encode())
    return {"id": 1, "text": word, "special": False, "start": start, "stop": start + len(word.encode())}


def test_a_foreign_tei_server() -> None:
    """Its model is known by name, revision and a probe; tokens that count bytes become characters."""
    with service(tei) as (url, _):
        settings = Settings(
            dense=DenseSettings(url=url, query_prompt="q: "),
            sparse=SparseSettings(url=url),
            rerank=RerankSettings(url=url, model="served"),
        )
        encoder = load_encoder(settings)
        found = encoder.encode_queries(["tea"])
        spans = encoder.tokenizer.spans(["thé vert", "", "日本 茶"])
        scores = load_reranker(settings).score("tea", ["a", "b", "c"])
    assert found.dense.tolist() == [vector("q: tea")]
    assert found.sparse == [{"3": 1.5}]
    assert spans == [[(0, 3), (4, 8)], [], [(0, 2), (3, 4)]]
    assert scores.tolist() == [0, 1, 2]
    assert encoder.dense.name == "org/model"
    assert (encoder.dense.dimension, encoder.max_tokens) == (3, 126)


def test_another_model_than_the_settings_name() -> None:
    """Both names are in the error."""
    with service(tei) as (url, _), pytest.raises(ModelError, match=r"it serves org/model, and dense.model is mine"):
        load_encoder(Settings(dense=DenseSettings(url=url, model="mine"), sparse=SparseSettings(model="none")))


def test_a_probe_tells_models_apart() -> None:
    """The same model with other last digits is the same; another is not: cosine of (1, 0) and (1, 1) is .707."""
    one, near, other = (
        Fingerprint("dense", "n", "", extra={"service": "openai", PROBE: probe})
        for probe in ([1.0, 0.0], [1.0, 0.0001], [1.0, 1.0])
    )
    assert not one.difference(near)
    assert one.difference(other) == ["probe: the vectors of one text have cosine 0.707"]
    assert one.difference(Fingerprint("dense", "n", "", extra={"service": "openai"}))


def test_a_busy_service_is_asked_again() -> None:
    """429 twice, then the vectors."""
    left = [429, 503]

    def answer(path: str, body: Any) -> Any:
        return (left.pop(), {}, {"retry-after": "0"}) if left else openai(path, body)

    with service(answer) as (url, asked):
        assert load_encoder(dense_settings(url + "/v1")).dense.dimension == 3
    assert len(asked) == 3


def test_one_that_stays_busy() -> None:
    """The error says how often it was asked, and has neither the key nor the text."""
    busy = r"the service is busy \(503\) after 5 tries"
    with (
        service(lambda *_: (503, {"said": KEY}, {})) as (url, asked),
        pytest.raises(ModelUnavailableError, match=busy) as raised,
    ):
        load_encoder(dense_settings(url + "/v1"))
    assert len(asked) == 5
    assert KEY not in str(raised.value)


def test_no_service_decides_how_long_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may ask for an hour; a search waits no longer than between other tries: 4 times before 5 tries."""
    waited: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waited.append)
    with service(lambda *_: (503, {}, {"retry-after": "3600"})) as (url, asked), pytest.raises(ModelUnavailableError):
        load_encoder(dense_settings(url + "/v1"))
    assert len(asked) == 5
    assert waited == [post.LONGEST_BACKOFF] * 4


def test_nobody_answers() -> None:
    """The setting is named."""
    with service(openai) as (url, _):
        pass
    with pytest.raises(ModelUnavailableError, match="the service does not answer"):
        load_encoder(dense_settings(url + "/v1"))


@pytest.mark.parametrize(
    ("status", "said"), [(401, "Give the key"), (403, "Check the key"), (404, "dense.service"), (400, "dense.model")]
)
def test_refusals(status, said) -> None:
    """Each says what to look at; what the service says is not repeated."""
    with (
        service(lambda *_: (status, {"message": KEY}, {})) as (url, _),
        pytest.raises(ModelError, match=said) as raised,
    ):
        load_encoder(dense_settings(url + "/v1"))
    assert KEY not in str(raised.value)


def test_redirects_are_not_followed() -> None:
    """The key would go to an address that nobody gave."""
    with service(openai) as (other, taken):
        moved = 307, {}, {"location": other}
        with service(lambda *_: moved) as (url, _), pytest.raises(ModelError, match="answers 307"):
            load_encoder(dense_settings(url + "/v1"))
        assert not taken


def test_a_batch_that_is_too_large_is_halved() -> None:
    """413 for more than two texts: all vectors come, in order."""

    def answer(path: str, body: Any) -> Any:
        return (413, {}, {}) if len(body["input"]) > 2 else openai(path, body)

    texts = [f"text {'e' * n}" for n in range(7)]
    with service(answer) as (url, _):
        found = load_encoder(dense_settings(url + "/v1")).encode_documents(texts).dense
    assert found.tolist() == [vector(text) for text in texts]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, float("nan"), 0.0]], "not finite|no JSON"),
        ([[1.0, 2.0]], "2 components, and gave 3"),
        ([[1.0, 2.0, 3.0]] * 2, "2 answers for 1 texts"),
        ([["x", 2, 3]], "no vectors"),
        ([[]], "no vectors"),
        ([None], "no vectors"),
    ],
)
def test_what_is_no_vector(rows, said) -> None:
    """Nothing of it becomes part of an index."""
    first = [True]

    def answer(path: str, body: Any) -> Any:
        if first:
            first.pop()
            return openai(path, body)
        return {"data": [{"index": n, "embedding": row} for n, row in enumerate(rows)]}

    with service(answer) as (url, _):
        encoder = load_encoder(dense_settings(url + "/v1"))
        with pytest.raises(ModelError, match=said):
            encoder.encode_documents(["tea"])


@pytest.mark.parametrize("said", [b"<html>", [], {"data": None}, {"data": [{"index": "x"}]}])
def test_what_is_no_answer(said) -> None:
    """A page, a list, nothing: the service is none of this kind."""
    with service(lambda *_: said) as (url, _), pytest.raises(ModelError, match=r"no JSON|not understood"):
        load_encoder(dense_settings(url + "/v1"))


def test_scores_that_are_missing() -> None:
    """A passage without a score is an error, not a zero."""

    def answer(path: str, body: Any) -> Any:
        return tei(path, body)[:-1] if path == "/rerank" else tei(path, body)

    with service(answer) as (url, _):
        reranker = load_reranker(Settings(rerank=RerankSettings(url=url, model="served")))
        with pytest.raises(ModelError, match="2 scores for 3 passages"):
            reranker.score("tea", ["a", "b", "c"])


def test_no_key_is_shown() -> None:
    """Not in a repr, and not in written settings."""
    settings = dense_settings("http://127.0.0.1:1/v1")
    assert KEY not in repr(settings)
    assert KEY not in to_toml(settings)
    assert KEY not in repr(post.Service.of("dense", settings.dense))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"url": "ftp://x"}, r"dense\.url: is no address"),
        ({"url": "http://me:secret@host"}, r"dense\.url: holds a login"),
        ({"url": "http://host/v1?key=secret"}, r"dense\.url: is no address"),
        ({"api_key": KEY}, r"dense\.api_key: is of no use without dense\.url"),
        ({"service": "openai"}, r"dense\.service: is of no use without dense\.url"),
        ({"url": "http://host", "service": "cohear"}, r"must be one of tei, openai, cohere"),
        ({"url": "http://host", "api_key": "two\nlines"}, r"dense\.api_key: holds a character"),
        ({"url": "http://host", "timeout": 0}, r"dense\.timeout"),
        ({"url": "http://host", "concurrency": 0}, r"dense\.concurrency"),
    ],
)
def test_wrong_settings(keys, said) -> None:
    """Each names its key, and repeats no secret."""
    with pytest.raises(SettingsError, match=said) as raised:
        DenseSettings(**keys)
    assert "secret" not in str(raised.value)


def test_a_key_from_the_environment() -> None:
    """With the line break that the file of a secret ends with."""
    environment = {"HYBRID_SEARCH_DENSE_URL": "http://host", "HYBRID_SEARCH_DENSE_API_KEY": KEY + "\n"}
    assert load_settings(None, {}, environment).dense.api_key == KEY


def test_models_that_cannot_be_apart() -> None:
    """The starter head and late reranking read the dense model, which is elsewhere."""
    far = DenseSettings(url="http://127.0.0.1:1")
    with pytest.raises(SettingsError, match="which shares the dense model's pass"):
        load_encoder(Settings(dense=far))
    with pytest.raises(SettingsError, match="which reads the dense model's token states"):
        load_encoder(Settings(dense=far, sparse=SparseSettings(model="none"), rerank=RerankSettings(model="late")))


@given(st.text(max_size=200))
def test_guessed_tokens_cover_a_text(text) -> None:
    """Every character that is no space is in one of them, once."""
    spans = ApproximateSpans().spans([text])[0]
    covered = [place for start, end in spans for place in range(start, end)]
    assert covered == sorted(set(covered))
    assert [place for place, character in enumerate(text) if not character.isspace() and place not in covered] == []


def test_guessed_tokens_are_rather_too_many() -> None:
    """Four letters or a sign each, and each character of scripts without spaces."""
    assert len(ApproximateSpans().spans(["The survey, finished."])[0]) == 1 + 2 + 1 + 2 + 1
    assert len(ApproximateSpans().spans(["日本語"])[0]) == 3


def test_numbers_stay_float32() -> None:
    """As local encoders give them."""
    with service(openai) as (url, _):
        assert load_encoder(dense_settings(url + "/v1")).encode_queries(["tea"]).dense.dtype == np.float32
