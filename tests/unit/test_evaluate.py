"""Runs, measures, significance, and the experiment over an engine made of functions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA, PlaneEncoder, connection, engine

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import InputError, QueryError, RecordError, SourceError
from hybrid_search.evaluate import (
    difference_interval,
    holm,
    measure,
    randomisation_p,
    read_run,
    run_experiment,
    time_searches,
    write_run,
)
from hybrid_search.evaluate.comparison import comparisons
from hybrid_search.evaluate.measures import NDCG, RECALL, RECIPROCAL_RANK
from hybrid_search.evaluate.report import experiment_json, experiment_table, notes, save_runs
from hybrid_search.evaluate.runs import falling
from hybrid_search.records import Leg, Query
from hybrid_search.search import Fusion, SearchClient
from hybrid_search.settings import SearchSettings, Settings

RUNS = {
    Leg.BM25: [("a#0", 3.0), ("b#0", 2.0), ("c#0", 1.0)],
    Leg.DENSE: [("c#0", 0.9), ("b#0", 0.8), ("a#0", 0.7)],
}
QRELS = {"1": {"b": 2, "c": 1}, "2": {"a": 1}}
QUERIES = [Query("first", id="1"), Query("second", id="2"), Query("nobody judged this", id="3")]

ids = st.text("abcxyz#-.", min_size=1, max_size=6)
rankings = st.dictionaries(
    ids,
    st.dictionaries(ids, st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8).map(
        lambda scores: sorted(scores.items(), key=lambda hit: -hit[1])
    ),
    max_size=4,
)


def client(reranker=None, settings=None) -> SearchClient:
    def respond(request):
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
        return engine(RUNS)(request)

    return SearchClient(
        "docs",
        settings=settings or Settings(),
        encoder=PlaneEncoder(),
        reranker=reranker,
        connection=connection(respond),
    )


def test_a_run_has_six_columns(tmp_path) -> None:
    """What trec_eval and ir_measures read."""
    write_run(tmp_path / "new" / "bm25.run", {"q1": [("d2", 1.5), ("d1", 0.25)]}, "bm25")
    assert (tmp_path / "new" / "bm25.run").read_text() == "q1 Q0 d2 1 1.5 bm25\nq1 Q0 d1 2 0.25 bm25\n"


@given(rankings)
def test_a_run_is_read_as_it_was_written(tmp_path_factory, found) -> None:
    """The order survives, and scores but for what tells ties apart: they fall, as float32 too."""
    path = tmp_path_factory.mktemp("runs") / "any.run"
    write_run(path, found, "any")
    again = read_run(path)
    assert {query: [id_ for id_, _ in run] for query, run in again.items()} == {
        query: [id_ for id_, _ in run] for query, run in found.items()
    }
    for query, run in again.items():
        scores = [score for _, score in run]
        assert all(np.float32(high) > np.float32(low) for high, low in pairwise(scores))
        assert scores == pytest.approx([score for _, score in found[query]], rel=1e-5, abs=1e-10)


def test_trec_eval_gives_the_reported_figures(tmp_path) -> None:
    """Three ties and the one relevant document first: trec_eval would order d, c, b, a and give 1 / 3."""
    found = {"1": [("b", 1.0), ("c", 1.0), ("d", 1.0), ("a", 0.5)], "2": [("x", 0.0), ("y", 0.0), ("z", 0.0)]}
    qrels = {"1": {"b": 1}, "2": {"y": 2, "z": 1}}
    write_run(tmp_path / "ties.run", found, "ties")
    lines = [line.split() for line in (tmp_path / "ties.run").read_text().splitlines()]
    run = {query: {row[2]: float(row[4]) for row in lines if row[0] == query} for query in found}
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank", "ndcg_cut.10"}).evaluate(run)
    reported = measure(qrels, found).by_query
    for query in qrels:
        assert by_query[query]["recip_rank"] == pytest.approx(reported[RECIPROCAL_RANK][query])
        assert by_query[query]["ndcg_cut_10"] == pytest.approx(reported[NDCG][query])
    assert (by_query["1"]["recip_rank"], by_query["2"]["recip_rank"]) == (1.0, 1 / 2)


@given(st.lists(st.floats(-3e4, 3e4, width=16), max_size=40))
def test_written_scores_fall_whatever_they_were(scores) -> None:
    """Ties, zeros and a ranking that rises: the order of the ranking is what is written."""
    assert all(high > low for high, low in pairwise(falling(scores)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 d1 1 0.5", "2: 5 columns"),
        ("q1 Q0 d1 first 0.5 tag", "rank 'first'"),
        ("q1 Q0 d1 1 nan tag", "the score nan is not finite"),
    ],
)
def test_a_broken_run_names_its_line(tmp_path, line, message) -> None:
    """File, line and what was expected."""
    (tmp_path / "broken.run").write_text(f"q1 Q0 d0 1 0.5 tag\n{line}\n")
    with pytest.raises(RecordError) as raised:
        read_run(tmp_path / "broken.run")
    assert message in str(raised.value)
    assert "broken.run:2" in str(raised.value)


def test_a_missing_run_is_an_input_error(tmp_path) -> None:
    """The path is in the message."""
    with pytest.raises(SourceError, match=r"none\.run"):
        read_run(tmp_path / "none.run")


def test_an_id_with_white_space_cannot_be_written(tmp_path) -> None:
    """The format splits at white space."""
    with pytest.raises(RecordError, match="'d 1' holds white space"):
        write_run(tmp_path / "x.run", {"q": [("d 1", 1.0)]}, "x")


def test_measures_are_what_their_definitions_say() -> None:
    """nDCG with gains 1 and 2 at ranks 1 and 3 of an ideal 2, 1; a query without a ranking counts 0."""
    scores = measure({"1": {"a": 2, "b": 1}, "2": {"c": 1}}, {"1": [("b", 3.0), ("z", 2.0), ("a", 1.0)]})
    ndcg = (1 / math.log2(2) + 2 / math.log2(4)) / (2 / math.log2(2) + 1 / math.log2(3))
    assert scores.by_query[NDCG] == pytest.approx({"1": ndcg, "2": 0.0})
    assert scores.mean == pytest.approx({NDCG: ndcg / 2, RECIPROCAL_RANK: 1 / 2, RECALL: 1 / 2})


def test_equal_scores_are_measured_in_their_order() -> None:
    """trec_eval would put b before a; the ranking says a."""
    assert measure({"1": {"a": 1}}, {"1": [("a", 1.0), ("b", 1.0)]}).mean[RECIPROCAL_RANK] == 1.0


def test_an_unknown_measure_is_refused() -> None:
    """ir_measures knows no such name."""
    with pytest.raises(InputError, match="no such measure"):
        measure({"1": {"a": 1}}, {}, ["nGCD@10"])
    with pytest.raises(InputError, match="a measure cannot be computed"):
        measure({"1": {"a": 1}}, {}, ["alpha_nDCG@10"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAP", 1 / 2), ("AP", 1 / 2), ("MRR@10", 1 / 2), ("NDCG@10", 1 / math.log2(3)), ("Recall@1", 0.0)],
)
def test_a_measure_may_be_named_as_ir_measures_reads_it(name, value) -> None:
    """The one relevant document is second; the value comes back under the name that was given."""
    names = [name, "nDCG(cutoff=10)"]
    scores = measure({"1": {"a": 1}}, {"1": [("b", 2.0), ("a", 1.0)]}, names)
    assert scores.mean == pytest.approx({name: value, "nDCG(cutoff=10)": 1 / math.log2(3)})


def test_nothing_judged_is_an_input_error() -> None:
    """There is no mean of no queries."""
    with pytest.raises(InputError, match="no query is judged"):
        measure({}, {})


def test_no_difference_is_no_evidence() -> None:
    """Every assignment is as extreme as the observed one."""
    values = {str(n): n / 10 for n in range(20)}
    assert randomisation_p(values, values) == 1.0


def test_a_difference_in_every_query_is_as_rare_as_its_signs() -> None:
    """Five equal differences: two of the 32 assignments are as extreme, and all are counted."""
    first = {str(n): 1.0 for n in range(5)}
    second = {str(n): 0.5 for n in range(5)}
    assert randomisation_p(first, second) == 2 / 32


def test_few_queries_are_counted_and_many_drawn() -> None:
    """Fourteen equal differences: 2 of 16,384 assignments. Fifteen are drawn: at least 1 of 100."""
    first, second = {str(n): 1.0 for n in range(15)}, {str(n): 0.5 for n in range(15)}
    assert randomisation_p(first, second, rounds=99) == pytest.approx(1 / 100, abs=0.02)
    del first["14"]
    assert randomisation_p(first, second) == 2 / 16_384


def test_holm_multiplies_by_what_is_left() -> None:
    """.01, .04, .03 of three: .01 x 3, then .03 x 2, then .04 x 1 but no less than the one before; never above 1."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers(values) -> None:
    """A corrected value is at least the raw one and at most 1, and ranks as it did."""
    corrected = holm(values)
    assert all(raw <= one <= 1 for raw, one in zip(values, corrected, strict=True))
    ordered = [one for _, one in sorted(zip(values, corrected, strict=True))]
    assert ordered == sorted(ordered)


