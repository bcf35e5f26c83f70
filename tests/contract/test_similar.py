"""Documents like one of the index, on real engines: by stored vectors, terms and words, with nothing encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.errors import QueryError
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Leg, Passage
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="circle", weights="0", dimension=2),
    sparse=Fingerprint(kind="sparse", name="letters", weights="1"),
    keyword_fields=("kind",),
)
WORDS = Settings(search=SearchSettings(legs=("bm25",)))
ALL = ("bm25", "dense", "sparse")

# id -> text, angle in degrees, terms, kind
PASSAGES: Mapping[str, tuple[str, float, Mapping[str, float], str]] = {
    "a#0": ("parse a date", 0, {"1": 2.0, "2": 1.0}, "function"),
    "a#1": ("dates of the calendar", 40, {"2": 3.0}, "function"),
    "b#0": ("the date in a calendar", 20, {"2": 1.0}, "class"),
    "c#0": ("compress a stream", 25, {"1": 1.0}, "class"),
    "d#0": ("compress bytes with a calendar", 90, {"3": 1.0}, "function"),
}


def at(degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


@pytest.fixture
def index(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of :data:`PASSAGES`."""
    name = index_name()
    create_index(connection, name, SCHEMA)
    lines = b""
    for id_, (text, degrees, terms, kind) in PASSAGES.items():
        document_id, _, number = id_.rpartition("#")
        passage = Passage(Document(document_id, text, {"kind": kind}), int(number), 0, len(text))
        lines += index_action(name, EncodedPassage(passage, at(degrees), terms), connection.dialect, SCHEMA)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)
    return name


@pytest.fixture
def client(connection: Connection, index: str) -> SearchClient:
    """A client without any model."""
    return SearchClient(index, connection=connection, settings=WORDS)


def test_a_mean_of_vectors_stands_for_several_passages(client) -> None:
    """The passages of a are at 0 and 40 degrees, so at 20: b lies there, c is 5 away, d 70."""
    found = client.more_like("a", legs=["dense"])
    assert [hit.id for hit in found] == ["b", "c", "d"]
    scores = [hit.legs[Leg.DENSE].score for hit in found]
    assert scores == pytest.approx([(1 + np.cos(np.radians(apart))) / 2 for apart in (0, 5, 70)], abs=1e-6)


def test_the_largest_weights_stand_for_several_passages(client) -> None:
    """a has 2 of the term 1 and the larger of 1 and 3 of the term 2: b has 3 * 1, c has 2 * 1."""
    found = client.more_like("a", legs=["sparse"])
    assert [(hit.id, hit.legs[Leg.SPARSE].score) for hit in found] == [
        ("b", pytest.approx(3.0)),
        ("c", pytest.approx(2.0)),
    ]


def test_words_are_those_that_other_passages_have(client) -> None:
    """Of d "compress" is in c, "calendar" in b and a; "bytes" is in no other passage."""
    assert {hit.id for hit in client.more_like("d", legs=["bm25"])} == {"a", "b", "c"}


def test_all_legs_are_fused_and_filtered(client) -> None:
    """The document itself is left out, b is first in all legs, and a filter holds."""
    found = client.more_like("a", legs=ALL)
    assert [hit.id for hit in found] == ["b", "c", "d"]
    assert set(found.hits[0].legs) == {"bm25", "dense", "sparse"}
    assert [hit.id for hit in client.more_like("a", legs=ALL, filter="kind=function")] == ["d"]
    assert len(client.more_like("a", 1, legs=ALL)) == 1


def test_a_document_that_is_not_there_is_an_error(client) -> None:
    """Its id is said, and those like it."""
    with pytest.raises(QueryError, match=r"no document has the id 'aa'.*'a'"):
        client.more_like("aa")


@pytest.mark.parametrize(
    ("id_", "options", "said"),
    [
        ("", {}, "an id of 0 bytes"),
        ("a", {"k": 0}, "k is 0"),
        ("a", {"filter": "colour=red"}, "cannot filter on 'colour'"),
        ("a", {"legs": ["dence"]}, "unknown leg"),
    ],
    ids=["id", "k", "filter", "leg"],
)
def test_bad_input_is_refused(client, id_, options, said) -> None:
    """As in a search."""
    with pytest.raises(QueryError, match=said):
        client.more_like(id_, **options)


def test_both_clients_find_the_same(client, index, engine_url) -> None:
    """One procedure, two drivers."""

    async def asked():
        async with (
            await connect_async(EngineSettings(url=engine_url)) as connection,
            AsyncSearchClient(index, connection=connection, settings=WORDS) as other,
        ):
            return await other.more_like("a", legs=ALL)

    assert [hit.legs for hit in asyncio.run(asked())] == [hit.legs for hit in client.more_like("a", legs=ALL)]
