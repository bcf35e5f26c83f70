"""A client that has been told so knows what an index has gained since it was opened."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMissingError, QueryError
from hybrid_search.ingest import index_documents
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

ENCODER = GeneratedEncoder()


@pytest.fixture
def grown(connection, index_name):
    """An index that is not filtered on by place, and what makes it so by two more documents."""
    name = index_name()
    index_documents(documents(2), name, connection, ENCODER, Settings())

    def grow() -> None:
        settings = Settings(documents=DocumentSettings(number=("place",)))
        index_documents(documents(2, first=2), name, connection, ENCODER, settings)

    return name, grow


def test_a_field_that_was_added_can_be_filtered_on_after_reopening(connection, grown) -> None:
    """Of four documents one has the place 3; before, the field is unknown to the client."""
    name, grow = grown
    with SearchClient(name, settings=Settings(), encoder=ENCODER, connection=connection) as client:
        grow()
        with pytest.raises(QueryError, match="place"):
            client.search("w3x0", filter="place=3")
        client.reopen()
        assert [hit.id for hit in client.search("w3x0", filter="place=3")] == ["d3"]


async def test_the_asynchronous_client_reopens_too(engine_url, grown) -> None:
    """The same, awaited."""
    name, grow = grown
    settings = Settings(engine=EngineSettings(url=engine_url))
    async with AsyncSearchClient(name, settings=settings, encoder=ENCODER) as client:
        grow()
        with pytest.raises(QueryError, match="place"):
            await client.search("w3x0", filter="place=3")
        await client.reopen()
        assert [hit.id for hit in await client.search("w3x0", filter="place=3")] == ["d3"]


def test_an_index_that_is_gone_is_said_so(connection, grown) -> None:
    """Reopening does not hide it."""
    name, _ = grown
    with SearchClient(name, settings=Settings(), encoder=ENCODER, connection=connection) as client:
        connection.send(Request.json("DELETE", f"/{name}"))
        with pytest.raises(IndexMissingError):
            client.reopen()
