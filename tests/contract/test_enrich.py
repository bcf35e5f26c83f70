"""Loaded at once, encoded later: found by words from the beginning, and by vectors as they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from loading import DENSE, SPARSE, GeneratedEncoder, documents

from hybrid_search.engine import Connection
from hybrid_search.engine.coverage import coverage
from hybrid_search.engine.indices import open_index
from hybrid_search.errors import IndexMismatchError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.attach import PassOptions, enrich
from hybrid_search.search import SearchClient
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import Settings

SETTINGS = Settings()


def loaded(connection: Connection, name: str, count: int, *, later: bool = True, first: int = 0) -> None:
    """Documents of two passages each."""
    found = documents(count, words=12, first=first)
    index_documents(found, name, connection, GeneratedEncoder(), SETTINGS, vectors_later=later)


def client(connection: Connection, name: str, encoder: GeneratedEncoder | None = None) -> SearchClient:
    return SearchClient(name, connection=connection, encoder=encoder or GeneratedEncoder(), settings=SETTINGS)


def had(connection: Connection, name: str) -> tuple[int, int]:
    found = coverage(connection, name, open_index(connection, name).schema)
    return found.vectors, found.of


def test_texts_are_found_before_they_are_encoded(connection: Connection, index_name: Callable[[], str]) -> None:
    """BM25 answers at once, the other legs say that they see nothing, and no warning is left when all is encoded."""
    name, encoder = index_name(), GeneratedEncoder()
    loaded(connection, name, 3)
    assert had(connection, name) == (0, 6)
    found = client(connection, name).search("w1x0", k=3)
    assert [hit.id for hit in found] == ["d1"]
    assert [warning.part for warning in found.warnings if warning.code is WarningCode.VECTORS_INCOMPLETE] == [
        "dense",
        "sparse",
    ]
    report = enrich(connection, name, encoder)
    assert (report.encoded, len(encoder.texts)) == (6, 6)
    assert had(connection, name) == (6, 6)
    found = client(connection, name).search("w1x0", k=3)
    assert found.hits[0].id == "d1"
    assert set(found.hits[0].legs) >= {"bm25", "dense"}
    assert not [warning for warning in found.warnings if warning.code is WarningCode.VECTORS_INCOMPLETE]


def test_vectors_are_those_of_a_load_with_them(connection: Connection, index_name: Callable[[], str]) -> None:
    """The same texts are encoded, and the same documents found with the same scores."""
    later, now = index_name(), index_name()
    encoder = GeneratedEncoder()
    loaded(connection, later, 4)
    enrich(connection, later, encoder)
    at_once = GeneratedEncoder()
    index_documents(documents(4, words=12), now, connection, at_once, SETTINGS)
    assert sorted(encoder.texts) == sorted(at_once.texts)
    pairs = [client(connection, name).search("w2x3 w3x1", k=4, legs=["dense", "sparse"]) for name in (later, now)]
    ranked = [[(hit.passage_id, round(hit.score, 6)) for hit in one] for one in pairs]
    assert ranked[0] == ranked[1]


def test_enriching_goes_on_where_it_was_stopped(connection: Connection, index_name: Callable[[], str]) -> None:
    """What has vectors is not encoded again, whoever loaded it."""
    name, encoder = index_name(), GeneratedEncoder()
    loaded(connection, name, 40)
    enrich(connection, name, encoder, options=PassOptions(limit=10))
    first = len(encoder.texts)
    assert 10 <= first < 80
    loaded(connection, name, 2, later=False, first=100)
    enrich(connection, name, encoder)
    assert len(encoder.texts) == len(set(encoder.texts)) == 80
    assert had(connection, name) == (84, 84)
    assert enrich(connection, name, encoder).encoded == 0


def test_a_change_of_models_hides_the_old_vectors(connection: Connection, index_name: Callable[[], str]) -> None:
    """While it goes on the legs find what the new models have encoded alone; afterwards all."""
    name = index_name()
    loaded(connection, name, 40, later=False)
    other = GeneratedEncoder(replace(DENSE, weights="2" * 16), SPARSE)
    enrich(connection, name, other, changes_models=True, options=PassOptions(limit=10))
    vectors, of = had(connection, name)
    assert 10 <= vectors < of == 80
    found = client(connection, name, other).search("w1x0", k=100, legs=["dense"])
    assert len(found.retrieved.runs["dense"]) <= vectors
    with pytest.raises(IndexMismatchError, match="other models"):
        client(connection, name)
    enrich(connection, name, other)
    assert had(connection, name) == (80, 80)
    assert open_index(connection, name).schema.vectors is None
    assert len(client(connection, name, other).search("w1x0", k=100, legs=["dense"]).hits) == 40


def test_a_model_of_another_dimension_is_refused(connection: Connection, index_name: Callable[[], str]) -> None:
    """A mapped field does not change: the error says so, and what does it."""
    name = index_name()
    loaded(connection, name, 1)
    with pytest.raises(IndexMismatchError, match="its vectors have 16 components, those of this model 8"):
        enrich(connection, name, GeneratedEncoder(replace(DENSE, dimension=8)), changes_models=True)
    with pytest.raises(IndexMismatchError, match="it has sparse vectors, unlike these models"):
        enrich(connection, name, GeneratedEncoder(DENSE, None), changes_models=True)
    with pytest.raises(IndexMismatchError, match="made with other models"):
        enrich(connection, name, GeneratedEncoder(DENSE, None))
