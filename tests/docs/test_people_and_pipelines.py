"""What people and pipelines do to an index, by the commands and on both engines: what is said, and the exit status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request

SETTINGS = """
[documents]
text = ["text"]

[dense]
model = "none"

[sparse]
model = "idf"
"""


@pytest.fixture
def command(connection, index_name, tmp_path, monkeypatch):
    """Runs a command on indices of this test, in a folder with settings; exit status and output on one line."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text(SETTINGS)

    def run(*words):
        options = ["--url", connection.where, *([] if words[0] == "delete" else ["--settings", "settings.toml"])]
        result = CliRunner().invoke(app, [*map(str, words), *options])
        return result.exit_code, result.output.replace("\n", " ")

    run.index = index_name()
    yield run
    for number in range(1, 5):
        path = f"/{run.index}-{number}"
        connection.transport.send(Request.json("DELETE", path, ignore_unavailable="true"))


def write(path, numbers, more=""):
    """A source of documents with these numbers."""
    lines = [json.dumps({"_id": f"d{n}", "text": f"green tea number w{n}"}) for n in numbers]
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def live(connection, alias):
    return indices.aliased(connection, alias)[0]


def test_a_reindex_from_a_cut_source_does_not_move_the_alias(connection, command, tmp_path):
    """Of 50 documents 1 is left: readers keep the old index, until the loss is allowed."""
    source = write(tmp_path / "notes.jsonl", range(50))
    assert command("reindex", source, command.index)[0] == 0
    before = live(connection, command.index)
    status, output = command("reindex", write(source, range(1)), command.index)
    assert status == 1
    assert "49 fewer, more than 10%" in output
    assert live(connection, command.index) == before
    assert command("reindex", source, command.index, "--max-removed", 49)[0] == 0
    assert live(connection, command.index) != before


def test_a_refused_reindex_is_begun_anew_when_the_source_was_corrected(command, tmp_path):
    """d90 to d93 were in the source by mistake: they are not live afterwards, though the half-built index had them."""
    source = write(tmp_path / "notes.jsonl", range(20))
    assert command("reindex", source, command.index)[0] == 0
    assert command("reindex", write(source, range(90, 94)), command.index)[0] == 1
    status, output = command("reindex", write(source, range(1, 21)), command.index, "--keep", 0)
    assert status == 0, output
    assert f"Removed: {command.index}-1" in output
    assert command("verify", command.index, source)[0] == 0


def test_a_build_with_other_settings_is_begun_anew(connection, command, tmp_path):
    """The refused build had the analyzer english; the one that serves has standard, as it was asked for last."""
    source = write(tmp_path / "notes.jsonl", range(20))
    assert command("reindex", source, command.index)[0] == 0
    write(source, range(5))
    assert command("reindex", source, command.index, "--set", "engine.analyzer=english")[0] == 1
    again = command("reindex", source, command.index, "--set", "engine.analyzer=standard", "--max-removed", "all")
    assert again[0] == 0
    assert indices.open_index(connection, command.index).schema.analyzer == "standard"


def test_what_cannot_be_compared_is_said_before_anything_is_loaded(connection, command, tmp_path):
    """A window below 100 hits, and judgements of other queries: no index is made."""
    source = write(tmp_path / "notes.jsonl", range(5))
    queries, qrels, others = (tmp_path / name for name in ("queries.jsonl", "qrels.tsv", "others.tsv"))
    queries.write_text('{"_id": "q", "text": "w3"}\n')
    qrels.write_text("q\td3\t1\n")
    others.write_text("unknown\td3\t1\n")
    narrow = command(
        "reindex", source, command.index, "--queries", queries, "--qrels", qrels, "--set", "search.window=50"
    )
    unjudged = command("reindex", source, command.index, "--queries", queries, "--qrels", others)
    assert (narrow[0], unjudged[0]) == (2, 2)
    assert "search.window" in narrow[1]
    assert not indices.exists(connection, f"{command.index}-1")


@pytest.mark.parametrize("fusion", ["rrf", "min-max"])
def test_both_indices_are_searched_by_the_same_settings(command, tmp_path, fusion):
    """The same source twice is not worse, however it is searched: 1.0 and 1.0."""
    source = write(tmp_path / "notes.jsonl", range(30))
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text('{"_id": "q", "text": "w3"}\n')
    qrels.write_text("q\td3\t1\n")
    judged = ("--queries", queries, "--qrels", qrels, "--set", f"search.fusion={fusion}")
    assert command("reindex", source, command.index, *judged)[0] == 0
    status, output = command("reindex", source, command.index, *judged)
    assert status == 0
    assert "nDCG@10 1.0000 is not worse than 1.0000" in output


def test_a_source_with_a_bad_line_is_synced_and_verified(command, tmp_path):
    """Both leave the line out and count it; without being asked to they end at it."""
    source = write(tmp_path / "notes.jsonl", range(20), more="{broken\n")
    assert command("index", source, command.index, "--skip-bad", "bad.jsonl")[0] == 0
    write(source, range(19), more="{broken\n")
    status, output = command("index", source, command.index, "--skip-bad", "bad.jsonl", "--sync", "--json")
    report = json.loads(output[output.index("{") :])
    assert (status, report["removed"], report["skipped"]) == (0, 1, 1)
    assert command("verify", command.index, source)[0] == 2
    status, output = command("verify", command.index, source, "--skip-bad")
    assert status == 0
    assert "1 bad record was left out" in output


def test_a_query_deletes_a_tenth_at_most_and_a_dry_run_nothing(connection, command, tmp_path):
    """A query that matches all of 20 documents; then one that was meant."""
    assert command("index", write(tmp_path / "notes.jsonl", range(20)), command.index)[0] == 0
    everything = ("delete", command.index, "--query", '{"match_all": {}}')
    status, output = command(*everything)
    assert status == 1
    assert "matches 20 of 20 documents" in output
    assert command(*everything, "--dry-run")[0] == 0
    assert indices.count(connection, command.index) == 20
    assert command("delete", command.index, "--query", '{"term": {"doc_id": "d7"}}', "--yes")[0] == 0
    assert indices.count(connection, command.index) == 19


def test_an_edited_document_is_deleted_and_loaded_again(connection, command, tmp_path):
    """The way back that the docs name: a load alone believes the hash, which the edit has left."""
    source = write(tmp_path / "notes.jsonl", range(5))
    assert command("index", source, command.index)[0] == 0
    change = {"doc": {"text": "somebody else wrote this"}}
    connection.send(Request.json("POST", f"/{command.index}/_update/d3%230", change, refresh="true"))
    assert command("verify", command.index, source)[0] == 0
    status, output = command("verify", command.index, source, "--deep")
    assert status == 1
    assert "1 edited: d3" in output
    assert command("delete", command.index, "d3")[0] == 0
    assert command("index", source, command.index)[0] == 0
    assert command("verify", command.index, source, "--deep")[0] == 0


def test_files_of_the_load_in_the_folder_of_the_source_are_no_part_of_it(command, tmp_path):
    """20 documents and a bad line are 20 and 1, also the second time, when three more files are there."""
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "notes.jsonl", range(20), more="{broken\n")
    own = [f"--{name}={folder / name}.jsonl" for name in ("skip-bad", "journal", "dead-letters")]
    for indexed, unchanged in ((20, 0), (0, 20)):
        status, output = command("index", folder, command.index, *own, "--json")
        report = json.loads(output[output.index("{") :])
        assert (status, report["indexed"], report["unchanged"], report["skipped"]) == (0, indexed, unchanged, 1)
