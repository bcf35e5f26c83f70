"""ranx takes our runs and judgements, gives them back, and measures what ``evaluate`` measures."""

from __future__ import annotations

import numpy as np
import pytest
from scifact import evaluated, part_of_scifact

from hybrid_search.errors import InputError
from hybrid_search.evaluate import measure, read_run, write_run
from hybrid_search.records import Query, SearchResult

pytest.importorskip("ranx")
# numba compiles ranx's code, and warns of what it finds there.
pytestmark = pytest.mark.filterwarnings("ignore:.*unsafe cast")
import ranx  # noqa: E402

from hybrid_search.frameworks.ranx import (  # noqa: E402
    grades_of,
    rankings_of,
    ranx_qrels,
    ranx_run,
    ranx_runs,
    results_as_run,
)

MEASURES = {"nDCG@10": "ndcg@10", "RR@10": "mrr@10", "R@100": "recall@100"}


def test_ranx_measures_what_evaluate_measures(opensearch, new_names, data_folder, tmp_path) -> None:
    """Every system of an evaluation, each with its own figures."""
    part = part_of_scifact(data_folder, tmp_path / "part", queries=15, documents=60)
    experiment = evaluated(opensearch, new_names(opensearch), part)
    runs, qrels = ranx_runs(experiment), ranx_qrels(part.qrels)
    assert [run.name for run in runs] == [row.system.name for row in experiment.rows]
    assert len(runs) == 7
    for row, run in zip(experiment.rows, runs, strict=True):
        found = ranx.evaluate(qrels, run, list(MEASURES.values()), make_comparable=True)
        assert found == pytest.approx({MEASURES[name]: row.scores.mean[name] for name in MEASURES}, abs=1e-6)


def test_a_run_of_ranx_is_measured_here(tmp_path) -> None:
    """A run that somebody else made becomes rankings, which are measured and written as a TREC run."""
    found = rankings_of(ranx.Run({"q": {"a": 0.2, "b": 0.5, "c": 0.1}}))
    assert found == {"q": [("b", 0.5), ("a", 0.2), ("c", 0.1)]}
    write_run(tmp_path / "run.trec", found, "theirs")
    assert [id_ for id_, _ in read_run(tmp_path / "run.trec")["q"]] == ["b", "a", "c"]
    assert measure(grades_of(ranx.Qrels({"q": {"a": 1}})), found).mean["RR@10"] == 0.5


@pytest.mark.parametrize("ids", ["abc", "éèê", "茶水酒", "a茶é"])
def test_rankings_come_back_in_their_order(ids) -> None:
    """Ties too: ranx sorts by score alone, and the scores that it is given fall; ids are of any script."""
    rankings = {"q": [(id_, 1.5) for id_ in ids], "茶": [(ids[0], -2.0)]}
    back = rankings_of(ranx_run(rankings, "run"))
    assert {query: [id_ for id_, _ in hits] for query, hits in back.items()} == {"q": [*ids], "茶": [ids[0]]}
    assert back["q"][0][1] == 1.5
    assert back["q"][2][1] == pytest.approx(1.5)


@pytest.mark.parametrize("ids", ["ab", "茶酒"])
def test_judgements_come_back(ids) -> None:
    """Whole numbers, negative ones too."""
    grades = {"q1": {ids[0]: 2, ids[1]: -1}, "q2": {ids[1]: 0}}
    assert grades_of(ranx_qrels(grades, "mine")) == grades
    assert ranx_qrels(grades, "mine").name == "mine"


def test_a_query_that_finds_nothing_counts_nothing() -> None:
    """It is in no run, and ``make_comparable`` has it count 0: half of (1 + 0)."""
    run = ranx_run({"q1": [("a", np.float32(1))], "q2": []}, "run")
    qrels = ranx_qrels({"q1": {"a": 1}, "q2": {"a": 1}})
    assert rankings_of(run) == {"q1": [("a", 1.0)]}
    assert ranx.evaluate(qrels, run, "mrr@10", make_comparable=True) == 0.5


def test_results_of_searches_are_a_run() -> None:
    """Hits by the ids of their queries; a query without one has no place in a run."""
    empty = SearchResult(Query("x", id="q"), [], {}, "rrf", None, {})
    with pytest.raises(InputError, match="nothing was found for any query of the run 'mine'"):
        results_as_run([empty], "mine")
    with pytest.raises(InputError, match="a query without an id"):
        results_as_run([SearchResult(Query("x"), [], {}, "rrf", None, {})], "mine")


def test_no_judgement_is_refused() -> None:
    """ranx would fail on its inside."""
    with pytest.raises(InputError, match="nothing is judged"):
        ranx_qrels({"q": {}})
