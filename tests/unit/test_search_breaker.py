"""A model that keeps failing is not asked for a while: what searches say then, and when it is asked again."""

from __future__ import annotations

from search_fakes import PlaneEncoder, async_connection, connection
from test_search_client import respond

from hybrid_search.errors import ModelError, QueryError
from hybrid_search.records import Leg
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.breaker import FAILURES, PAUSE, CircuitBreaker
from hybrid_search.search_warnings import WarningCode


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def open_breaker(clock: Hands) -> CircuitBreaker:
    """One that three failures have opened at 0 s, for 10 s."""
    breaker = CircuitBreaker(failures=3, pause=10.0, clock=clock)
    for _ in range(3):
        breaker.failed("no memory")
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """An answer between them begins the count anew: 2 + 2 failures are none too many, 3 are."""
    breaker = CircuitBreaker(failures=3, pause=10.0, clock=Hands())
    for _ in range(2):
        breaker.failed("no memory")
        breaker.failed("no memory")
        assert breaker.admit() is None
        breaker.succeeded()
    for _ in range(3):
        breaker.failed("no memory")
    assert breaker.admit() == "it failed 3 times in a row (no memory); it is tried again in 10 s"


def test_one_call_tries_it_after_the_pause() -> None:
    """The others are refused meanwhile; if the one fails it stays open for as long again, if not it is closed."""
    clock = Hands()
    breaker = open_breaker(clock)
    clock.now = 9.9
    assert breaker.admit() is not None
    clock.now = 10.0
    assert (breaker.admit(), breaker.admit() is None) == (None, False)
    breaker.failed("no memory")
    clock.now = 19.9
    assert breaker.admit() is not None
    clock.now = 20.0
    assert breaker.admit() is None
    breaker.succeeded()
    assert [breaker.admit(), breaker.admit()] == [None, None]


def test_a_call_that_tries_it_and_is_never_made_keeps_nobody_out_for_ever() -> None:
    """It was cancelled, say: the next may try after another pause."""
    clock = Hands()
    breaker = open_breaker(clock)
    clock.now = 10.0
    breaker.admit()
    clock.now = 20.0
    assert breaker.admit() is None


class Failing(PlaneEncoder):
    """An encoder and a reranker that raise while they are ``broken``, and count how often they are asked."""

    name = "failing"

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error or RuntimeError("the server is down")
        self.broken = True
        self.asked = 0

    def encode_queries(self, texts):
        self._ask()
        return super().encode_queries(texts)

    def score(self, _, passages):
        self._ask()
        return [1.0] * len(passages)

    def _ask(self):
        self.asked += 1
        if self.broken:
            raise self.error


def answered_by_bm25(result, model) -> None:
    """The result says that the encoder is not asked, and it is not."""
    assert [hit.id for hit in result] == ["a", "b"]
    assert result.degraded == {Leg.DENSE: WarningCode.LEG_FAILED, Leg.SPARSE: WarningCode.LEG_FAILED}
    assert result.warnings[0].startswith(
        "the dense leg failed: the encoder is not asked: it failed 5 times in a row (RuntimeError); it is tried again"
        " in 10 s"
    )
    assert model.asked == FAILURES == 5


def later(client, seconds: float) -> None:
    """Have the client's encoder wait no more than it would ``seconds`` from now."""
    queue = client._workers._encoding
    clock = queue.breaker._clock
    queue.breaker._clock = lambda: clock() + seconds


def test_an_encoder_that_keeps_failing_is_not_asked() -> None:
    """BM25 answers at once; after the pause one search tries it, and then all do."""
    model = Failing()
    with SearchClient("docs", encoder=model, connection=connection(respond)) as client:
        for n in range(5):
            assert client.search(f"q{n}").degraded
        for n in range(3):
            answered_by_bm25(client.search(f"r{n}"), model)
        model.broken = False
        later(client, PAUSE)
        assert not client.search("again").degraded
        assert not client.search("and again").degraded
    assert model.asked == 7


def test_nobody_is_told_what_others_asked() -> None:
    """An error that quotes its query is told to whoever asked it; whom the breaker refuses hears of its kind alone."""
    model = Failing(ValueError("cannot encode 'my diagnosis'"))
    with SearchClient("docs", encoder=model, connection=connection(respond)) as client:
        own = [client.search("my diagnosis") for _ in range(5)]
        other = client.search("q")
    assert "my diagnosis" in own[-1].warnings[0]
    assert "5 times in a row (ValueError)" in other.warnings[0]
    assert not [warning for warning in other.warnings if "diagnosis" in warning]


async def test_nor_in_the_asynchronous_client() -> None:
    """The same queue behind it; a batch of 32 is not tried text by text either."""
    model = Failing()
    async with AsyncSearchClient("docs", encoder=model, connection=async_connection(respond)) as client:
        for n in range(5):
            assert (await client.search(f"q{n}")).degraded
        for result in await client.search_many([f"r{n}" for n in range(32)]):
            answered_by_bm25(result, model)


def test_a_reranker_that_keeps_failing_is_not_asked() -> None:
    """The fused order is the answer, and says why."""
    model = Failing()
    with SearchClient("docs", encoder=PlaneEncoder(), reranker=model, connection=connection(respond)) as client:
        results = [client.search("q") for _ in range(8)]
    assert [result.degraded for result in results] == [{"rerank": WarningCode.RERANK_FAILED}] * 8
    assert "not reranked: the reranker is not asked: it failed 5 times in a row" in results[-1].warnings[0]
    assert model.asked == 5


def test_a_text_that_is_refused_is_no_failure_of_the_encoder() -> None:
    """What the caller gave was wrong: others are encoded."""
    model = Failing(QueryError("this text is too strange"))
    with SearchClient("docs", encoder=model, connection=connection(respond)) as client:
        for n in range(12):
            client.search(f"q{n}")
    assert model.asked == 12


def test_a_failing_batch_alone_opens_nothing() -> None:
    """It is tried four times, as ever; the next search asks the encoder."""
    model = Failing(ModelError("no memory"))
    with SearchClient("docs", encoder=model, connection=connection(respond)) as client:
        assert all(result.degraded for result in client.search_many([f"q{n}" for n in range(32)]))
        model.broken = False
        assert not client.search("q").degraded
    assert model.asked == 5


def test_four_failures_are_forgotten_with_one_answer() -> None:
    """Three times over: an encoder that fails now and then is asked every time."""
    model = Failing()
    with SearchClient("docs", encoder=model, connection=connection(respond)) as client:
        for _ in range(3):
            model.broken = True
            for n in range(4):
                assert client.search(f"q{n}").degraded
            model.broken = False
            assert not client.search(f"well {model.asked}").degraded
    assert model.asked == 15
