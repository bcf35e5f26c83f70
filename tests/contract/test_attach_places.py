"""In which passage of an owner's document a query was found: asked for what is shown, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from test_attach import ThingEncoder, attached, made

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Answer, Request, Transport
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings


@pytest.fixture
def books(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of another owner with vectors."""
    name = index_name()
    made(connection, name)
    attached(connection, name, ThingEncoder())
    return name


def client_of(connection: Connection, name: str) -> SearchClient:
    return SearchClient(name, connection=connection, encoder=ThingEncoder(), settings=Settings())


class Recording:
    """A transport that keeps what it sends."""

    def __init__(self, inner: Transport) -> None:
        self._inner, self.where, self.bodies = inner, inner.where, list[bytes]()

    def send(self, request: Request) -> Answer:
        self.bodies.append(request.body or b"")
        return self._inner.send(request)

    def close(self) -> None:
        """What it sends by belongs to others."""


def test_passages_are_asked_for_where_they_are_shown(connection: Connection, books: str) -> None:
    """The legs name documents; in which passage the query is, is asked of the one hit of the page, by one leg."""
    expected = client_of(connection, books).search("ten stone", k=3).hits[1]
    sent = Recording(connection.transport)
    asking = client_of(replace(connection, transport=sent), books)
    sent.bodies.clear()
    [hit] = asking.search("ten stone", k=1, offset=1)
    assert (hit.id, hit.score, hit.passage_id) == (expected.id, expected.score, expected.passage_id)
    legs, places, _ = [body for body in sent.bodies if b'"query' in body]
    assert b"inner_hits" not in legs
    # two hits are fetched, the page's and the one above it: each is asked of one leg
    assert 1 <= places.count(b"inner_hits") <= 2
    assert places.count(b'"ids"') == places.count(b"inner_hits")


def test_a_page_by_cursor_shows_the_passages_that_were_found(connection: Connection, books: str) -> None:
    """Those behind the first page are asked for when they are shown."""
    client = client_of(connection, books)
    whole = client.search("stone", k=4, legs=["dense"])
    page = client.search("stone", k=1, legs=["dense"])
    paged = list(page)
    while page.cursor is not None:
        page = client.search("stone", k=1, legs=["dense"], cursor=page.cursor)
        paged += page
    assert [hit.passage_id for hit in paged] == [hit.passage_id for hit in whole]
    assert any(not hit.passage_id.endswith("#0") for hit in paged[1:])


def test_passages_that_are_ranked_have_their_places(connection: Connection, books: str) -> None:
    """Where passages are ranked and not documents, the legs say which they are."""
    found = client_of(connection, books).search("stone", k=5, legs=["dense"], collapse=False)
    assert any(hit.id == "long#1" and not hit.passage_id.endswith("#0") for hit in found)


class Refusing(Recording):
    """A transport to an engine that says of no hit where it was found."""

    def send(self, request: Request) -> Answer:
        if b"inner_hits" in (request.body or b""):
            return Answer(400, {"status": 400, "error": {"type": "parsing_exception", "reason": "no inner_hits here"}})
        return super().send(request)


def test_hits_whose_passages_are_not_said_show_their_first(connection: Connection, books: str) -> None:
    """The ranking stands, and the result says what it lacks."""
    expected = client_of(connection, books).search("ten stone", k=4)
    refusing = replace(connection, transport=Refusing(connection.transport))
    found = client_of(refusing, books).search("ten stone", k=4)
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in expected]
    assert {hit.passage_id.rpartition("#")[2] for hit in found} == {"0"}
    [warning] = {str(warning) for warning in found.warnings}
    assert "first passages" in warning
    assert "no inner_hits here" in warning
