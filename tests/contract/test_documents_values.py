"""The values of a keyword field, listed by the engine: each once, in order, counted by documents."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder

from hybrid_search import Document, DocumentClient
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import QueryError
from hybrid_search.filters import Range
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(
    documents=DocumentSettings(text=("text",), keyword=("kind",), number=("size",)),
    chunking=ChunkingSettings(overlap=2),
)
LONG = " ".join(f"word{place}" for place in range(30))


@pytest.fixture
def client(connection: Connection, index_name) -> DocumentClient:
    """Documents of an index that is not there yet; passages have at most 8 words."""
    return DocumentClient(index_name(), settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection)


def test_values_are_counted_by_documents(client: DocumentClient) -> None:
    """A document of many passages counts once for each value of its list; a filter says which documents."""
    client.put(
        [
            Document("a", LONG, {"kind": ["b", "a"], "size": 1}),
            Document("b", LONG, {"kind": "b", "size": 2}),
            Document("c", "short", {"kind": "é", "size": 3}),
        ]
    )
    assert list(client.values("kind")) == [("a", 1), ("b", 2), ("é", 1)]
    assert list(client.values("kind", descending=True, limit=2)) == [("é", 1), ("b", 2)]
    assert list(client.values("kind", Range("size", gt=1))) == list(client.values("kind", "size>1"))
    assert list(client.values("kind", "size>1")) == [("b", 1), ("é", 1)]


@pytest.mark.parametrize("beginning", ["a.*", "[ab]", 'x"\\', "#&<~", "\x1f", "ä-", "a b"])
def test_a_beginning_is_taken_to_the_letter(client: DocumentClient, beginning: str) -> None:
    """No character of it is a sign of a pattern."""
    client.put([Document("a", "one", {"kind": [f"{beginning}1", f"{beginning}2", "a1", "b2", "x", "~"]})])
    assert [value for value, _ in client.values("kind", beginning=beginning)] == [f"{beginning}1", f"{beginning}2"]


def test_more_values_than_one_answer_has(client: DocumentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next begin behind the last, in both orders, and end with the beginning."""
    monkeypatch.setattr("hybrid_search.documents.values.MOST_AT_ONCE", 3)
    values = [f"v{number}" for number in range(10)]
    client.put([Document("a", "one", {"kind": [*values, "u", "w"]})])
    assert [value for value, _ in client.values("kind", beginning="v")] == values
    assert [value for value, _ in client.values("kind", beginning="v", descending=True)] == values[::-1]
    assert [value for value, _ in client.values("kind", limit=5)] == ["u", *values[:4]]


def test_what_has_no_values(client: DocumentClient) -> None:
    """An index that is not there has none, and no schema; a field of another kind is an error."""
    assert list(client.values("kind")) == []
    assert client.schema() is None
    client.put([Document("a", "one", {"size": 1})])
    assert list(client.values("kind")) == []
    schema = client.schema()
    assert schema is not None
    assert schema.keyword_fields == ("kind",)
    with pytest.raises(QueryError, match="no keyword field 'size'"):
        client.values("size")
    with pytest.raises(QueryError, match=r"a beginning of 401 characters.*Give its first"):
        client.values("kind", beginning="x" * 401)
