"""The arithmetic of a sweep: what is beaten, what is chosen, what is found, and how versions are asked to rescore."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.errors import SettingsError, UnsupportedError
from hybrid_search.evaluate.sweep import Asked, Build, Grid, Row, Sample, Way, cheapest, pareto
from hybrid_search.evaluate.sweep.cheapest import memory_of
from hybrid_search.evaluate.sweep.options import settings_of
from hybrid_search.evaluate.sweep.plot import sweep_svg
from hybrid_search.evaluate.sweep.vectors import exact_scores, recall
from hybrid_search.records import Leg
from hybrid_search.settings import EngineSettings, SearchSettings, SparseSettings

HNSW, INT8, FLAT = (Build(Leg.DENSE, kind, 16, 128) for kind in ("hnsw", "int8_hnsw", "flat"))
VECTOR = np.array([0.6, 0.8], dtype=np.float32)


def row(build, recall, p50, disk, memory=None) -> Row:
    return Row(build, Way(100), recall, p50, 2 * p50, disk, memory, 1.0)


GOOD, SMALL, BEATEN = row(HNSW, 0.99, 2.0, 100, 90), row(INT8, 0.96, 2.0, 50, 30), row(FLAT, 0.96, 2.5, 100, 80)


def test_a_row_is_best_unless_another_is_at_least_as_good_in_all() -> None:
    """The third finds no more than the second, slower and in more; of two equal rows neither beats the other."""
    assert pareto([GOOD, SMALL, BEATEN]) == [GOOD, SMALL]
    assert pareto([SMALL, SMALL]) == [SMALL, SMALL]


@pytest.mark.parametrize(
    ("at_least", "by", "chosen"),
    [(0.95, "memory", SMALL), (0.97, "memory", GOOD), (0.999, "memory", GOOD), (0.95, "latency", GOOD)],
    ids=["least memory", "recall first", "none is enough", "latency"],
)
def test_the_cheapest_that_finds_enough_is_chosen(at_least, by, chosen) -> None:
    """The best recall where none finds enough; of equal latencies the first."""
    assert cheapest([GOOD, SMALL, BEATEN], at_least=at_least, by=by) == {Leg.DENSE: chosen}


def test_flat_kinds_are_not_chosen_by_a_sample() -> None:
    """The flat row has the least on disk and in memory, but takes as long as there are passages."""
    flat = replace(BEATEN, disk=1, memory=1)
    assert cheapest([GOOD, SMALL, flat], at_least=0.95)[Leg.DENSE] == flat
    assert cheapest([GOOD, SMALL, flat], at_least=0.95, flat=False)[Leg.DENSE] == SMALL
    assert cheapest([flat], at_least=0.95, flat=False)[Leg.DENSE] == flat


def test_recall_counts_equal_scores_as_equally_good() -> None:
    """Of the best two of .9, .5, .5, .1 either .5 will do: (2 + 2 + 1) / (2 x 3)."""
    scores = np.array([[0.9, 0.5, 0.5, 0.1]] * 3)
    assert recall([[0, 1], [2, 0], [0, 3]], scores, 2) == pytest.approx(5 / 6)


def test_recall_of_terms_wants_only_what_has_a_common_term() -> None:
    """One passage shares a term, of weight 2 x 3; finding it is finding all, whatever k."""
    sample = Sample([("a", 0), ("b", 0)], None, [{"1": 3.0}, {"2": 1.0}], 2)
    scores = exact_scores(Leg.SPARSE, Asked(None, [{"1": 2.0}]), sample)
    assert scores.tolist() == [[6.0, -np.inf]]
    assert recall([[0]], scores, 10) == 1.0


@pytest.mark.parametrize(
    ("kind", "engine", "size"),
    [
        ("hnsw", "elasticsearch", (4 * 384 + 4 * 16) * 1000),
        ("int8_hnsw", "elasticsearch", (384 + 4 + 4 * 16) * 1000),
        ("bbq_hnsw", "elasticsearch", (384 // 8 + 14 + 4 * 16) * 1000),
        ("hnsw", "opensearch", round(1.1 * (4 * 384 + 8 * 16) * 1000)),
        ("faiss_fp16_hnsw", "opensearch", round(1.1 * (2 * 384 + 8 * 16) * 1000)),
        ("bbq_disk", "elasticsearch", None),
    ],
)
def test_memory_is_by_the_vendors_formulas(kind, engine, size) -> None:
    """1,000 vectors of 384 components in graphs of m = 16."""
    assert memory_of(Build(Leg.DENSE, kind, 16, 128), engine, 1000, 384) == size


def test_a_grid_combines_what_means_something() -> None:
    """Flat kinds have no graph, whole vectors no oversampling, and a width below m is no graph's."""
    grid = Grid(["flat", "hnsw", "int8_hnsw"], m=(16, 32), ef_construction=(24, 64), candidates=(100,), oversample=(3,))
    builds = grid.builds(Leg.DENSE, ElasticsearchDialect((9, 5, 3)).capabilities)
    assert builds[0] == Build(Leg.DENSE, "flat")
    assert [(one.m, one.ef_construction) for one in builds if one.kind == "hnsw"] == [(16, 24), (16, 64), (32, 64)]
    assert grid.ways(builds[1]) == [Way(100)]
    assert grid.ways(builds[-1]) == [Way(100), Way(100, 0.0, 3)]


