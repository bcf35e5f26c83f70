"""Click logs as they are found: User Behavior Insights and plain lines, and the judgements that the command writes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hybrid_search import read
from hybrid_search.cli.app import app
from hybrid_search.errors import RecordError, SourceError
from hybrid_search.evaluate.clicks import read_clicks
from hybrid_search.evaluate.clicks.log import asked

words = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='\t\n\r"{'), min_size=1).filter(
    lambda text: text == text.strip() and "\ufeff" not in text and len(text.splitlines()) == 1
)
impressions = st.lists(st.tuples(words, words, st.booleans(), st.integers(1, 50)), min_size=1, max_size=20)


@given(impressions, st.booleans())
def test_lines_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[str, str, bool, int]], as_json: bool
) -> None:
    """Columns and JSON lines hold the same impressions, whatever the words."""
    path = tmp_path_factory.mktemp("log") / "log"
    lines = [
        json.dumps({"query": query, "shown": document, "clicked": clicked, "position": position})
        if as_json
        else f"{query}\t{document}\t{int(clicked)}\t{position}"
        for query, document, clicked, position in given_
    ]
    path.write_text("query\tshown\tclicked\tposition\n" * (not as_json) + "\n".join(lines), encoding="utf-8")
    log = read_clicks([path])
    assert log.shown == Counter((asked(query), document, position) for query, document, _, position in given_)
    assert sum(log.clicked.values()) == sum(clicked for _, _, clicked, _ in given_)


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def event(query: str, document: str, action: str = "click") -> dict[str, object]:
    """As the UBI schema has it."""
    attributes = {"object": {"object_id": document, "object_id_field": "_id"}, "position": {"ordinal": 1}}
    return {"action_name": action, "query_id": query, "client_id": "c", "event_attributes": attributes}


def test_user_behavior_insights_are_joined_by_the_search(tmp_path: Path) -> None:
    """The list of the search gives positions; two clicks on one hit are one; what was not shown is counted."""
    found = {"query_id": "1", "user_query": "Red  Lamp", "query_response_hit_ids": ["a", "b", "c"]}
    queries = write(
        tmp_path / "queries.jsonl",
        found,
        {"_source": {"query_id": "2", "user_query": "red lamp", "query_response_hit_ids": ["b", "a"]}},
        {"query_id": "3", "user_query": "no list", "query_response_hit_ids": None},
    )
    events = write(
        tmp_path / "events.jsonl",
        *[event("1", "b")] * 2,
        {"_source": event("2", "a")},
        event("2", "b", "hover"),
        event("2", "never shown"),
        {"action_name": "login"},
    )
    log = read_clicks([events, queries])
    assert log.shown["red lamp", "b", 2] == log.shown["red lamp", "b", 1] == 1
    assert +log.clicked == Counter({("red lamp", "b", 2): 1, ("red lamp", "a", 2): 1})
    assert (log.unmatched, log.unlisted) == (1, 1)
    assert +read_clicks([events, queries], actions=["hover"]).clicked == Counter({("red lamp", "b", 1): 1})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lamp\ta\t1", "got 3 columns"),
        ("lamp\ta\tyes\t1", "clicked is 'yes'"),
        ("lamp\ta\t1\t0", "position is '0'"),
        ("lamp\ta\t1\t1.5", "position is '1.5'"),
        ('{"query": ', "no JSON"),
        ('{"text": "lamp"}', "neither a query, nor an event"),
    ],
    ids=["columns", "clicked", "zero", "half", "json", "other"],
)
def test_a_line_that_is_no_impression_is_named(tmp_path: Path, line: str, said: str) -> None:
    """With its place in the file."""
    path = tmp_path / "log"
    path.write_text(f"lamp\ta\t1\t1\n{line}\n")
    with pytest.raises(RecordError, match=r"log:2.*" + said):
        read_clicks([path])


def test_events_without_searches_are_no_log(tmp_path: Path) -> None:
    """What is needed is said."""
    with pytest.raises(SourceError, match="ubi_queries"):
        read_clicks([write(tmp_path / "events.jsonl", event("1", "a"))])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Document ``b`` is clicked 30 times of 40 at either place, ``a`` 5 times of 40; a rare query beside."""
    path = tmp_path / "log.tsv"
    lines: list[str] = []
    for place_of_a in (1, 2):
        for document, place, clicks in (("a", place_of_a, 5), ("b", 3 - place_of_a, 30)):
            lines += [f"red lamp\t{document}\t{int(number < clicks)}\t{place}" for number in range(40)]
    path.write_text("\n".join([*lines, "rare\ta\t1\t1"]))
    return path


def test_the_command_writes_what_evaluate_reads(log: Path, tmp_path: Path) -> None:
    """A folder of queries and grades; the counts of what was left out; and it is not written over."""
    out = tmp_path / "judged"
    given_ = ["judgements", "clicks", str(log), "--out", str(out)]
    result = CliRunner().invoke(app, [*given_, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["judged_queries"], found["judgements"]) == (1, 2)
    assert found["left_out"]["queries_with_few_clicks"] == 1
    assert found["examination"] == {"1": 1.0, "2": pytest.approx(1.0, abs=0.02)}
    (query,) = read.queries(out)
    assert query.text == "red lamp"
    assert read.qrels(out) == {query.id: {"a": 0, "b": 3}}
    again = CliRunner().invoke(app, given_)
    assert (again.exit_code, "is not touched" in again.output) == (2, True)
    table = CliRunner().invoke(app, [*given_[:-1], str(tmp_path / "other"), "--power", "1"], env={"COLUMNS": "120"})
    assert table.exit_code == 0, table.output
    assert "looked at" in table.stdout
    assert "left out: 1 queries with few clicks" in table.stdout
