"""Runs, measures, significance, and the experiment over an engine made of functions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA, PlaneEncoder, connection, engine

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import InputError, QueryError, RecordError, SourceError
from hybrid_search.evaluate import measure, randomisation_p, read_run, run_experiment, write_run
from hybrid_search.evaluate.measures import NDCG, RECALL, RECIPROCAL_RANK
from hybrid_search.evaluate.report import experiment_json, experiment_table, notes, save_runs
from hybrid_search.records import Leg, Query
from hybrid_search.search import Fusion, SearchClient
from hybrid_search.settings import Settings

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


def client(reranker=None) -> SearchClient:
    def respond(request):
        if request.path == "/docs/_mapping":
            return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
        return engine(RUNS)(request)

    return SearchClient(
        "docs", settings=Settings(), encoder=PlaneEncoder(), reranker=reranker, connection=connection(respond)
    )


def test_a_run_has_six_columns(tmp_path) -> None:
    """What trec_eval and ir_measures read."""
    write_run(tmp_path / "new" / "bm25.run", {"q1": [("d2", 1.5), ("d1", 0.25)]}, "bm25")
    assert (tmp_path / "new" / "bm25.run").read_text() == "q1 Q0 d2 1 1.5 bm25\nq1 Q0 d1 2 0.25 bm25\n"


@given(rankings)
def test_a_run_is_read_as_it_was_written(tmp_path_factory, found) -> None:
    """Order and scores survive."""
    path = tmp_path_factory.mktemp("runs") / "any.run"
    write_run(path, found, "any")
    assert read_run(path) == found


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


def test_no_difference_is_no_evidence() -> None:
    """Every assignment is as extreme as the observed one."""
    values = {str(n): n / 10 for n in range(20)}
    assert randomisation_p(values, values) == 1.0


def test_a_difference_in_every_query_is_as_rare_as_its_signs() -> None:
    """Five equal differences: only two of 32 assignments are as extreme, so p is near 1/16."""
    first = {str(n): 1.0 for n in range(5)}
    second = {str(n): 0.5 for n in range(5)}
    assert randomisation_p(first, second) == pytest.approx(2 / 32, abs=0.01)


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


def test_reports_and_runs_agree(tmp_path) -> None:
    """JSON, table and files are of the same systems; p-values only where there is a fusion."""
    experiment = run_experiment(client(), QUERIES, QRELS, legs=["bm25", "dense"], fusions=[Fusion("rrf")])
    report = experiment_json(experiment)
    assert [system["name"] for system in report["systems"]] == ["bm25", "dense", "bm25+dense rrf"]
    assert [system["p_value"] is None for system in report["systems"]] == [True, True, False]
    assert experiment_table(experiment).row_count == 3
    assert notes(experiment)[1] == "1 queries without judgements were left out"
    paths = save_runs(experiment, tmp_path)
    assert [path.name for path in paths] == ["bm25.run", "dense.run", "bm25+dense-rrf.run"]
    for path, row in zip(paths, experiment.rows, strict=True):
        assert measure(QRELS, read_run(path)).mean == row.scores.mean
