"""Searching by an alias: its filter and routing hold in everything, and it may move to another index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import SCHEMA, filled, passages, terms, unit

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import connect_async
from hybrid_search.engine.indices import delete_index, point_alias
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, UnsupportedError
from hybrid_search.records import Fingerprint
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, Settings

COUNT = 300
TENANTS = ("Sony", "Canon")


class VectorsOfText:
    """A text's vectors are drawn with its number as the seed."""

    sparse = SCHEMA.sparse
    max_tokens = 100
    tokenizer = None

    def __init__(self, dense=SCHEMA.dense) -> None:
        self.dense = dense

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(int(text.split()[0])) for text in texts]
        dense = np.stack([unit(random, self.dense.dimension) for random in drawn])
        return EncodedTexts(dense, [terms(random, 12) for random in drawn])


@pytest.fixture(scope="module")
def tenants(connection):
    """One index, and for each of two tenants an alias that shows only his brand."""
    name = f"test-tenants-{connection.dialect.engine}"
    connection.transport.send(Request.json("DELETE", f"/{name}"))
    filled(connection, name, passages(COUNT))
    actions = [
        {"add": {"index": name, "alias": f"{name}-{brand.lower()}", "filter": {"term": {"filter.brand": brand}}}}
        for brand in TENANTS
    ]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    yield {brand: f"{name}-{brand.lower()}" for brand in TENANTS}
    delete_index(connection, name)


def opened(connection, alias, **options) -> SearchClient:
    return SearchClient(alias, connection=connection, encoder=VectorsOfText(), settings=Settings(), **options)


@pytest.mark.parametrize("brand", TENANTS)
@pytest.mark.parametrize("exact", [False, True])
def test_a_tenant_sees_only_what_is_his(connection, tenants, brand, exact) -> None:
    """Every leg, alone and fused, by the graph and exactly: a full page, and no other brand on it."""
    client = opened(connection, tenants[brand])
    for legs in (["bm25"], ["dense"], ["sparse"], None):
        result = client.search("3 coffee river stone", 50, legs=legs, exact=exact, filter="price>=0")
        assert {hit.fields["brand"] for hit in result} == {brand}
        assert not result.warnings
    dense = client.search("3 coffee", 100, legs=["dense"], exact=exact)
    assert (len(dense), {hit.fields["brand"] for hit in dense}) == (100, {brand})


def test_a_page_beyond_the_window_is_answered(connection, tenants) -> None:
    """All hundred documents of the tenant on one page, or on two, of one ranking."""
    client = opened(connection, tenants["Sony"])
    whole = [hit.id for hit in client.search("3 coffee", 150, legs=["dense"])]
    assert len(whole) == 100
    page = client.search("3 coffee", 50, offset=60, legs=["dense"], window=200)
    assert [hit.id for hit in page] == whole[60:]


def test_a_filter_of_the_query_narrows_that_of_the_alias(connection, tenants) -> None:
    """Asking for another tenant's brand finds nothing."""
    client = opened(connection, tenants["Sony"])
    assert len(client.search("3 coffee river stone", filter="brand=Canon")) == 0
    assert len(client.search("3 coffee river stone", filter="brand=Sony")) == 10


def test_an_alias_that_shows_nothing_is_no_empty_index(connection, tenants) -> None:
    """A tenant without documents beside two that have some: the reason says so."""
    alias = f"{tenants['Sony']}-none"
    shown = {"term": {"filter.brand": "Nobody"}}
    index = tenants["Sony"].removesuffix("-sony")
    add = {"index": index, "alias": alias, "filter": shown}
    connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": add}]}))
    result = opened(connection, alias).search("3 coffee river stone")
    assert list(result) == []
    assert result.warnings[0] == "nothing found: the alias shows no passage"


def test_server_fusion_keeps_the_filter(connection, tenants) -> None:
    """The engine's own fusion sees the alias too."""
    client = opened(connection, tenants["Canon"])
    try:
        result = client.search("3 coffee river stone", 30, fusion="server")
    except UnsupportedError as error:
        pytest.skip(str(error))
    assert len(result) == 30
    assert {hit.fields["brand"] for hit in result} == {"Canon"}


def test_passages_of_others_cannot_be_fetched(connection, tenants) -> None:
    """By id, through the alias, only one's own come back."""
    client = opened(connection, tenants["Sony"])
    assert set(client.passages(["doc-0#0", "doc-1#0"])) == {"doc-0#0"}


