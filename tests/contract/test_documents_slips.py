"""Slips of callers on every engine: nothing is deleted that was not meant, and a broken-off reading ends at once."""

from __future__ import annotations

import asyncio
import time

import pytest
from kept_documents import BRIEF, LONG, OTHER, SETTINGS
from loading import GeneratedEncoder

from hybrid_search import AsyncDocumentClient, Document, DocumentClient
from hybrid_search.documents.reading import Reading
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import InputError, QueryError
from hybrid_search.filters import And, Eq, Filter, In, Not, Or


@pytest.fixture
def client(connection: Connection, index_name) -> DocumentClient:
    """Three documents, and those that a text taken for a list of its letters would name."""
    made = DocumentClient(index_name(), settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection)
    made.put([BRIEF, LONG, OTHER, *(Document(letter, "a letter") for letter in "brief")])
    return made


def test_a_text_is_no_list_of_ids(client) -> None:
    """One id without its list would name the documents of its letters: nothing is deleted, and nothing read."""
    for call in (client.delete, client.get):
        with pytest.raises(InputError, match=r"the ids are one text, 'brief'") as raised:
            call("brief")
        assert raised.value.remedy == "Give a list: ['brief']"
    assert client.count() == 8


@pytest.mark.parametrize(
    "filter",
    [
        And(()),
        And((And(()), Not(Or(())))),
        Not(In("kind", ())),
        Or((Eq("kind", "a"), And(()))),
        Not(Not(And(()))),
    ],
)
def test_a_filter_without_a_condition_deletes_nothing(client, filter: Filter) -> None:
    """What is left of a filter whose conditions were left out passes everything; only None deletes all."""
    with pytest.raises(QueryError, match="the filter has no condition: every document passes it"):
        client.delete_where(filter)
    assert client.count() == client.count(filter) == 8
    assert client.delete_where(In("kind", ())) == 0
    assert client.delete_where(And((And(()), Eq("kind", "b")))) == 1
    assert client.delete_where(None) == 7


async def test_a_reading_that_is_cancelled_is_cancelled(client, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a page is read, a timeout is what the caller hears of, and the engine is told to keep nothing more."""
    ended = []
    whole = Reading._restored_at_once

    def slowly(self, query):
        try:
            time.sleep(0.3)
            yield from whole(self, query)
        finally:
            ended.append(True)

    monkeypatch.setattr(Reading, "_restored_at_once", slowly)
    reading = AsyncDocumentClient(client)

    async def read() -> list[Document]:
        return [one async for one in reading.find()]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.05)
    assert ended == [True]
    assert [one.id async for one in reading.find("kind=b")] == ["long"]


def test_a_limit_below_nothing(client) -> None:
    """It is no limit; nothing of it reaches the engine."""
    with pytest.raises(QueryError, match="a limit of -1"):
        client.find(limit=-1)
    assert list(client.find(limit=0)) == []
