"""Grades from a model for the hits of a real index, by the command."""

from __future__ import annotations

import json

import pytest
from generated import filled, passages
from typer.testing import CliRunner

from hybrid_search import read
from hybrid_search.cli.app import app
from hybrid_search.evaluate.judge import Judge


def test_hits_are_graded_and_compared(connection, index_name, engine_url, tmp_path, monkeypatch) -> None:
    """A judge who likes a document's own words alone; people who agree but for one of four pairs: kappa by hand."""
    corpus = passages(20)
    index = filled(connection, index_name(), corpus)
    texts = {one.passage.text: n for n, one in enumerate(corpus)}

    def grade(judge, query, passage):
        judge.asked += 1
        return 3 if texts[passage] == texts[query] else None if texts[passage] == 19 else 0

    monkeypatch.setattr(Judge, "grade", grade)
    (tmp_path / "queries.tsv").write_text("".join(f"q{n}\t{corpus[n].passage.text}\n" for n in (0, 1)))
    given = ["judgements", "ask", index, "--queries", str(tmp_path / "queries.tsv"), "--url", engine_url]
    given += ["--set", "search.legs=bm25", "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "tiny", "-k", "15"]
    first = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "judged"), "--json"])
    assert first.exit_code == 0, first.output
    graded = read.qrels(tmp_path / "judged")
    assert [graded[f"q{n}"][f"doc-{n}"] for n in (0, 1)] == [3, 3]
    assert json.loads(first.stdout)["judgements"] == sum(map(len, graded.values()))
    others = [next(id_ for id_, value in graded[f"q{n}"].items() if not value) for n in (0, 1)]
    people = f"q0\tdoc-0\t3\nq1\tdoc-1\t3\nq0\t{others[0]}\t0\nq1\t{others[1]}\t3\n"
    (tmp_path / "people.tsv").write_text(people)
    more = ["--out", str(tmp_path / "again"), "--qrels", str(tmp_path / "people.tsv")]
    second = CliRunner().invoke(app, [*given, *more])
    kappa = (3 / 4 - (2 * 3 + 2 * 1) / 16) / (1 - (2 * 3 + 2 * 1) / 16)
    assert kappa == pytest.approx(0.5)
    assert "over 4 pairs: 0.500 (grades), 0.500 (relevant or not)" in second.stdout
