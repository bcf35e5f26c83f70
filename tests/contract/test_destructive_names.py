"""What is destroyed has one name and a number that somebody has said: patterns and queries alone delete nothing."""

from __future__ import annotations

import json

import pytest
from generated import filled, passages
from typer.testing import CliRunner

from hybrid_search.cli import maintain
from hybrid_search.cli.app import app
from hybrid_search.engine import indices
from hybrid_search.engine.layout import DOC_ID
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RequestRefusedError
from hybrid_search.ingest.maintain.remove import delete_documents, delete_where

EVERYTHING = '{"match_all": {}}'


@pytest.fixture
def index(connection, index_name):
    """An index of 20 documents of one passage."""
    return filled(connection, index_name(), passages(20))


@pytest.fixture
def delete(connection, index):
    """``delete --query`` of everything on the index; exit status, and output on one line."""

    def run(*options, name=index, keys=None):
        words = ["delete", name, "--query", EVERYTHING, "--max-removed", "all", "--url", connection.where, *options]
        result = CliRunner().invoke(app, words, input=keys)
        return result.exit_code, " ".join(result.output.split())

    return run


@pytest.mark.parametrize("pattern", ["{}*", "{},{}", "*{}", "{}?", "_all", "<{}>", "", ".", ".."])
def test_a_pattern_that_matches_one_index_destroys_nothing(connection, index, delete, pattern):
    """By the command and by every call of Python: the engine is not even asked."""
    name = pattern.format(index, index)
    assert delete("--yes", name=name)[0] == 2
    calls = {
        "open": lambda: indices.open_index(connection, name),
        "delete": lambda: indices.delete_index(connection, name),
        "create": lambda: indices.create_index(connection, name, indices.open_index(connection, index).schema),
        "aliased": lambda: indices.aliased(connection, name),
        "point": lambda: indices.point_alias(connection, name, index),
        "swap": lambda: indices.swap_index_for_alias(connection, index, index, old=name),
        "documents": lambda: delete_documents(connection, name, ["doc-1"]),
        "where": lambda: delete_where(connection, name, {"match_all": {}}),
    }
    for call in calls.values():
        with pytest.raises(RequestRefusedError, match="may stand for several indices"):
            call()
    assert indices.count(connection, index) == 20


@pytest.mark.parametrize(
    "words",
    [
        ["index", "notes.jsonl", "{}"],
        ["index", "notes.jsonl", "{}", "--recreate"],
        ["reindex", "notes.jsonl", "{}"],
        ["rollback", "{}"],
        ["migrate", "{}", "--source", "notes"],
        ["replay", "letters.jsonl", "{}"],
    ],
    ids=" ".join,
)
def test_no_command_that_writes_takes_a_pattern(connection, index, words, tmp_path, monkeypatch):
    """One line, and the documents are those that they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "notes.jsonl").write_text(json.dumps({"_id": "a", "text": "tea"}))
    models = ["--set", "dense.model=none", "--set", "sparse.model=idf", "--set", "documents.text=text"]
    options = models if words[0] in {"index", "reindex"} else []
    given = [word.format(f"{index}*") for word in words]
    result = CliRunner().invoke(app, [*given, "--url", connection.where, *options])
    assert result.exit_code in {1, 2}
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert indices.count(connection, index) == 20


def test_a_query_deletes_nothing_before_its_number_is_confirmed(connection, index, delete):
    """Not without a word, not with another number; then all 20 with theirs."""
    for options in ((), ("--confirm", "19")):
        status, output = delete(*options)
        assert status == 1
        assert "matches 20 of 20 documents" in output
        assert "none was deleted. If they are to go: --confirm 20, or --yes" in output
    assert delete("--dry-run")[0] == 0
    assert indices.count(connection, index) == 20
    assert delete("--confirm", "20") == (0, "20 passages deleted")
    assert delete("--confirm", "0")[0] == 0


def test_yes_does_not_unsay_a_number(connection, index, delete):
    """A script gives both: another number than the confirmed one deletes nothing."""
    status, output = delete("--yes", "--confirm", "19")
    assert (status, "matches 20 of 20 documents" in output, indices.count(connection, index)) == (1, True, 20)
    assert delete("--yes", "--confirm", "20") == (0, "20 passages deleted")


@pytest.fixture
def tenant(connection, index):
    """An alias of the index that shows the first 5 of its 20 documents."""
    shown = {"terms": {DOC_ID: [f"doc-{number}" for number in range(5)]}}
    actions = [{"add": {"index": index, "alias": f"{index}-tenant", "filter": shown}}]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    return f"{index}-tenant"


def test_what_an_alias_does_not_show_is_not_deleted_through_it(connection, index, delete, tenant):
    """By query: 5 of 5 are counted and go, the 15 of others stay."""
    assert delete("--dry-run", name=tenant)[1].startswith("5 of 5 documents (doc-0,")
    assert delete("--yes", name=tenant) == (0, "5 passages deleted")
    assert indices.count(connection, index) == 20 - 5


def test_an_id_that_an_alias_does_not_show_is_not_in_it(connection, index, tenant):
    """By id: doc-1 goes, doc-7 is another's and is named as one that is not there."""
    result = CliRunner().invoke(app, ["delete", tenant, "doc-1", "doc-7", "--url", connection.where])
    output = " ".join(result.output.split())
    assert (result.exit_code, indices.count(connection, index)) == (1, 20 - 1)
    assert "1 passage deleted" in output
    assert "1 id is not in the index: doc-7" in output


def test_a_person_is_asked(connection, index, delete, monkeypatch):
    """At a terminal; anything but yes leaves all 20 as they were."""
    monkeypatch.setattr(maintain, "_is_terminal", lambda: True)
    for keys, left in (("n\n", 20), ("\n", 20), ("y\n", 0)):
        status, output = delete(keys=keys)
        assert "20 of 20 documents" in output
        assert "Delete them?" in output
        assert status == (1 if left else 0)
        assert indices.count(connection, index) == left
