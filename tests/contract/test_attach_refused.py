"""What attaching vectors to an index that somebody else owns refuses, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from test_attach import ThingEncoder, attached, made, write

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IngestError, SettingsError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.attach import detach, enrich, plan_attachment
from hybrid_search.records import Document
from hybrid_search.settings import Settings


@pytest.fixture
def encoder() -> ThingEncoder:
    return ThingEncoder()


@pytest.fixture
def books(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index that its owner has made."""
    name = index_name()
    made(connection, name)
    return name


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        ({"_source": {"excludes": ["body"]}, "properties": {"body": {"type": "text"}}}, "without some fields"),
        ({"_source": {"enabled": False}, "properties": {"body": {"type": "text"}}}, "not at all"),
        ({"properties": {"body": {"type": "text"}, "hybrid_search": {"type": "keyword"}}}, "a field 'hybrid_search'"),
    ],
)
def test_what_an_update_would_harm_is_refused(
    connection: Connection, index_name: Callable[[], str], mappings: dict[str, Any], message: str
) -> None:
    """An engine writes a document anew to add to it: what it has not kept would be lost."""
    name = index_name()
    connection.send(Request.json("PUT", f"/{name}", {"mappings": mappings}))
    with pytest.raises(IndexMismatchError, match=message):
        plan_attachment(connection, name, ThingEncoder(), Settings())


def test_an_unmapped_field_of_our_name_is_not_touched(connection: Connection, index_name: Callable[[], str]) -> None:
    """It is in the documents alone, where the mapping takes no new fields: the pass ends before it is overwritten."""
    name = index_name()
    mappings = {"dynamic": "false", "properties": {"body": {"type": "text"}}}
    connection.send(Request.json("PUT", f"/{name}", {"mappings": mappings}))
    held = {"a": {"body": "whale", "hybrid_search": {"theirs": 1}}}
    write(connection, name, held)
    with pytest.raises(IngestError, match="'a' has a field 'hybrid_search' that is not ours"):
        plan_attachment(connection, name, ThingEncoder(), Settings())
    answer = connection.send(Request.json("GET", f"/{name}/_doc/a"))
    assert answer["_source"] == held["a"]


def test_an_index_without_text_is_refused(connection: Connection, index_name: Callable[[], str]) -> None:
    """So is a text field that the index has not."""
    name = index_name()
    connection.send(Request.json("PUT", f"/{name}", {"mappings": {"properties": {"year": {"type": "integer"}}}}))
    with pytest.raises(SettingsError, match="no text field"):
        plan_attachment(connection, name, ThingEncoder(), Settings())
    with pytest.raises(SettingsError, match="no field 'boddy'"):
        plan_attachment(connection, name, ThingEncoder(), Settings(), texts=["boddy"])


def test_nothing_is_loaded_into_an_attached_index(connection: Connection, books: str, encoder: ThingEncoder) -> None:
    """Its owner writes its documents; and what was never attached cannot be detached."""
    with pytest.raises(IndexMismatchError, match="nothing is attached"):
        detach(connection, books)
    attached(connection, books, encoder)
    document = Document("mine", "text")
    with pytest.raises(IndexMismatchError, match="its owner writes its documents"):
        index_documents([document], books, connection, encoder, Settings())
    with pytest.raises(IndexMismatchError, match="its owner writes its documents"):
        enrich(connection, books, encoder)


def test_an_index_of_ours_is_enriched_not_attached(
    connection: Connection, index_name: Callable[[], str], encoder: ThingEncoder
) -> None:
    """The error says which command is meant; nothing can be detached from it."""
    name = index_name()
    index_documents([Document("mine", "text")], name, connection, encoder, Settings())
    with pytest.raises(IndexMismatchError, match="enrich"):
        plan_attachment(connection, name, encoder, Settings())
    with pytest.raises(IndexMismatchError, match="nothing to detach"):
        detach(connection, name)
