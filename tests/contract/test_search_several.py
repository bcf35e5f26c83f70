"""Several indices searched as one: a time series behind an alias, by a pattern, in a list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import SCHEMA, filled, passages, write
from test_search_alias import VectorsOfText, opened

from hybrid_search.engine import connect_async
from hybrid_search.engine.indices import delete_index
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IndexMissingError, QueryError, UnsupportedError
from hybrid_search.records import Document, EncodedPassage, Fingerprint, Passage
from hybrid_search.search import AsyncSearchClient
from hybrid_search.settings import EngineSettings, Settings

COUNT = 300
MONTHS = ("2026.09", "2026.10", "2026.11")
QUERY = "3 coffee river stone"


@pytest.fixture(scope="module")
def series(connection):
    """The documents of one index, and the same ones by month in three, one of them of two shards; behind an alias."""
    name = f"test-several-{connection.dialect.engine}"
    connection.transport.send(Request.json("DELETE", f"/{name}*", expand_wildcards="all"))
    every = passages(COUNT)
    filled(connection, f"{name}-whole", every)
    for n, month in enumerate(MONTHS):
        filled(connection, f"{name}-{month}", every[n::3], replace(SCHEMA, shards=1 + n % 2))
    actions = [{"add": {"index": f"{name}-{month}", "alias": f"{name}-months"}} for month in MONTHS]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    yield name
    for last in ("whole", *MONTHS):
        delete_index(connection, f"{name}-{last}")


@pytest.fixture(params=["alias", "pattern", "list"])
def named(request, series):
    """The three months by each kind of name."""
    of_list = ",".join(f"{series}-{month}" for month in MONTHS)
    return {"alias": f"{series}-months", "pattern": f"{series}-2026.*", "list": of_list}[request.param]


def ranked(result) -> list[tuple[str, float]]:
    return [(hit.id, pytest.approx(hit.score, rel=1e-5)) for hit in result]


@pytest.mark.parametrize("legs", [["bm25"], ["dense"], ["sparse"], None])
def test_several_indices_rank_as_one(connection, series, named, legs) -> None:
    """Every leg alone and all fused: hits and scores are those of one index with all documents."""
    one, many = opened(connection, f"{series}-whole"), opened(connection, named)
    for options in ({}, {"filter": "price>=20 AND brand=Sony"}, {"exact": True}):
        expected = one.search(QUERY, 40, legs=legs, **options)
        found = many.search(QUERY, 40, legs=legs, **options)
        assert ranked(found) == [(hit.id, hit.score) for hit in expected]
        assert not found.warnings


def test_facets_and_cursors_go_over_all(connection, series) -> None:
    """Counts are of all three, and the pages of a list are those of one list."""
    one, many = opened(connection, f"{series}-whole"), opened(connection, f"{series}-2026.*")
    expected = one.search(QUERY, 20, facets=["brand"], facet_counts="bm25")
    found = many.search(QUERY, 20, facets=["brand"], facet_counts="bm25")
    assert found.facets["brand"] == expected.facets["brand"]
    second = many.search(QUERY, 20, cursor=found.cursor)
    whole = many.search(QUERY, 40)
    assert [hit.id for hit in (*found, *second)] == [hit.id for hit in whole]
    assert [hit.rank for hit in second] == list(range(21, 41))


def test_nothing_found_is_explained(connection, series) -> None:
    """The analyzers are asked in one of the indices: no engine analyzes for several."""
    result = opened(connection, f"{series}-months").search("4711 zeppelin", legs=["bm25"])
    assert [str(warning) for warning in result.warnings] == ["nothing found: no passage holds a word of the query"]


async def test_the_asynchronous_client_searches_several(engine_url, series) -> None:
    """One opening, two drivers."""
    async with (
        await connect_async(EngineSettings(url=engine_url)) as connection,
        AsyncSearchClient(
            f"{series}-2026.*", connection=connection, encoder=VectorsOfText(), settings=Settings()
        ) as client,
    ):
        result = await client.search(QUERY, 300, legs=["dense"])
    assert len(result) == 300
    assert {int(hit.id.removeprefix("doc-")) % 3 for hit in result} == {0, 1, 2}


def test_a_new_month_is_searched_from_then_on(connection, index_name) -> None:
    """An answer from an index that nobody has checked has the client open the name again."""
    name = index_name()
    every = passages(40)
    first, second = (f"{index_name()}" for _ in range(2))
    filled(connection, first, every[:20])
    join(connection, name, first)
    client = opened(connection, name)
    assert len(client.search(QUERY, 40, legs=["dense"])) == 20
    filled(connection, second, every[20:])
    join(connection, name, second)
    assert len(client.search(QUERY, 40, legs=["dense"])) == 40
    assert set(client.searcher.target.among) == {first, second}


def test_a_month_that_is_dropped_is_forgotten(connection, index_name) -> None:
    """Retention deletes the oldest index of an alias: the next search is of the others."""
    name, first, second = (index_name() for _ in range(3))
    every = passages(40)
    for index, some in ((first, every[:20]), (second, every[20:])):
        filled(connection, index, some)
        join(connection, name, index)
    client = opened(connection, name)
    delete_index(connection, first)
    assert len(client.search(QUERY, 40, legs=["dense"])) == 20


def test_another_model_is_refused_by_name(connection, index_name) -> None:
    """Of two indices that differ, the message names which and in what; also one of no models of ours."""
    first, second = sorted(index_name() for _ in range(2))
    other = replace(SCHEMA, dense=Fingerprint("dense", "another", "9" * 16, dimension=8, normalized=True), bm25_b=0.5)
    filled(connection, first, passages(5, dimension=8), other)
    filled(connection, second, passages(5))
    said = f"{first} differs from {second}.*another / generated.*bm25_b"
    with pytest.raises(IndexMismatchError, match=said) as found:
        opened(connection, f"{first},{second}")
    assert "Leave" in str(found.value)


def test_an_index_of_others_is_refused_by_name(connection, index_name) -> None:
    """A pattern that catches an index of another program."""
    ours, theirs = index_name(), index_name()
    filled(connection, ours, passages(5))
    connection.send(Request.json("PUT", f"/{theirs}", {"mappings": {"properties": {"title": {"type": "text"}}}}))
    with pytest.raises(IndexMismatchError, match=theirs):
        opened(connection, f"{ours},{theirs}")


def test_a_pattern_of_nothing_and_a_missing_one_are_said(connection, series) -> None:
    """The engine answers a pattern without indices with none."""
    with pytest.raises(IndexMissingError, match="no index matches"):
        opened(connection, f"{series}-2031.*")
    with pytest.raises(IndexMissingError):
        opened(connection, f"{series}-whole,{series}-2031.01")


def test_another_cluster_is_refused_with_the_reason(connection, series) -> None:
    """No engine tells across clusters which models an index has."""
    with pytest.raises(UnsupportedError, match=r"eu:docs is in another cluster.*Open that cluster by its own URL"):
        opened(connection, f"{series}-whole,eu:docs")


def test_the_filters_of_an_alias_may_differ_by_index(connection, index_name) -> None:
    """Of one index it shows one brand, of the other another; the graph search knows both beforehand."""
    name, first, second = (index_name() for _ in range(3))
    every = passages(300)
    for index, some, brand in ((first, every[:150], "Sony"), (second, every[150:], "Canon")):
        filled(connection, index, some)
        join(connection, name, index, filter={"term": {"filter.brand": brand}})
    client = opened(connection, name)
    for options in ({"legs": ["dense"]}, {"legs": ["bm25"]}, {"legs": ["dense"], "exact": True}):
        found = client.search(QUERY, 100, **options)
        assert {(hit.fields["brand"], int(hit.id[4:]) < 150) for hit in found} == {("Sony", True), ("Canon", False)}
    assert len(client.search(QUERY, 100, legs=["dense"])) == 100  # 50 of each index


def test_a_document_of_two_indices_is_one_hit(connection, index_name) -> None:
    """What is shown is that of the index whose name is last: in a time series the newest."""
    first, second = sorted(index_name() for _ in range(2))
    vector = np.eye(1, 16, dtype=np.float32)[0]
    for index, text in ((first, "coffee of old"), (second, "coffee of now")):
        document = Document("same", text, {"brand": "Sony"})
        filled(connection, index, [EncodedPassage(Passage(document, 0, 0, len(text)), vector, {"1": 1.0})])
        write(connection, index, passages(10))
    found = opened(connection, f"{first},{second}").search("3 coffee", 30, legs=["bm25"])
    assert [hit.text for hit in found if hit.id == "same"] == ["coffee of now"]
    assert len({hit.id for hit in found}) == len(found)


def test_a_field_that_only_newer_indices_have_filters_there(connection, index_name) -> None:
    """What an index lacks, none of its documents has a value for."""
    first, second = sorted(index_name() for _ in range(2))
    older = replace(SCHEMA, keyword_fields=("brand",), number_fields=(), date_fields=())
    filled(connection, first, passages(20), older)
    filled(connection, second, passages(40)[20:], replace(SCHEMA, geo_fields=("place",)))
    client = opened(connection, f"{first},{second}")
    found = client.search(QUERY, 40, legs=["dense"], filter="price>=0")
    assert {int(hit.id[4:]) >= 20 for hit in found} == {True}
    assert len(client.search(QUERY, 40, legs=["dense"], filter="NOT price>=0")) == 20
    assert len(client.search(QUERY, 40, legs=["dense"], filter="published>=2024-01-01", facets=["price"])) == 20
    assert len(client.search(QUERY, 40, legs=["dense"], filter="place within 5km of 48.1,11.5")) == 0
    with pytest.raises(QueryError, match="colour"):
        client.search(QUERY, filter="colour=red")


def join(connection, alias, index, **properties) -> None:
    add = {"index": index, "alias": alias, **properties}
    connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": add}]}))
