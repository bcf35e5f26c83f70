"""Documents by their ids on every engine: what is put comes back to the letter, whatever passages it was stored as."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept_documents import BRIEF, LONG, OTHER, SETTINGS
from loading import DENSE, SPARSE, GeneratedEncoder

from hybrid_search import AsyncDocumentClient, Document, DocumentClient, SearchClient
from hybrid_search.engine import indices
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IngestError, ModelError, QueryError, RecordError
from hybrid_search.filters import Eq, Exists, Range
from hybrid_search.records import EncodedPassage, IndexSchema, Passage
from hybrid_search.settings import DenseSettings, Settings, SparseSettings


@pytest.fixture
def name(index_name) -> str:
    """An index that is not there yet."""
    return index_name()


@pytest.fixture
def client(connection: Connection, name: str) -> DocumentClient:
    """Its documents; passages have at most 8 words."""
    return DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection)


def test_an_index_that_is_not_there_holds_nothing(connection, client, name):
    """Reading and deleting find nothing, make nothing, and are no errors; nor is to put nothing."""
    assert client.get(["a"]) == []
    assert list(client.find()) == list(client.find(Eq("kind", "a"))) == []
    assert client.count() == client.count("kind=a") == 0
    assert client.delete(["a"]) == client.delete_where(None) == 0
    assert client.put([]).documents == 0
    assert not indices.exists(connection, name)


def test_what_is_put_comes_back_and_is_found_at_once(connection, client, name):
    """Documents of one and of several passages, their white space and fields included; in the order asked for."""
    report = client.put([BRIEF, LONG, OTHER])
    assert (report.documents, report.indexed) == (3, 3)
    assert indices.count(connection, name) > 3
    assert client.get(["other", "absent", "long", "other", "brief"]) == [OTHER, LONG, BRIEF]
    assert client.count() == 3
    with SearchClient(name, encoder=GeneratedEncoder(), connection=connection) as search:
        assert search.search("eleven", legs=["bm25"]).hits[0].id == "long"


def test_what_is_put_again_takes_the_place(connection, client, name):
    """The shorter text leaves no passage of the longer one; what is the same is not sent; of two of an id the later."""
    client.put([LONG, OTHER])
    shorter = replace(LONG, text="eleven", fields={})
    report = client.put([LONG, OTHER, shorter])
    assert (report.indexed, report.unchanged) == (1, 1)
    assert client.get(["long"]) == [shorter]
    assert indices.count(connection, name) == 2


def test_filters_are_those_of_searches(client):
    """As objects and as text, over whole documents; a field that is not filtered on is an error before anything."""
    client.put([BRIEF, LONG, OTHER])
    assert [found.id for found in client.find(Eq("kind", "a"))] == ["brief", "other"]
    assert list(client.find(Exists("size") & ~Range("size", lt=2))) == [OTHER]
    assert client.count("kind=a or kind=b") == 3
    assert client.count("size>1") == 1
    for ask in (client.find, client.count, client.delete_where):
        with pytest.raises(QueryError, match="colour"):
            ask("colour=red")


def test_find_gives_all_in_the_order_of_ids_page_by_page(client, monkeypatch):
    """Pages of 3 passages, so that documents lie over their edges; a limit counts documents."""
    monkeypatch.setattr("hybrid_search.documents.reading.PAGE", 3)
    documents = [replace(LONG, id=f"d{number}", text=f"{number}{LONG.text}") for number in range(9)]
    client.put(documents)
    assert list(client.find()) == documents
    assert list(client.find(limit=4)) == documents[:4]
    assert list(client.find(limit=0)) == []
    assert client.get([one.id for one in reversed(documents)]) == documents[::-1]


def test_find_sees_the_moment_at_which_it_began(client, monkeypatch):
    """Documents that are deleted and put while it is read change nothing."""
    monkeypatch.setattr("hybrid_search.documents.reading.PAGE", 1)
    client.put([BRIEF, OTHER])
    found = client.find()
    first = next(found)
    client.delete(["other"])
    client.put([replace(OTHER, id="zz")])
    assert [first, *found] == [BRIEF, OTHER]


def test_a_moment_is_given_up(connection, client, name):
    """Nothing is kept on the engine when a reader stops in the middle: the next moment is the only one that is open."""
    client.put([BRIEF, OTHER])
    for _ in range(3):
        found = client.find()
        next(found)
        found.close()
    opened = connection.send(Request.json("GET", f"/{name}/_stats/search"))["indices"][name]["total"]["search"]
    assert opened.get("point_in_time_current", opened["open_contexts"]) == 0


def test_deleting_counts_documents_that_were_there(connection, client, name):
    """Not passages, and not what is absent; what is left is what was not named."""
    client.put([BRIEF, LONG, OTHER])
    assert client.delete(["long", "absent", "long"]) == 1
    assert client.delete(["long"]) == 0
    assert client.delete([]) == 0
    assert [found.id for found in client.find()] == ["brief", "other"]
    assert client.delete_where("size>=3") == 1
    assert client.delete_where(None) == 1
    assert (client.count(), indices.count(connection, name)) == (0, 0)
    assert indices.exists(connection, name)


def test_an_alias_is_an_index_as_far_as_it_shows_it(connection, client, name, new_names):
    """Through a filtered alias only what it shows is read, counted and deleted; what is put goes to the index."""
    client.put([BRIEF, LONG, OTHER])
    alias = new_names(connection)
    shows = {"index": name, "alias": alias, "filter": {"term": {"filter.kind": "a"}}}
    connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": shows}]}))
    shown = DocumentClient(alias, settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection)
    assert shown.get(["brief", "long", "other"]) == [BRIEF, OTHER]
    assert (shown.count(), shown.count("size>1")) == (2, 1)
    shown.put([replace(BRIEF, text="changed")])
    assert [found.text for found in shown.find()] == ["changed", OTHER.text]
    assert shown.delete(["long", "brief"]) == 1
    assert shown.delete_where(None) == 1
    assert [found.id for found in client.find()] == ["long"]


def test_documents_of_another_source_are_not_overwritten(connection, client, name):
    """Nor lost; they are read and deleted by anybody."""
    client.put([BRIEF])
    other = DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection, source="theirs")
    with pytest.raises(IngestError, match="belong to the source 'documents'"):
        other.put([replace(BRIEF, text="taken")])
    assert other.get(["brief"]) == [BRIEF]
    assert other.delete(["brief"]) == 1


def test_an_encoder_without_sparse_vectors_makes_an_index_without(connection, name):
    """A framework's own embeddings: the dense leg and BM25, and no model of the settings is looked for."""
    encoder = GeneratedEncoder(sparse=None)
    client = DocumentClient(name, settings=SETTINGS, encoder=encoder, connection=connection)
    client.put([BRIEF, LONG])
    assert indices.open_index(connection, name).schema.sparse is None
    with SearchClient(name, encoder=encoder, connection=connection) as search:
        assert search.search("three words only").hits[0].id == "brief"


