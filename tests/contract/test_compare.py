"""Two ways to search a real index, compared without judgements."""

from __future__ import annotations

import json

import pytest
from generated import filled, passages
from typer.testing import CliRunner

from hybrid_search.cli.app import app


@pytest.fixture
def corpus():
    return passages(40)


@pytest.fixture
def index(connection, index_name, corpus) -> str:
    return filled(connection, index_name(), corpus)


@pytest.fixture
def queries(corpus, tmp_path):
    path = tmp_path / "queries.tsv"
    path.write_text("".join(f"q{n}\t{corpus[n].passage.text}\n" for n in range(4)))
    return path


def run(index, queries, engine_url, *more):
    given = ["compare", index, "--queries", str(queries), "--url", engine_url, "--set", "search.legs=bm25"]
    return CliRunner().invoke(app, [*given, *more], env={"COLUMNS": "120"})


def test_the_same_settings_have_the_same_rankings(index, queries, engine_url) -> None:
    """The index against itself: an overlap of 1, every ranking the same, nothing shown."""
    result = run(index, queries, engine_url, "--against-index", index, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["queries"], found["same_ranking"]) == (4, 4)
    assert found["mean_overlap"] == pytest.approx(1)


@pytest.fixture
def other(connection, index_name, corpus) -> str:
    """The same without the first document."""
    return filled(connection, index_name(), corpus[1:])


def test_the_most_different_queries_come_first(index, other, queries, engine_url) -> None:
    """In the order of their overlap; against an index that lacks the first document, that one is gone."""
    result = run(index, queries, engine_url, "--against-index", other, "--json")
    found = json.loads(result.stdout)["by_query"]
    assert [one["overlap"] for one in found] == sorted(one["overlap"] for one in found)
    of_first = next(one for one in found if one["query"] == "q0")
    assert of_first["only_first"][0] == of_first["first"][0] == "doc-0"
    shown = run(index, queries, engine_url, "--against-index", other, "--show", "1")
    assert shown.exit_code == 0, shown.output
    assert f"{found[0]['query']}: " in shown.stdout
    assert "mean rank-biased overlap" in shown.stdout


def test_without_another_way_there_is_nothing_to_compare(index, queries, engine_url) -> None:
    """The three ways to name one are said."""
    result = run(index, queries, engine_url)
    assert result.exit_code == 2
    assert "--against-set" in result.output
