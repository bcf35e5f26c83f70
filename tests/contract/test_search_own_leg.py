"""A leg of one's own is one class: it is filtered, fused, weighed, explained and left out as the others are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from generated import filled, passages
from test_search_alias import VectorsOfText

from hybrid_search.errors import QueryError
from hybrid_search.evaluate.experiment import run_experiment
from hybrid_search.records import Leg, Query
from hybrid_search.search import AsyncSearchClient, Fusion, LegQuery, SearchClient, SearchLeg
from hybrid_search.search.explain import explain_text
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import Settings


@dataclass(frozen=True)
class Dearest(SearchLeg):
    """An engine query of an expert's own, which needs nothing of the query: the dearer the better."""

    name: str = "dearest"

    def ask(self, query, asking):
        del query
        passing = asking.filter or {"match_all": {}}
        price = {"query": passing, "field_value_factor": {"field": "filter.price"}, "boost_mode": "replace"}
        return LegQuery(lambda _: {"query": {"function_score": price}})


class SecondVector(SearchLeg):
    """Another vector field (here: the same one, by exact comparison), read with the vector of the query."""

    name = "second"
    part = "dense"

    def ask(self, query, asking):
        body = asking.target.dialect.exact_dense_search(query.dense, filter=asking.filter)
        return LegQuery(lambda _: body)


class Broken(SearchLeg):
    """It has a fault."""

    name = "broken"

    def ask(self, query, asking):
        raise KeyError(f"no price for {query.text} of {asking.candidates}")


class Refused(SearchLeg):
    """It asks what no engine understands."""

    name = "refused"

    def ask(self, query, asking):
        del query, asking
        return LegQuery(lambda _: {"query": {"no_such_query": {}}})


@pytest.fixture
def client(connection, index_name):
    """Two hundred documents; doc-n costs n/2."""
    name = filled(connection, index_name(), passages(200))
    with SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings()) as opened:
        yield opened


def test_it_searches_alone_and_keeps_to_the_filter(client) -> None:
    """The dearest of all, and of those below 50: 99.5 and 49.5. No text is needed, and none of the models."""
    found = client.search(Query(""), 3, legs=[Dearest()], rerank=False)
    assert [(hit.id, hit.legs["dearest"].score) for hit in found] == [
        ("doc-199", 99.5),
        ("doc-198", 99),
        ("doc-197", 98.5),
    ]
    below = client.search(Query(""), 2, legs=[Dearest()], filter="price<50")
    assert [(hit.id, hit.legs["dearest"].score) for hit in below] == [("doc-99", 49.5), ("doc-98", 49)]
    assert (list(found.legs), list(found.warnings)) == (["dearest"], [])


def test_it_is_fused_and_explained_with_the_others(client) -> None:
    """One request, four legs, one sum: 1/61 for the dearest, and whatever the other legs add."""
    result = client.search("1 coffee", 200, window=200, legs=[*Leg, Dearest()], fusion="rrf")
    assert list(result.legs) == ["bm25", "dense", "sparse", "dearest"]
    (dearest,) = [hit for hit in result if hit.id == "doc-199"]
    assert dearest.legs["dearest"].contribution == pytest.approx(1 / 61)
    assert dearest.fused == pytest.approx(sum(leg.contribution for leg in dearest.legs.values()))
    assert "dearest rank   1  score   99.5000" in explain_text(result)


def test_it_has_a_weight(client) -> None:
    """With all of the weight it alone decides; without a weight it is missed by name."""
    alone = Fusion("min-max", {"bm25": 0, "dearest": 1})
    assert client.search("1 coffee", 1, legs=["bm25", Dearest()], fusion=alone).hits[0].id == "doc-199"
    with pytest.raises(QueryError, match="the weights name no dearest leg"):
        client.search("1 coffee", legs=["bm25", Dearest()], fusion=Fusion("min-max", {"bm25": 1}))


def test_another_vector_leg_gets_the_vector_that_is_encoded(client) -> None:
    """The text is encoded once for both; by exact comparison the second finds what the first does."""
    result = client.search("1 coffee", 5, legs=["dense", SecondVector()], exact=True, fusion="rrf")
    assert [hit.legs["second"].rank for hit in result] == [hit.legs["dense"].rank for hit in result] == [1, 2, 3, 4, 5]


FAULTS = [(Broken(), "KeyError: 'no price for 1 coffee of 200'"), (Refused(), "no_such_query")]


@pytest.mark.parametrize(("leg", "why"), FAULTS, ids=["in its code", "at the engine"])
def test_it_is_left_out_where_it_fails(client, leg, why) -> None:
    """Its fault is a warning with its name, in its code or at the engine; the others answer."""
    result = client.search("1 coffee", 5, legs=["bm25", leg])
    assert len(result) == 5
    (warning,) = result.warnings
    assert warning.startswith(f"the {leg.name} leg failed: ")
    assert why in warning
    assert (warning.code, warning.part) == (WarningCode.LEG_FAILED, leg.name)
    assert result.degraded == {leg.name: WarningCode.LEG_FAILED}


def test_two_legs_of_one_name_are_refused(client) -> None:
    """Their hits could not be told apart; one in the place of a leg of the package is its replacement."""
    with pytest.raises(QueryError, match="two legs are called bm25"):
        client.search("1 coffee", legs=["bm25", Dearest("bm25")])
    assert client.search("1 coffee", 1, legs=[Dearest("bm25")]).hits[0].id == "doc-199"


def test_it_is_evaluated_with_the_others(client) -> None:
    """A row of its own, and fusions with it."""
    queries = [Query("1 coffee", id="q")]
    experiment = run_experiment(client, queries, {"q": {"doc-199": 1}}, legs=["bm25", Dearest()], fusions=["rrf"])
    assert [row.system.name for row in experiment.rows] == ["bm25", "dearest", "bm25+dearest rrf"]
    assert experiment.best_leg.system.name == "dearest"


async def test_the_asynchronous_client_and_the_server_take_it_too(client, engine_url) -> None:
    """The same object; an engine that can fuse it does."""
    index = client.searcher.target.index
    given = {"settings": Settings(), "encoder": VectorsOfText(), "url": engine_url}
    async with AsyncSearchClient(index, **given) as awaited:
        assert (await awaited.search("1 coffee", 1, legs=[Dearest()])).hits[0].id == "doc-199"
    if client.searcher.target.dialect.engine == "opensearch":
        fused = client.search("1 coffee", 200, window=200, legs=["bm25", Dearest()], fusion="server", collapse=False)
        own = client.search("1 coffee", 200, window=200, legs=["bm25", Dearest()], fusion="rrf", collapse=False)
        # doc-0 costs nothing, and what scores 0 is no hit of the server's.
        assert {hit.id for hit in own} - {hit.id for hit in fused} == {"doc-0"}
