"""An experiment against a kept one."""

from __future__ import annotations

import pytest
from test_evaluate import QRELS, QUERIES, client

from hybrid_search.errors import InputError, SourceError
from hybrid_search.evaluate import run_experiment
from hybrid_search.evaluate.gate import Baseline, baseline_of, changes, changes_json, read_baseline, write_baseline
from hybrid_search.evaluate.gate_table import changes_table, verdict
from hybrid_search.printed.console import Console

LOST, KEPT = 12, 28


@pytest.fixture(scope="module")
def experiment():
    """Two judged queries, two legs."""
    with client() as opened:
        return run_experiment(opened, QUERIES, QRELS, legs=["bm25", "dense"], fusions=["rrf"])


def of(**values):
    """A baseline of one system and one measure."""
    return Baseline({"bm25": {"nDCG@10": values}})


def test_a_baseline_comes_back_as_it_was_kept(experiment, tmp_path) -> None:
    """Every value of every query; against itself nothing changes."""
    kept = baseline_of(experiment)
    write_baseline(tmp_path / "run.json", kept)
    assert read_baseline(tmp_path / "run.json") == kept
    assert kept.systems["bm25"]["RR@10"] == {"1": 1 / 2, "2": 1.0}
    found = changes(experiment, kept)
    assert [one.system for one in found][::3] == ["bm25", "dense", "bm25+dense rrf"]
    assert {(one.comparison.difference, one.comparison.p_holm, one.is_fall) for one in found} == {(0, 1, False)}
    assert verdict(found) == "none of 9 fell beyond chance"


def test_a_fall_beyond_chance_is_one_and_names_its_queries(experiment, monkeypatch) -> None:
    """Twelve of forty queries lose all: of 4,096 signs two are as extreme, p is 1/2048; two that lose are chance."""
    before = {f"q{n}": 1.0 for n in range(LOST + KEPT)}
    for lost, p_value, fell in ((LOST, 2 / 2**LOST, True), (2, 2 / 2**2, False)):
        now = {query: 0.0 if n < lost else 1.0 for n, query in enumerate(before)}
        monkeypatch.setattr("hybrid_search.evaluate.gate.baseline_of", lambda _, now=now: of(**now))
        [found] = changes(experiment, of(**before))
        assert found.comparison.p_holm == pytest.approx(p_value, rel=0.5)
        assert (found.is_fall, found.before, found.now) == (fell, 1.0, pytest.approx(1 - lost / 40))
        assert list(found.queries) == [(f"q{n}", -1.0) for n in range(min(lost, 5))]
    assert changes_json([found])[0]["queries"] == [{"id": "q0", "change": -1.0}, {"id": "q1", "change": -1.0}]
    console = Console(width=120, record=True)
    console.print(changes_table([found]))
    assert "q0 -1.00, q1 -1.00" in console.export_text()


def test_a_gain_is_no_fall(experiment, monkeypatch) -> None:
    """However significant."""
    monkeypatch.setattr("hybrid_search.evaluate.gate.baseline_of", lambda _: of(**{f"q{n}": 1.0 for n in range(40)}))
    [found] = changes(experiment, of(**{f"q{n}": 0.0 for n in range(40)}))
    assert (found.comparison.p_holm < 0.01, found.is_fall, found.queries) == (True, False, [])


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (Baseline({"bm25+sparse rrf": {"nDCG@10": {"1": 1.0}}}), "the baseline has: bm25.sparse rrf"),
        (of(), "no query is in both"),
        (of(other=1.0), "no query is in both"),
    ],
    ids=["other systems", "no queries", "other queries"],
)
def test_what_cannot_be_compared_is_said(experiment, kept, said) -> None:
    """With what to do."""
    with pytest.raises(InputError, match=f"{said}.*--save"):
        changes(experiment, kept)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"systems": 1}', b"\xff"])
def test_a_file_that_is_no_baseline_is_refused(tmp_path, content) -> None:
    """Missing, empty, or something else."""
    path = tmp_path / "run.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"run\.json.*evaluate --save|evaluate --save"):
        read_baseline(path)