def test_a_row_is_settings() -> None:
    """What is written can be read: each section takes its values."""
    dense = settings_of(INT8, Way(200, oversample=2.0))
    EngineSettings(**dense["engine"])
    assert SearchSettings(**dense["search"]).oversample == 2.0
    sparse = settings_of(Build(Leg.SPARSE, "rank_features", min_share=0.1), Way(200, 0.4))
    assert SparseSettings(**sparse["sparse"]).min_share == 0.1
    assert SearchSettings(**sparse["search"]).two_phase == 0.4


def test_the_picture_has_a_dot_for_each_row() -> None:
    """Names are escaped; one row alone has room too."""
    odd = row(replace(HNSW, kind="<b>"), 0.9, 1.0, 10)
    svg = sweep_svg([GOOD, SMALL, BEATEN, odd], {Leg.DENSE: SMALL}, k=10)
    assert svg.count("<circle") == 4
    assert svg.count('class="c"') == 1
    assert "<b>" not in svg
    assert sweep_svg([GOOD], {}, k=10).count("<circle") == 1


def dense(dialect, oversample):
    return dialect.dense_search(VECTOR, size=10, candidates=20, filter=None, oversample=oversample)


def test_each_engine_is_asked_to_score_again_in_its_words() -> None:
    """``rescore_vector`` of Elasticsearch, ``rescore`` of OpenSearch; nothing where nothing is asked."""
    newest, ours = ElasticsearchDialect((9, 5, 3)), OpenSearchDialect((3, 6, 0))
    assert dense(newest, 3)["knn"]["rescore_vector"] == {"oversample": 3.0}
    assert dense(newest, 0)["knn"]["rescore_vector"] == {"oversample": 0.0}
    assert "rescore_vector" not in dense(newest, None)["knn"]
    assert dense(ours, 3)["query"]["knn"]["dense"]["rescore"] == {"oversample_factor": 3.0}
    assert dense(ours, 0)["query"]["knn"]["dense"]["rescore"] is False
    assert "rescore" not in dense(ours, None)["query"]["knn"]["dense"]


@pytest.mark.parametrize(
    ("dialect", "oversample", "first"),
    [
        (ElasticsearchDialect((8, 17, 0)), 2, "8.18.0"),
        (ElasticsearchDialect((8, 18, 0)), 0, "8.19.0"),
        (ElasticsearchDialect((9, 0, 0)), 0, "9.1.0"),
        (OpenSearchDialect((2, 16, 0)), 2, "2.17.0"),
    ],
    ids=["es-8.17", "es-8.18-off", "es-9.0-off", "os-2.16"],
)
def test_a_version_that_cannot_says_which_can(dialect, oversample, first) -> None:
    """The error names the setting and the first version that has it."""
    with pytest.raises(UnsupportedError, match=rf"search\.oversample.*{first}"):
        dense(dialect, oversample)


@pytest.mark.parametrize("oversample", [-1.0, 0.5, 11.0])
def test_oversampling_is_none_or_at_least_one(oversample) -> None:
    """A share below 1 would score fewer than are wanted."""
    with pytest.raises(SettingsError, match=r"search\.oversample: must be 0 or from 1 to 10"):
        SearchSettings(oversample=oversample)
