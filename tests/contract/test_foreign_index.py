"""What is read of an index that its owner made: the same of both engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hybrid_search.engine import Connection
from hybrid_search.engine.foreign import FieldKind, SourceKept, foreign_index, foreign_indices, read_foreign
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IndexMissingError, RequestRefusedError

PROPERTIES: dict[str, Any] = {
    "title": {"type": "text", "analyzer": "english", "fields": {"keyword": {"type": "keyword"}}},
    "brand": {"type": "keyword"},
    "code": {"type": "keyword", "index": False},
    "price": {"type": "double"},
    "published": {"type": "date"},
    "in_stock": {"type": "boolean"},
    "shop": {"type": "geo_point"},
    "author": {"properties": {"name": {"type": "text"}}},
    "comments": {"type": "nested", "properties": {"said": {"type": "text"}}},
    "terms": {"type": "rank_features"},
    "range": {"type": "integer_range"},
}


def make(connection: Connection, name: str, mappings: Any, **settings: Any) -> None:
    """An index of its owner's making; OpenSearch is asked for vectors by a setting."""
    if connection.dialect.engine == "opensearch":
        settings["index.knn"] = True
    body = {"mappings": mappings, "settings": {"index.number_of_replicas": 0, **settings}}
    connection.send(Request.json("PUT", f"/{name}", body))


def vector(connection: Connection) -> dict[str, Any]:
    if connection.dialect.engine == "opensearch":
        method = {"name": "hnsw", "engine": "lucene"}
        return {"type": "knn_vector", "dimension": 4, "method": method}
    return {"type": "dense_vector", "dims": 4}


def test_fields_are_known_by_what_they_are_good_for(connection: Connection, index_name: Callable[[], str]) -> None:
    """Types of both engines, multi-fields, objects, and what lies in nested objects."""
    name = index_name()
    make(connection, name, {"properties": {**PROPERTIES, "embedding": vector(connection)}}, number_of_shards=2)
    found = foreign_index(connection, name)
    assert (found.name, found.shards, found.kept, found.is_ours) == (name, 2, SourceKept.WHOLE, False)
    kinds = {path: one.kind.value for path, one in found.fields.items()}
    assert kinds == {
        "author": "object",
        "author.name": "text",
        "brand": "keyword",
        "code": "keyword",
        "comments": "nested",
        "comments.said": "text",
        "embedding": "dense",
        "in_stock": "boolean",
        "price": "number",
        "published": "date",
        "range": "other",
        "shop": "geo",
        "terms": "sparse",
        "title": "text",
        "title.keyword": "keyword",
    }
    assert found.fields["embedding"].dimension == 4
    assert found.fields["title"].analyzer == "english"
    assert found.fields["title.keyword"].form_of == "title"
    assert found.fields["comments.said"].nested_in == "comments"
    assert not found.fields["code"].is_indexed
    assert [one.path for one in found.of_kind(FieldKind.TEXT)] == ["author.name", "title"]
    keyword = found.form("title", FieldKind.KEYWORD)
    assert keyword is not None
    assert keyword.path == "title.keyword"
    assert found.form("code", FieldKind.KEYWORD) is None


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ({"enabled": False}, SourceKept.NOTHING),
        ({"excludes": ["body", "author.*"]}, SourceKept.PARTLY),
    ],
    ids=["none", "partly"],
)
def test_what_an_index_keeps_of_its_documents(
    connection: Connection, index_name: Callable[[], str], source: Any, kept: SourceKept
) -> None:
    """``_source`` may be off, or leave fields out."""
    name = index_name()
    make(connection, name, {"_source": source, "properties": {"body": {"type": "text"}}})
    found = foreign_index(connection, name)
    assert found.kept == kept
    if kept is SourceKept.PARTLY:
        assert [found.leaves_out(path) for path in ("body", "author.name", "author", "title")] == [
            *(True, True),
            *(False, False),
        ]


def test_synthetic_source_is_known_by_mapping_and_by_setting() -> None:
    """Elasticsearch 8 says it in the mapping, 9 in the settings; OpenSearch calls it derived."""
    said: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"_source": {"mode": "synthetic"}}, {}),
        ({}, {"index.mapping.source.mode": "synthetic"}),
        ({}, {"index.derived_source.enabled": "true"}),
    ]
    for mappings, settings in said:
        found = read_foreign("one", mappings, {"index.uuid": "u", **settings}, "http://here")
        assert found.kept is SourceKept.SYNTHETIC


def test_a_name_of_several_indices(connection: Connection, index_name: Callable[[], str]) -> None:
    """An alias may stand for several; where one is wanted they are named."""
    first, second, alias = index_name(), index_name(), index_name()
    for name in (first, second):
        make(connection, name, {"properties": {"brand": {"type": "keyword"}}})
    actions = [{"add": {"index": name, "alias": alias}} for name in (first, second)]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    assert [one.name for one in foreign_indices(connection, alias)] == sorted((first, second))
    with pytest.raises(IndexMismatchError, match=f"several indices: .*{second}"):
        foreign_index(connection, alias)


def test_a_name_that_is_none(connection: Connection, index_name: Callable[[], str]) -> None:
    """A missing index and a pattern are refused."""
    with pytest.raises(IndexMissingError):
        foreign_index(connection, index_name())
    with pytest.raises(RequestRefusedError):
        foreign_index(connection, "articles-*")
