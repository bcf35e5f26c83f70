"""Indices of other people as a source, by what is peculiar about them: what is read of each, and what is refused."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from owned import MAPPINGS, article, delete, make, source_of, write

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError, RecordError, SourceError, UnsupportedError
from hybrid_search.read import documents
from hybrid_search.read.indexed import Origin
from hybrid_search.settings import DocumentSettings, EngineSettings

DOCUMENTS = DocumentSettings(
    text=("headline", "body"), title="headline", keyword=("brand",), number=("year",), date=("published",)
)


@pytest.fixture
def origin(connection: Connection) -> Iterator[Origin]:
    """The cluster as a source."""
    with closing(Origin(connect(EngineSettings(url=connection.where)))) as opened:
        yield opened


def ids(found: Any) -> list[str]:
    return [document.id for document in found]


def test_an_index_is_read_as_it_was_when_it_was_first_looked_at(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """What is written meanwhile is not seen: 120 documents, each once, with the contents of before."""
    index = index_name()
    make(connection, index)
    write(connection, index, {f"a{number}": article(number) for number in range(120)})
    source = source_of(connection, index)
    found = documents(source, DOCUMENTS, origin=origin)
    first = [next(found) for _ in range(10)]
    write(connection, index, {f"a{number}": article(number, body="Changed.") for number in range(0, 120, 2)})
    write(connection, index, {f"b{number}": article(number) for number in range(20)})
    delete(connection, index, ["a119"])
    read = [*first, *found]
    assert Counter(ids(read)) == Counter(f"a{number}" for number in range(120))
    assert not any("Changed" in document.text for document in read)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("brnd=Sony", "Did you mean 'brand'"),
        ("body=thing", "'body' is a text field"),
        ("comments.said=good", "nested object 'comments'"),
        ('{"term": ', "no valid JSON"),
        ('{"a": 1, "b": 2}', "no query of the engine"),
        (" ", "is empty"),
    ],
)
def test_a_query_that_is_none_is_refused(
    connection: Connection, index_name: Callable[[], str], origin: Origin, query: str, message: str
) -> None:
    """With what is wrong, before anything is read."""
    index = index_name()
    nested = {"type": "nested", "properties": {"said": {"type": "keyword"}}}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "comments": nested}})
    with pytest.raises(QueryError, match=message):
        list(documents(source_of(connection, index), DOCUMENTS, query=query, origin=origin))


def test_several_indices_of_one_alias(connection: Connection, index_name: Callable[[], str], origin: Origin) -> None:
    """All are read; an id that two of them have comes again, which is refused or numbered as of any source."""
    first, second, alias = index_name(), index_name(), index_name()
    for name, begin in ((first, 0), (second, 25)):
        make(connection, name)
        write(connection, name, {f"a{number}": article(number) for number in range(begin, begin + 30)})
    actions = [{"add": {"index": name, "alias": alias}} for name in (first, second)]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    source = source_of(connection, alias)
    assert len(list(documents(source, DOCUMENTS, unique_ids=False, origin=origin))) == 60
    with pytest.raises(RecordError, match="was given before"):
        list(documents(source, DOCUMENTS, origin=origin))
    numbered = DocumentSettings(text=("body",), repeated_ids="number")
    assert len(set(ids(documents(source, numbered, origin=origin)))) == 60


def test_an_index_that_keeps_no_documents_is_refused(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """There is nothing to read."""
    index = index_name()
    make(connection, index, {"_source": {"enabled": False}, **MAPPINGS})
    with pytest.raises(SourceError, match=r"keeps no documents.*_source\.enabled"):
        list(documents(source_of(connection, index), DOCUMENTS, origin=origin))


def test_fields_that_an_index_leaves_out_are_said(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """It keeps its documents without the brand; they are loaded without."""
    index, notes = index_name(), []
    make(connection, index, {"_source": {"excludes": ["brand"]}, **MAPPINGS})
    write(connection, index, {"a": article(1)})
    (read,) = documents(source_of(connection, index), DOCUMENTS, origin=origin, on_note=notes.append)
    assert "brand" not in read.fields
    assert notes == [f"{index} keeps its documents without brand"]


def test_nested_objects_come_as_lists(connection: Connection, index_name: Callable[[], str], origin: Origin) -> None:
    """Their fields are filtered on as those of any list of objects; each document is read once."""
    index = index_name()
    nested = {"type": "nested", "properties": {"by": {"type": "keyword"}}}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "comments": nested}})
    comments = [{"by": "Ann"}, {"by": "Bob"}]
    write(connection, index, {"a": article(1, comments=comments), "b": article(2)})
    settings = DocumentSettings(text=("body",), keyword=("comments.by",))
    read = {one.id: one for one in documents(source_of(connection, index), settings, origin=origin)}
    assert sorted(read) == ["a", "b"]
    assert read["a"].fields["comments"] == comments


def vectors_of(connection: Connection) -> dict[str, Any]:
    if connection.dialect.engine == "opensearch":
        return {"type": "knn_vector", "dimension": 4, "method": {"name": "hnsw", "engine": "lucene"}}
    return {"type": "dense_vector", "dims": 4, "similarity": "cosine"}


def test_vectors_are_read_where_settings_name_them(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """Also where the engine hides them from ``_source``, or keeps them as text; else they stay where they are."""
    index, notes = index_name(), []
    settings = {"index.knn": True} if connection.dialect.engine == "opensearch" else {}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "embedding": vectors_of(connection)}}, **settings)
    vector = [1.0, 2.0, 2.0, 4.0]
    write(connection, index, {"a": article(1, embedding=vector)})
    source = source_of(connection, index)
    (read,) = documents(source, DocumentSettings(text=("body",), dense="embedding"), origin=origin)
    assert read.dense is not None
    assert read.dense.tolist() == pytest.approx(vector)
    (read,) = documents(source, DocumentSettings(text=("body",)), origin=origin, on_note=notes.append)
    assert (read.dense, "embedding" in read.fields) == (None, False)
    assert "vectors in embedding are not read" in notes[0]


def test_vectors_in_base64_are_read_as_they_were_written(
    elasticsearch: Connection, new_names: Callable[[Connection], str]
) -> None:
    """Elasticsearch takes the big-endian bytes as text from 9.3 on."""
    if elasticsearch.dialect.version < (9, 3, 0):
        pytest.skip("this version takes no vectors as text")
    index = new_names(elasticsearch)
    make(elasticsearch, index, {"properties": {"embedding": vectors_of(elasticsearch), "body": {"type": "text"}}})
    text = base64.b64encode(np.array([1, 2, 2, 4], ">f4").tobytes()).decode()
    write(elasticsearch, index, {"a": {"body": "words", "embedding": text}})
    with closing(Origin(connect(EngineSettings(url=elasticsearch.where)))) as origin:
        (read,) = documents(f"es:{index}", DocumentSettings(text=("body",), dense="embedding"), origin=origin)
    assert read.dense is not None
    assert read.dense.tolist() == pytest.approx([1, 2, 2, 4])


def test_derived_documents_are_read_and_said_to_be_so(
    opensearch: Connection, new_names: Callable[[Connection], str]
) -> None:
    """OpenSearch makes them of their fields where its owner has asked for that."""
    index, notes = new_names(opensearch), []
    mappings = {"properties": {"body": {"type": "text", "store": True}, "brand": {"type": "keyword"}}}
    try:
        make(opensearch, index, mappings, **{"index.derived_source.enabled": True})
    except UnsupportedError as error:
        pytest.skip(str(error))
    write(opensearch, index, {"a": {"body": "many words", "brand": "Sony"}})
    with closing(Origin(connect(EngineSettings(url=opensearch.where)))) as origin:
        settings = DocumentSettings(text=("body",), keyword=("brand",))
        (read,) = documents(f"os:{index}", settings, origin=origin, on_note=notes.append)
    assert (read.text, read.fields) == ("many words", {"brand": "Sony"})
    assert "makes them of their fields" in notes[0]


def test_an_index_that_is_not_there_or_of_the_other_engine(connection: Connection, origin: Origin) -> None:
    """Each error says what to write instead."""
    source = source_of(connection, "no-such-index-here")
    with pytest.raises(SourceError, match="no such index"):
        list(documents(source, DOCUMENTS, origin=origin))
    other = "os" if source.startswith("es") else "es"
    with pytest.raises(SourceError, match=f"Write {source[:2]}:articles"):
        list(documents(f"{other}:articles", DOCUMENTS, origin=origin))
    with pytest.raises(SourceError, match="names no index"):
        list(documents(source[:3], DOCUMENTS, origin=origin))