def test_documents_bring_vectors_of_their_own(connection, name):
    """No encoder and no model: the settings say the dimension, and a client that reads knows it from the index."""
    settings = Settings(dense=DenseSettings(model="precomputed", dimension=3), sparse=SparseSettings(model="none"))
    client = DocumentClient(name, settings=settings, connection=connection)
    vector = np.array([3.0, 0.0, 4.0], np.float32)
    client.put([Document("v", "a text of\n\nits own ", {}, vector)])
    plain, carried = client.get(["v"]), client.get(["v"], vectors=True)
    assert (plain[0].dense, plain[0].text) == (None, "a text of\n\nits own ")
    np.testing.assert_allclose(carried[0].dense, vector, rtol=1e-6)
    later = DocumentClient(name, settings=Settings(), connection=connection)
    later.put([Document("w", "another", {}, vector)])
    assert later.count() == 2
    with pytest.raises(RecordError, match=r"shape \(2,\), the index takes \(3,\)"):
        later.put([Document("x", "short", {}, vector[:2])])


def test_sparse_vectors_come_back_too(client):
    """Of a document of one passage, term by term."""
    client.put([replace(BRIEF, sparse={"12": 0.5, "a.b": 2.0}), LONG])
    brief, long = client.get(["brief", "long"], vectors=True)
    assert brief.sparse == {"12": 0.5, "a.b": 2.0}
    assert (long.dense, long.sparse) == (None, None)


def test_bad_documents_are_named_and_nothing_before_them_is_lost(client):
    """An empty text, an id that is a number, and something else altogether."""
    with pytest.raises(RecordError, match="document 'empty': the text is empty"):
        client.put([BRIEF, Document("empty", " ")])
    with pytest.raises(RecordError, match=r"document 1: the id is 7, no string"):
        client.put([OTHER, Document(7, "text")])  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="document 0: a str is no document"):
        client.put(["text"])  # type: ignore[list-item]
    assert client.get(["brief"]) == [BRIEF]


def test_an_index_of_others_is_refused(connection, name, client):
    """It is not read as if it were one of ours."""
    connection.send(Request.json("PUT", f"/{name}"))
    for ask in (lambda: client.get(["a"]), client.find, client.count, lambda: client.delete(["a"])):
        with pytest.raises(IndexMismatchError, match="was not made by hybrid-search"):
            ask()


