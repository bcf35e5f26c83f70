"""BM25 asked while the query is encoded: in both clients, with the answer that one request after the other gives."""

from __future__ import annotations

import threading

import pytest
from search_fakes import PlaneEncoder, async_connection, bodies, connection, leg_of
from search_fakes import engine as engine_of
from test_search_client import respond
from test_search_procedure import REFUSED, RUNS, Asked

from hybrid_search.errors import ModelError
from hybrid_search.records import Leg
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import SearchSettings, Settings

OVERLAP = Settings(search=SearchSettings(overlap=True, timeout=60))


class Meeting(PlaneEncoder):
    """An encoder that answers when BM25 has been asked, and not before."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.sent: list[list[Leg | None]] = []

    def encode_queries(self, texts):
        assert self.asked.wait(30), "the engine was not asked meanwhile"
        return super().encode_queries(texts)

    def respond(self, request):
        if request.path.endswith("_msearch"):
            self.sent.append([leg_of(body) for body in bodies(request)])
            self.asked.set()
        return respond(request)


def test_bm25_does_not_wait_for_the_encoder() -> None:
    """It is sent while the encoder works; the other legs follow in one request, then the passages."""
    meeting = Meeting()
    with SearchClient("docs", settings=OVERLAP, encoder=meeting, connection=connection(meeting.respond)) as client:
        assert [hit.id for hit in client.search("q")] == ["a", "b"]
    assert meeting.sent == [[Leg.BM25], [Leg.DENSE, Leg.SPARSE], [None]]


async def test_nor_in_the_asynchronous_client() -> None:
    """The same procedure, awaited."""
    meeting = Meeting()
    given = async_connection(meeting.respond)
    async with AsyncSearchClient("docs", settings=OVERLAP, encoder=meeting, connection=given) as client:
        assert [hit.id for hit in await client.search("q")] == ["a", "b"]
    assert meeting.sent[:2] == [[Leg.BM25], [Leg.DENSE, Leg.SPARSE]]


class Broken(PlaneEncoder):
    """It fails."""

    def encode_queries(self, texts):
        raise ModelError(f"no memory for {len(texts)} texts")


CASES = {
    "well": (PlaneEncoder, {}),
    "no bm25": (PlaneEncoder, {Leg.BM25: REFUSED}),
    "no dense": (PlaneEncoder, {Leg.DENSE: REFUSED}),
    "no encoder": (Broken, {}),
}


@pytest.mark.parametrize(("encoder", "answers"), CASES.values(), ids=CASES)
def test_the_answer_is_the_same(encoder, answers) -> None:
    """Hits, reports and warnings, whatever fails; a window that passages of one document fill is asked for again."""
    runs = RUNS | {Leg.BM25: [*((f"long#{n}", 100.0 - n) for n in range(30)), ("a#0", 1.0), ("b#1", 0.5)]}
    results = [
        Asked(engine_of(runs, answers), settings=settings, encoder=encoder()).search(window=3, candidates=5, k=3)
        for settings in (Settings(), OVERLAP)
    ]
    one, other = ([result.hits, result.legs, result.fusion, result.warnings] for result in results)
    assert one == other


def test_nothing_goes_apart_where_there_is_nothing_to_encode() -> None:
    """A query with its vectors, BM25 alone, or fusion by the server: one request for the legs, as ever."""
    encoded = Asked(engine_of(RUNS), settings=OVERLAP).search().query
    asked = Asked(engine_of(RUNS), settings=OVERLAP)
    asked.search(encoded)
    asked.search(legs=["bm25"])
    asked.search(fusion="server", legs=["bm25"])
    asked.search(fusion="server")
    assert [[leg_of(body) for body in request][:3] for request in asked.sent[::2]] == [
        [Leg.BM25, Leg.DENSE, Leg.SPARSE],
        [Leg.BM25],
        [Leg.BM25],
        [Leg.BM25],
    ]
    assert "hybrid" in asked.sent[-2][0]["query"]