def test_the_routing_of_an_alias_is_kept(connection, index_name) -> None:
    """With three shards a routed alias asks one of them: what its routing leads to, and nothing else."""
    name = filled(connection, index_name(), passages(60), replace(SCHEMA, shards=3))
    alias = f"{name}-routed"
    action = {"index": name, "alias": alias, "search_routing": "somewhere"}
    connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": action}]}))
    path = f"/{name}/_search"
    body = {"size": 60, "_source": False, "query": {"match_all": {}}}
    routed = connection.send(Request.json("POST", path, body, routing="somewhere"))["hits"]["hits"]
    assert 0 < len(routed) < 60
    result = opened(connection, alias).search("3 coffee", 60, legs=["dense"])
    assert {hit.passage_id for hit in result} == {hit["_id"] for hit in routed}


async def test_the_asynchronous_client_keeps_to_the_tenant(engine_url, tenants) -> None:
    """One opening, two drivers."""
    async with (
        await connect_async(EngineSettings(url=engine_url)) as connection,
        AsyncSearchClient(
            tenants["Sony"], connection=connection, encoder=VectorsOfText(), settings=Settings()
        ) as client,
    ):
        result = await client.search("3 coffee river stone", 50)
    assert (len(result), {hit.fields["brand"] for hit in result}) == (50, {"Sony"})


@pytest.fixture
def reindexed(connection, index_name):
    """An alias that is moved from an index of 30 documents to one of 60, whose schema may be given."""
    alias, before, after = index_name(), index_name(), index_name()
    filled(connection, before, passages(30))
    point_alias(connection, alias, before)

    def move(schema=SCHEMA):
        filled(connection, after, passages(60, dimension=schema.dense.dimension), schema)
        point_alias(connection, alias, after)
        delete_index(connection, before)

    return alias, move


def test_a_client_follows_an_alias_that_moved(connection, reindexed) -> None:
    """Opened before the reindex, it finds what is in the new index, and goes on there."""
    alias, move = reindexed
    client = opened(connection, alias)
    assert len(client.search("3 coffee", 30, legs=["dense"])) == 30
    move()
    assert len(client.search("3 coffee", 60, legs=["dense"])) == 60
    assert client.searcher.target.index == alias
    assert len(client.passages(["doc-59#0"])) == 1


async def test_the_asynchronous_client_follows_too(engine_url, reindexed) -> None:
    """Its next search is one of the new index."""
    alias, move = reindexed
    async with (
        await connect_async(EngineSettings(url=engine_url)) as connection,
        AsyncSearchClient(alias, connection=connection, encoder=VectorsOfText(), settings=Settings()) as client,
    ):
        assert len(await client.search("3 coffee", 60, legs=["dense"])) == 30
        move()
        assert len(await client.search("3 coffee", 60, legs=["dense"])) == 60


def test_a_filter_that_changed_is_seen_after_a_while(connection, index_name, monkeypatch) -> None:
    """The engine applies the new filter at once; the graph search knows it beforehand once the alias is looked at."""
    name = filled(connection, index_name(), passages(COUNT))
    alias = f"{name}-tenant"

    def show(brand):
        add = {"index": name, "alias": alias, "filter": {"term": {"filter.brand": brand}}}
        connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": add}]}))

    show("Sony")
    client = opened(connection, alias)
    show("Canon")
    assert len(client.search("3 coffee", legs=["dense"])) == 0
    monkeypatch.setattr("hybrid_search.search.searcher.FRESH", 0.0)
    found = client.search("3 coffee", 100, legs=["dense"])
    assert (len(found), {hit.fields["brand"] for hit in found}) == (100, {"Canon"})


@pytest.mark.parametrize("dimension", [16, 8])
def test_an_alias_that_moved_to_other_models_is_refused(connection, reindexed, dimension) -> None:
    """Of the same dimension or another: the client's vectors mean nothing there, and the error says why."""
    alias, move = reindexed
    client = opened(connection, alias)
    move(replace(SCHEMA, dense=Fingerprint("dense", "another", "9" * 16, dimension=dimension, normalized=True)))
    with pytest.raises(IndexMismatchError, match="another / generated"):
        client.search("3 coffee river stone")
    with pytest.raises(IndexMismatchError, match="another / generated"):
        client.search("3 coffee", legs=["dense"])