def test_another_model_is_refused_and_nothing_changes(connection, client, name):
    """The vectors of an index belong to one model."""
    client.put([BRIEF])
    other = GeneratedEncoder(dense=replace(DENSE, weights="2" * 16), sparse=SPARSE)
    with pytest.raises(IndexMismatchError, match="other models"):
        DocumentClient(name, settings=SETTINGS, encoder=other, connection=connection).put([OTHER])
    assert list(client.find()) == [BRIEF]


def test_what_the_encoder_fails_at_is_not_put(connection, client, name):
    """Its error is raised, and the document that was there stays."""

    class Failing(GeneratedEncoder):
        def encode_documents(self, texts):
            raise ModelError(f"no memory for {len(texts)}")

    client.put([BRIEF])
    with pytest.raises(ModelError, match="no memory for 1"):
        DocumentClient(name, settings=SETTINGS, encoder=Failing(), connection=connection).put(
            [replace(BRIEF, text="x")]
        )
    assert client.get(["brief"]) == [BRIEF]


def test_a_refused_change_is_told_as_such(elasticsearch, new_names):
    """Elasticsearch takes no field named by a blank; the vector that is there still is the old one, and not misread."""
    settings = {"settings": SETTINGS, "encoder": GeneratedEncoder(), "connection": elasticsearch}
    with DocumentClient(new_names(elasticsearch), **settings) as client:
        client.put([BRIEF])
        with pytest.raises(IngestError, match="Field name cannot contain only whitespace"):
            client.put([replace(BRIEF, text="changed", fields={" ": 1})])
        assert client.get(["brief"]) == [BRIEF]


async def test_an_event_loop_is_not_blocked(connection, name):
    """The same calls awaited, while the loop goes on."""
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    options = {"settings": SETTINGS, "encoder": GeneratedEncoder(), "connection": connection}
    async with await AsyncDocumentClient.open(name, **options) as client:
        await client.put([BRIEF, LONG, OTHER])
        assert await client.get(["long"]) == [LONG]
        assert [found.id async for found in client.find()] == ["brief", "long", "other"]
        assert await client.count("kind=a") == 2
        assert await client.delete(["brief"]) == 1
        assert await client.delete_where(None) == 2
    turning.cancel()
    assert turns > 10


def test_passages_of_before_come_back_with_spaces(connection, client, name):
    """They do not say which white space is between them: as many spaces stand there, so that offsets stay right."""
    client.put([BRIEF])
    schema: IndexSchema = indices.open_index(connection, name).schema
    whole = Document("old", "one\n\ntwo\n")
    lines = b""
    for number, (start, end) in enumerate([(0, 3), (5, 8)]):
        bare = replace(whole, text="one  two")
        vectors = GeneratedEncoder().encode_documents(["one"])
        passage = EncodedPassage(Passage(bare, number, start, end), vectors.dense[0], vectors.sparse[0])
        lines += index_action(name, passage, connection.dialect, schema)
    assert not connection.send(bulk_request(lines))["errors"]
    indices.refresh(connection, name)
    assert client.get(["old"])[0].text == "one  two"


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)
spaces = st.sampled_from([" ", "  ", "\n", "\n\n", "\t", "\r\n", "\u3000", ". ", "\x1f"])
texts = st.lists(st.tuples(words, spaces).map("".join), min_size=1, max_size=60).map("".join)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words.filter(str.strip), inner, max_size=3),
    max_leaves=8,
)
names = words.filter(lambda name: name.strip() and name not in {"kind", "size", "title"})
fields = st.dictionaries(names, values, max_size=4)


@pytest.fixture(scope="module")
def shared_client(connection: Connection):
    """An index for all examples."""
    name = f"put-and-get-{id(connection):x}"
    with DocumentClient(name, settings=SETTINGS, encoder=GeneratedEncoder(), connection=connection) as client:
        yield client
    connection.transport.send(Request.json("DELETE", f"/{name}", ignore_unavailable="true"))


@given(given_texts=st.lists(st.tuples(texts, fields), min_size=1, max_size=8))
@hypothesis.settings(max_examples=15, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_whatever_is_put_comes_back(shared_client, given_texts):
    """Any text that is not blank, cut wherever sentences and words end, and any fields that JSON can say."""
    documents = [
        Document(f"{number}", composed, held)
        for number, (text, held) in enumerate(given_texts)
        if (composed := unicodedata.normalize("NFC", text)).strip()
    ]
    shared_client.put(documents)
    assert shared_client.get([one.id for one in documents]) == documents
