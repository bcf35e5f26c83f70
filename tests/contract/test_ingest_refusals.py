"""What the commands say when they refuse, and what they leave, on every engine."""

from __future__ import annotations

import json
import socket

import psutil
import pytest
from loading import documents, record_line
from test_ingest_commands import SETTINGS
from typer.testing import CliRunner

from hybrid_search import build
from hybrid_search.build import Stage
from hybrid_search.cli.app import app
from hybrid_search.engine import indices
from hybrid_search.engine.names import check_new_name
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import SettingsError


@pytest.fixture
def command(connection, index_name, tmp_path, monkeypatch):
    """Runs a command on a new index; exit status and what was printed, on one line."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS)

    def run(*words):
        options = ["--url", connection.where, "--settings", str(settings)]
        result = CliRunner().invoke(app, [*map(str, words), *options])
        return result.exit_code, " ".join(result.output.split())

    run.index, run.folder, run.connection = index_name(), tmp_path, connection
    return run


def source(folder, count, name="source.jsonl", **changes):
    path = folder / name
    path.write_text("".join(record_line(document, **changes) for document in documents(count, vectors=True)))
    return path


def test_ids_that_are_not_there_are_named(command):
    """The others are deleted, and the status is 1: a mistyped id looks like a document that is gone."""
    command("index", source(command.folder, 5), command.index)
    said = "2 ids are not in the index: nosuch, d9"
    status, output = command("delete", command.index, "d1", "nosuch", "d9", "--dry-run")
    assert (status, said in output, "1 of 5 documents (d1) would be deleted" in output) == (1, True, True)
    status, output = command("delete", command.index, "d1", "nosuch", "d9")
    assert (status, said in output, "1 passage deleted" in output) == (1, True, True)
    status, output = command("delete", command.index, "d1", "--json")
    assert (status, "1 id is not in the index: d1" in output) == (1, True)
    assert json.loads(output[: output.index("}") + 1]) == {"passages": 0, "missing": ["d1"]}


def test_a_dry_run_ends_as_the_load_would(command):
    """Ids of another source, more to remove than may be, documents that are bad: status 1 with the reason."""
    folder, index = command.folder, command.index
    command("index", source(folder, 10), index)
    other = source(folder, 3, name="other.jsonl")
    cases = [
        ((other,), "3 documents belong to other sources"),
        ((other, "--take-over"), None),
        ((other, "--source", "source.jsonl", "--sync"), "--sync would remove 7 of 10 documents"),
        ((other, "--source", "source.jsonl", "--sync", "--max-removed", "all"), None),
    ]
    for (path, *options), reason in cases:
        status, output = command("index", path, index, *options, "--dry-run")
        assert (status, (reason or "would be loaded") in output) == (0 if reason is None else 1, True), output
        if "all" not in options:
            assert command("index", path, index, *options)[0] == status
            command("index", folder / "source.jsonl", index, "--take-over")


def test_a_dry_run_knows_what_may_be_left_out(command):
    """Two of 100 records have no text, or are broken: more than 1 %, unless that is allowed."""
    lines = [f'{{"_id": "d{n}", "text": "text {n}"}}\n' for n in range(98)]
    path, bad = command.folder / "a.jsonl", ("--skip-bad", command.folder / "bad.jsonl")
    for line, options in (('{"_id": "x", "text": " "}\n', ()), ("{broken\n", bad)):
        path.write_text("".join([*lines, line, line.replace("x", "y")]))
        for most, status in (((), 1), (("--max-bad", "2%"), 0)):
            dry = command("index", path, command.index, *options, *most, "--dry-run")
            assert (dry[0], "2 of 100 records were left out, more than 1%" in dry[1]) == (status, status == 1)
            assert command("index", path, command.index, *options, *most)[0] == status


def test_a_refused_recreate_says_where_the_new_index_is(command):
    """It has too few documents, and is left for a look."""
    command("index", source(command.folder, 10), command.index)
    try:
        status, output = command("index", source(command.folder, 2), command.index, "--recreate")
        assert (status, f"The new index is left as {command.index}-1" in output) == (1, True)
    finally:
        indices.delete_index(command.connection, f"{command.index}-1")


def test_nothing_is_drawn_before_there_is_progress(command):
    """A refusal is one line: no empty bar stands before it."""
    options = ["--url", command.connection.where, "--settings", str(command.folder / "settings.toml")]
    result = CliRunner().invoke(app, ["index", str(command.folder / "missing.jsonl"), command.index, *options])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1), result.output


def test_a_replay_of_a_missing_file_says_what_to_do(command):
    """The file goes when the last letter was taken, so it may well be missing."""
    command("index", source(command.folder, 1), command.index)
    status, output = command("replay", command.folder / "nothing.jsonl", command.index)
    assert (status, "no such file. Check the path" in output) == (2, True)


NAMES = ["Docs", "docs h5", "docs,h5", "_docs", "+docs", "do#cs", "a:b", "a*b", "a?b", 'a"b', "a<b", "a>b"]
NAMES += ["a|b", "a\\b", "a/b", ".", "..", "x" * 256, "ä" * 128]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_that_the_engine_refuses_are_refused_before_anything(command, name):
    """One error with a name that would do, before anything is made; the engine itself takes none of them."""
    path = source(command.folder, 1)
    answer = command.connection.transport.send(Request.json("PUT", indices._path(name)))
    assert answer.status in {400, 405}
    status, output = command("index", path, name)
    assert (status, "is no name for an index" in output) == (2, True), output
    status, output = command("reindex", path, name)
    assert (status, "is no name for an index" in output) == (2, True), output


@pytest.mark.parametrize("name", ["a", "ä.b_c-d+e", "x" * 200, "a=b", "a(b)", "a&b;c'd", "日本"], ids=range(7))
def test_names_that_the_engine_takes_are_taken(connection, index_name, name):
    """Of the punctuation too, which is rarely seen in names."""
    unique = f"{index_name()[-20:].lstrip('-')}{name}"
    check_new_name(unique)
    try:
        assert connection.transport.send(Request.json("PUT", indices._path(unique))).status == 200
    finally:
        connection.transport.send(Request.json("DELETE", indices._path(unique)))


def test_an_alias_with_upper_case_letters_is_loaded_into(command):
    """Engines take them in aliases: only a new index is refused such a name."""
    command("index", source(command.folder, 2), command.index)
    alias = f"{command.index}-Alias"
    indices.point_alias(command.connection, alias, command.index)
    assert command("index", source(command.folder, 2), alias)[0] == 0
    assert command("index", source(command.folder, 2), f"{alias}-2")[0] == 2


def test_who_works_on_a_build_is_marked_at_every_stage(connection, index_name):
    """Of two that began at once, the one that loads has its mark again when it has loaded."""
    index = index_name()
    connection.send(Request.json("PUT", indices._path(index)))
    parent = psutil.Process().parent()
    owner = {"host": socket.gethostname(), "pid": parent.pid, "born": parent.create_time()}
    build.mark(connection, index, Stage.BUILDING, owner=owner)
    assert build.is_worked_on(connection, index)
    build.mark(connection, index, Stage.LOADED)
    assert not build.is_worked_on(connection, index)


@pytest.mark.parametrize("name", ["-docs", "DOCS", ""])
def test_names_that_a_command_line_cannot_give(name):
    """A program can: it is told the same."""
    with pytest.raises(SettingsError, match="is no name for an index"):
        check_new_name(name)
