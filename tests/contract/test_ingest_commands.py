"""The commands that load and keep right, on the real engine: what they print, and their exit status."""

from __future__ import annotations

import json

import pytest
from loading import DIMENSION, documents, record_line
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.ingest import left_out

SETTINGS = f"""
[documents]
text = ["text"]
number = ["place"]
dense = "dense"
sparse = "sparse"

[dense]
model = "precomputed"
dimension = {DIMENSION}

[sparse]
model = "precomputed"
"""


@pytest.fixture
def command(opensearch, new_names, tmp_path, monkeypatch):
    """Runs a command on a new index with settings for documents that carry vectors; exit status and output."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS)

    def run(*words):
        options = [] if words[0] == "cache" else ["--url", opensearch.where, "--settings", str(settings)]
        result = CliRunner().invoke(app, [*map(str, words), *options])
        return result.exit_code, result.output

    run.index, run.source, run.folder = new_names(opensearch), tmp_path / "source.jsonl", tmp_path
    run.source.write_text("".join(record_line(document) for document in documents(20, vectors=True)))
    return run


def test_index_verify_and_delete(command):
    """A load says what it did; verify agrees; after a deletion it names the document and exits with 1."""
    status, output = command("index", command.source, command.index, "--json")
    report = json.loads(output[output.index("{") :])
    assert (status, report["indexed"], report["refused"]) == (0, 20, 0)
    assert command("verify", command.index, command.source)[0] == 0
    status, output = command("delete", command.index, "d3", "d4")
    assert (status, output) == (0, "2 passages deleted\n")
    status, output = command("verify", command.index, command.source)
    assert status == 1
    assert "2 missing: d3, d4" in output
    status, output = command("delete", command.index, "--query", '{"term": {"doc_id": "d5"}}', "--yes")
    assert (status, output) == (0, "1 passage deleted\n")


def test_sync_and_recreate(command):
    """--sync removes what the source does not have, --recreate begins anew; both only what they may."""
    command("index", command.source, command.index)
    command.source.write_text("".join(record_line(document) for document in documents(5, vectors=True)))
    status, output = command("index", command.source, command.index, "--sync")
    assert status == 1
    assert "15 of 20 documents" in output.replace("\n", " ")
    assert command("index", command.source, command.index, "--sync", "--max-removed", 15)[0] == 0
    assert command("verify", command.index, command.source)[0] == 0
    status, output = command("index", command.source, command.index, "--recreate", "--json")
    assert (status, json.loads(output[output.index("{") :])["indexed"]) == (0, 5)
    assert command("verify", command.index, command.source)[0] == 0


def test_a_broken_line_ends_with_its_number_and_status_2(command, monkeypatch):
    """With --skip-bad it is counted and saved, and the others are loaded."""
    monkeypatch.setattr(left_out, "SAMPLED", 8)  # the broken line is behind what is looked through
    command.source.write_text(command.source.read_text() + "{broken\n")
    status, output = command("index", command.source, command.index)
    assert status == 2
    assert "source.jsonl:21" in output
    bad = command.folder / "bad.jsonl"
    status, output = command("index", command.source, command.index, "--skip-bad", bad, "--json")
    report = json.loads(output[output.index("{") :])
    assert (status, report["skipped"], report["resumed"]) == (0, 1, 20)
    assert json.loads(bad.read_text().splitlines()[1])["record"] == "{broken"


def test_a_refused_document_is_status_1_until_it_is_replayed(command):
    """The summary names the document, the reason and the command that sends it again."""
    bad = record_line(next(documents(1, first=99, vectors=True)), sparse={"x" * 40_000: 1.0})
    command.source.write_text(command.source.read_text() + bad)
    letters = command.folder / "letters.jsonl"
    status, output = command("index", command.source, command.index, "--dead-letters", letters)
    assert status == 1
    assert "d99#0" in output
    assert f"hybrid-search replay {letters}" in output.replace("\n", "")
    letters.write_text(letters.read_text().replace("x" * 40_000, "7"))
    assert command("replay", letters, command.index)[0] == 0
    assert not letters.exists()


def test_the_cache_is_shown_and_pruned(command):
    """Nothing was encoded, so nothing is kept."""
    status, output = command("cache", "info", "--json")
    assert (status, json.loads(output)["texts"]) == (0, 0)
    assert command("cache", "prune", "--unused-days", "0") == (0, "0 texts forgotten\n")


@pytest.mark.parametrize(
    "options",
    [
        ("--recreate", "--sync"),
        ("--recreate", "--limit", 5),
        ("--recreate", "--dry-run"),
        ("--sync", "--limit", 5),
        ("--confirm", "it"),
        ("--sync", "--max-removed", "some"),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_options_that_contradict_each_other_change_nothing(command, options):
    """Exit status 2 before anything is asked, read or deleted."""
    command("index", command.source, command.index)
    status, _ = command("index", command.source, command.index, *options)
    assert status == 2
    assert command("verify", command.index, command.source)[0] == 0


def test_a_dry_run_says_what_would_go(command):
    """Of 20 documents 2 are gone from the source; nothing is removed."""
    command("index", command.source, command.index)
    command.source.write_text("".join(record_line(document) for document in documents(18, vectors=True)))
    status, output = command("index", command.source, command.index, "--sync", "--dry-run")
    assert (status, "2 removed by --sync: 2 of 20 documents (d18, d19)" in output) == (0, True)
    status, output = command("delete", command.index, "--query", '{"match_all": {}}', "--dry-run")
    assert (status, "20 of 20 documents" in output) == (0, True)
    status, output = command("delete", command.index, "--query", '{"match_all": {}}')
    assert (status, "none was deleted" in output) == (1, True)
    assert command("delete", "*", "--query", '{"match_all": {}}')[0] == 2
    status, output = command("delete", command.index, "--query", '{"match_all": {}}', "--max-removed", "all", "--yes")
    assert (status, output) == (0, "20 passages deleted\n")


def test_verify_passes_over_bad_records_when_asked(command):
    """A source with one bad line can be loaded, verified and synced; what was left out is counted."""
    command.source.write_text("{broken\n" + command.source.read_text())
    bad = command.folder / "bad.jsonl"
    assert command("index", command.source, command.index, "--skip-bad", bad, "--sync")[0] == 0
    status, output = command("verify", command.index, command.source, "--skip-bad")
    assert (status, "1 bad record was left out" in output) == (0, True)
    assert command("verify", command.index, command.source)[0] == 2
