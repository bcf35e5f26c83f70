"""How legs are fused where the caller does not say: by the settings, and by what the index holds."""

from dataclasses import replace

import pytest
from search_fakes import SCHEMA

from hybrid_search.records import Fingerprint, Leg
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.plan import STARTER_WEIGHT, fusion_of
from hybrid_search.settings import SearchSettings

STARTER = replace(SCHEMA, sparse=Fingerprint(kind="sparse", name="starter", weights="1"))
SPLADE = replace(SCHEMA, sparse=Fingerprint(kind="sparse", name="naver/splade-v3", weights="1"))
LESS = {Leg.BM25: 1.0, Leg.DENSE: 1.0, Leg.SPARSE: STARTER_WEIGHT}


@pytest.mark.parametrize("method", ["min-max", "z-score", "theoretical-min"])
def test_the_starter_weighs_less_in_convex_fusion(method):
    """With .6 beside 1 and 1 its share is .6 / 2.6 = 3 / 13."""
    fusion = fusion_of(STARTER, SearchSettings(), method)
    assert fusion == Fusion(method, LESS)
    assert fusion.shares(Leg)[Leg.SPARSE] == pytest.approx(3 / 13)


@pytest.mark.parametrize("method", ["rrf", "server"])
def test_reciprocal_ranks_are_the_published_formula(method):
    """No weights, so that every engine and version can fuse them too."""
    assert fusion_of(STARTER, SearchSettings(), method) == Fusion(method)


def test_other_sparse_models_weigh_as_much_as_the_other_legs():
    """The starter's weight was chosen for the starter."""
    assert fusion_of(SPLADE, SearchSettings()) == Fusion("min-max")
    assert fusion_of(replace(SCHEMA, sparse=None), SearchSettings()) == Fusion("min-max")


def test_given_weights_count_and_the_others_are_the_usual():
    """A weight for BM25 alone leaves the dense leg at 1 and the starter at its own."""
    fusion = fusion_of(STARTER, SearchSettings(weights={"bm25": 2.0}))
    assert fusion.weights == LESS | {Leg.BM25: 2.0}
    assert fusion_of(STARTER, SearchSettings(weights={"sparse": 1.0})).weights == dict.fromkeys(Leg, 1.0)
    assert fusion_of(SPLADE, SearchSettings(weights={"sparse": 0.5})).weights == LESS | {Leg.SPARSE: 0.5}


def test_another_method_keeps_the_settings():
    """Weights and rank constant are those of the settings, which a name of a method does not change."""
    settings = SearchSettings(weights={"dense": 3.0}, rank_constant=20)
    expected = {Leg.BM25: 1.0, Leg.DENSE: 3.0, Leg.SPARSE: 1.0}
    assert fusion_of(SPLADE, settings, "rrf") == Fusion("rrf", expected, rank_constant=20)


def test_a_label_names_the_weights_that_differ():
    """A table of systems stays readable."""
    assert fusion_of(STARTER, SearchSettings()).label == "min-max sparse=0.6"
    assert Fusion("min-max", dict.fromkeys(Leg, 1.0)).label == "min-max"