def test_an_interval_is_around_the_difference() -> None:
    """Differences of 0 and 1 in a hundred queries: a mean of .5, give or take 1.96 x .5 / 10."""
    first = {str(n): float(n % 2) for n in range(100)}
    low, high = difference_interval(first, dict.fromkeys(first, 0.0))
    assert (low, high) == pytest.approx((0.5 - 0.098, 0.5 + 0.098), abs=0.015)
    assert difference_interval({"1": 1.0}, {"1": 0.0}) is None


def test_systems_are_compared_with_one_and_corrected_together() -> None:
    """Five equal differences have p = 2 / 32 each; of two such systems each is counted twice."""
    better, same = {str(n): 1.0 for n in range(5)}, {str(n): 0.5 for n in range(5)}
    first, second = comparisons([better, better], same)
    assert (first.difference, first.p_value, first.p_holm, second.p_holm) == (0.5, 2 / 32, 4 / 32, 4 / 32)
    assert first.interval == (0.5, 0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_the_order_of_two_systems_does_not_matter(values) -> None:
    """The test is two-sided."""
    first = {str(n): a for n, (a, _) in enumerate(values)}
    second = {str(n): b for n, (_, b) in enumerate(values)}
    assert randomisation_p(first, second, rounds=200) == randomisation_p(second, first, rounds=200)


def test_an_experiment_measures_legs_and_fusions() -> None:
    """Legs alone, then each fusion; the sparse leg finds nothing and drags nothing down."""
    experiment = run_experiment(client(), QUERIES, QRELS, legs=["bm25", "dense"], fusions=[Fusion("rrf")])
    found = {row.system.name: row.scores.mean[RECIPROCAL_RANK] for row in experiment.rows}
    assert found == pytest.approx(
        {
            "bm25": (1 / 2 + 1 / 1) / 2,
            "dense": (1 / 1 + 1 / 3) / 2,
            "bm25+dense rrf": (1 / 2 + 1 / 1) / 2,
        }
    )
    assert (experiment.queries, experiment.unjudged) == (2, 1)


def test_three_legs_give_all_their_combinations() -> None:
    """Three alone, three pairs and one of all, for each fusion."""
    experiment = run_experiment(client(), QUERIES, QRELS, fusions=[Fusion("rrf"), Fusion("min-max")])
    assert [row.system.name for row in experiment.rows] == [
        "bm25",
        "dense",
        "sparse",
        "bm25+dense rrf",
        "bm25+dense min-max",
        "bm25+sparse rrf",
        "bm25+sparse min-max",
        "dense+sparse rrf",
        "dense+sparse min-max",
        "bm25+dense+sparse rrf",
        "bm25+dense+sparse min-max",
    ]


def test_a_leg_of_weight_zero_is_not_measured() -> None:
    """As in a search: it is not retrieved; a fusion that silences one of its legs is no row of its own."""
    searching = client()
    silent = Fusion("rrf", {Leg.BM25: 1, Leg.DENSE: 1, Leg.SPARSE: 0})
    experiment = run_experiment(searching, QUERIES, QRELS, fusions=[silent])
    assert [row.system.name for row in experiment.rows] == ["bm25", "dense", "bm25+dense rrf"]
    other = Fusion("min-max", {Leg.BM25: 1, Leg.DENSE: 0, Leg.SPARSE: 1})
    both = run_experiment(searching, QUERIES, QRELS, fusions=[silent, other])
    assert [row.system.name for row in both.rows][3:] == ["bm25+dense rrf", "bm25+sparse min-max"]
    with pytest.raises(QueryError, match="all weights are 0"):
        run_experiment(searching, QUERIES, QRELS, legs=["sparse"], fusions=[silent])


def test_reranked_systems_score_every_pair_once() -> None:
    """Three systems rerank the same passages of two queries; the reranker sees each once."""
    asked = []

    class Counting:
        name = "counting"

        def score(self, query, passages):
            asked.extend((query, passage) for passage in passages)
            return [float(ord(passage.removeprefix("text of ")[0])) for passage in passages]

    experiment = run_experiment(
        client(Counting()), QUERIES, QRELS, legs=["bm25", "dense"], fusions=[Fusion("rrf")], rerank=True
    )
    names = [row.system.name for row in experiment.rows]
    assert names[3:] == ["bm25, reranked", "dense, reranked", "bm25+dense rrf, reranked"]
    assert len(asked) == len(set(asked)) == 6
    assert experiment.reranker == "counting"


def test_exact_search_is_a_row_of_its_own() -> None:
    """What the graph costs is the difference to it."""
    experiment = run_experiment(client(), QUERIES, QRELS, legs=["dense"], exact=True)
    assert [row.system.name for row in experiment.rows] == ["dense", "dense exact"]


def test_queries_of_another_set_are_refused() -> None:
    """No query has judgements: the two files do not belong together."""
    with pytest.raises(InputError, match="none of the 3 queries has judgements"):
        run_experiment(client(), QUERIES, {"other": {"a": 1}})


def test_reranking_without_a_reranker_is_refused() -> None:
    """Said before anything is searched."""
    with pytest.raises(QueryError, match="no reranker"):
        run_experiment(client(), QUERIES, QRELS, rerank=True)


def test_fusion_by_the_server_is_not_measured() -> None:
    """It cannot be made from the retrieved legs; the error names what can."""
    with pytest.raises(QueryError, match='Measure "rrf"'):
        run_experiment(client(), QUERIES, QRELS, fusions=[Fusion("server")])


def test_an_empty_query_counts_zero_and_is_said() -> None:
    """One of two judged queries has no text: the other's value is halved, and the notes say why."""
    asked = [QUERIES[0], Query("  ", id="2")]
    experiment = run_experiment(client(), asked, QRELS, legs=["bm25"])
    assert experiment.rows[0].scores.by_query[RECIPROCAL_RANK] == {"1": 1 / 2, "2": 0.0}
    assert (experiment.queries, experiment.empty) == (2, 1)
    assert "1 queries without a text count 0" in notes(experiment)


def test_only_what_is_searched_is_timed() -> None:
    """A leg that weighs 0 and a query without a text are passed over; nothing at all is an error."""
    silent = Settings(search=SearchSettings(weights={"sparse": 0}))
    timings = time_searches(client(settings=silent), [QUERIES[0], Query(" ", id="2")])
    assert [timing.name for timing in timings[:3]] == ["bm25", "dense", "whole search"]
    assert timings[0].searches == 1
    with pytest.raises(InputError, match="no query to time"):
        time_searches(client(), [Query("", id="2")])


def test_no_measure_reaches_beyond_the_window() -> None:
    """A window of 20 measures R@20, one of 5 nDCG@5, and the report says so."""
    experiment = run_experiment(client(), QUERIES, QRELS, legs=["bm25"], window=20)
    assert list(experiment.rows[0].scores.mean) == ["nDCG@10", "RR@10", "R@20"]
    assert "R@20" in experiment_json(experiment)["systems"][0]
    assert [column.header for column in experiment_table(experiment).columns][1:4] == ["nDCG@10", "RR@10", "R@20"]
    narrow = run_experiment(client(), QUERIES, QRELS, legs=["bm25"], window=5)
    assert list(narrow.measures) == ["nDCG@5", "RR@5", "R@5"]


def test_the_querys_own_document_can_be_left_out() -> None:
    """Query a is document a, which BM25 ranks first: without it the relevant b is first, not second."""
    asked, judged = [Query("first", id="a")], {"a": {"b": 1}}
    kept = run_experiment(client(), asked, judged, legs=["bm25"])
    assert kept.rows[0].scores.mean[RECIPROCAL_RANK] == 1 / 2
    left_out = run_experiment(client(), asked, judged, legs=["bm25"], ignore_identical=True)
    assert left_out.rows[0].scores.mean[RECIPROCAL_RANK] == 1.0
    assert (kept.identical, left_out.identical) == (None, 1)
    assert "the document with the query's own id was left out, as BEIR does: of 1 queries" in notes(left_out)


def test_reports_and_runs_agree(tmp_path) -> None:
    """JSON, table and files are of the same systems; p-values only where there is a fusion."""
    experiment = run_experiment(client(), QUERIES, QRELS, legs=["bm25", "dense"], fusions=[Fusion("rrf")])
    report = experiment_json(experiment)
    assert [system["name"] for system in report["systems"]] == ["bm25", "dense", "bm25+dense rrf"]
    assert [system["p_value"] is None for system in report["systems"]] == [True, True, False]
    assert experiment_table(experiment).row_count == 3
    assert [system["p_holm"] is None for system in report["systems"]] == [True, True, False]
    assert notes(experiment)[1].endswith("corrected for 1 comparisons (Holm)")
    assert notes(experiment)[2] == "1 queries without judgements were left out"
    paths = save_runs(experiment, tmp_path)
    assert [path.name for path in paths] == ["bm25.run", "dense.run", "bm25+dense-rrf.run"]
    for path, row in zip(paths, experiment.rows, strict=True):
        assert measure(QRELS, read_run(path)).mean == row.scores.mean
