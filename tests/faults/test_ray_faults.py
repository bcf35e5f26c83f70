"""``index --ray``: actors that share a load, on nodes that are processes of this machine, some of which are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from test_worker_faults import COUNT, DEADLY, WORDLESS, _has_some, _wait, folder, lines, loaded, start
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.loads import loads_of
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.state.letters import read_letters
from hybrid_search.scale.on_ray import RayOptions, cause, load_on_ray
from hybrid_search.scale.watch import Bounds
from hybrid_search.scale.work import Share
from hybrid_search.settings import EngineSettings, Settings

pytest.importorskip("ray")
assert folder  # the fixture, which is used by its name

SECRET = "secret-of-this-test"  # noqa: S105  # of no account
ON_RAY = ("--ray", "local", "--workers", "2", "--ray-least", "2", "--ray-cpus", "0.5")


@pytest.fixture
def command(connection, monkeypatch, tmp_path):
    """Runs a command in this process; its exit status and output."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*words):
        result = CliRunner().invoke(app, [*map(str, words), "--url", connection.where, *WORDLESS[:4]])
        return result.exit_code, " ".join(result.output.split())

    return run


def corpus(path, numbers, *more):
    """A file of documents, and lines beside them."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (*lines(numbers), *more)))


def test_what_one_process_promises_holds_on_ray(tmp_path, connection, index_name, command) -> None:
    """600 documents are there; 20 go from the source, 9 are new: one kills the models, and two lines are no JSON.

    Two actors load the difference, each document once, and remove the 20; the one is a dead letter and the other actor
    goes on; the bad lines are in one file. Meanwhile the index says who is at it, and Prometheus how far; spans of all
    batches are exported. ``verify`` misses the one, ``replay`` sends it where the models bear it. No file of Ray's
    holds the password.
    """
    source, index, bad, letters = tmp_path / "in", index_name(), tmp_path / "bad.jsonl", tmp_path / "letters.jsonl"
    for number in range(3):
        corpus(source / f"{number}.jsonl", range(200 * number, 200 * number + 200))
    status, output = command("index", source, index, "--no-cache")
    assert status == 0, output
    corpus(source / "0.jsonl", range(20, 200), "{broken")
    corpus(source / "3.jsonl", range(600, 608), json.dumps({"_id": "poison", "text": "a deadly lamp"}), "{also")
    process, spans = observed(source, connection, index, tmp_path, "--skip-bad", bad, "--dead-letters", letters)
    sessions = watch(process, connection, index)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, "hybrid-search replay" in err) == (1, True), err
    report = json.loads(out)
    assert (report["refused"], report["removed"], report["skipped"]) == (1, 20, 2), report
    assert [letter.document.id for letter in read_letters(letters)] == ["poison"]
    assert sorted(json.loads(line)["record"] for line in bad.read_bytes().splitlines()[1:]) == ["{also", "{broken"]
    assert loaded(connection, index) == 588
    assert {f"load {index}", "read", "encode", "send"} <= spans()
    files = [path for session in sessions for path in session.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    status, output = command("verify", index, source, "--skip-bad")
    assert (status, "1 missing: poison" in output) == (1, True), output
    assert command("replay", letters, index)[0] == 0
    assert not letters.exists()
    status, output = command("verify", index, source, "--skip-bad")
    assert status == 0, output


def observed(source, connection, index, folder, *options):
    """The command on Ray, with everything on; and what gives the names of the spans that have been exported."""
    (spans := folder / "spans").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = ("--sync", "--max-bad", "2", "--json", "--metrics-port", port)
    secrets = ("--set", "source.user=me", "--set", f"source.password={SECRET}")
    path = os.pathsep.join([DEADLY, os.environ.get("PYTHONPATH", "")])
    known = {"PYTHONPATH": path, "SPANS_OF_A_TEST": str(spans)}
    process = start(source, connection, index, *map(str, (*ON_RAY, *more, *secrets, *options)), **known)
    process.port = port
    return process, lambda: {line for path in spans.iterdir() for line in path.read_text().splitlines()}


def watch(process, connection, index) -> set[Path]:
    """Wait until Prometheus and the index tell of the actors; the folders of Ray's sessions."""
    sessions: set[Path] = set()
    metric = re.compile(rf'hybrid_search_load_documents_total{{index="{index}"}} [1-9]')

    def told() -> bool:
        assert process.poll() is None, process.communicate()[1]
        sessions.update(_sessions(process))
        if metric.search(_metrics(process.port)) is None:
            return False
        running = [load for load in loads_of(connection, index) if load.state == "running" and load.splits]
        return any(worker.runs for load in running for worker in load.workers)

    _wait(told)
    return sessions


def _metrics(port) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:  # of this machine
            return answer.read().decode()
    except OSError:  # not yet
        return ""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_ray_ends_with_the_command_that_started_it(folder, opensearch, new_names, ending) -> None:
    """Its processes are gone; the same command, without Ray, goes on."""
    connection, index = opensearch, new_names(opensearch)
    process = start(folder, connection, index, "--ray", "local", "--ray-cpus", "0.5")
    _wait(lambda: _has_some(connection, index) or process.poll() is not None)
    rays = _of_ray(process) if process.poll() is None else []
    process.send_signal(ending)
    process.communicate(timeout=120)
    _wait(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in rays))
    again = start(folder, connection, index, "--json")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert loaded(connection, index) == COUNT


@pytest.mark.parametrize(
    ("address", "bounds", "cpus", "said"),
    [
        ("10.0.0.1:6379", Bounds(1, 2), 1.0, "no address of a Ray cluster"),
        ("local", Bounds(3, 2), 1.0, "is more than --workers 2"),
        ("local", Bounds(1, 2), 1.5, "whole number"),
    ],
)
def test_what_ray_cannot_do_is_said_at_once(address, bounds, cpus, said) -> None:
    """Nothing is started for it."""
    with pytest.raises(SettingsError, match=said):
        RayOptions(address, bounds, cpus).check()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The actor died.\n\tclass_name: Actor\n\tactor_id: 7\nIts node was lost.",
            "The actor died. Its node was lost.",
        ),
        ("The actor died. Worker exit detail: killed\n by the system", "killed by the system"),
    ],
)
def test_of_a_lost_actor_its_reason_is_told(said, told) -> None:
    """In Ray's words, on one line, without Ray's own ids."""
    assert cause(Exception(said)) == told


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    """The error has the pip command."""
    monkeypatch.setitem(sys.modules, "ray", None)
    share = Share("s", "i", Settings(engine=EngineSettings(url="http://localhost:1")), LoadFiles(), SourceOptions())
    with pytest.raises(MissingExtraError, match=r"--ray needs the extra \[ray\]"):
        load_on_ray(share, RayOptions("local", Bounds(1, 1)))


def _of_ray(process) -> list[psutil.Process]:
    """Ray's servers and workers; its agents look for them only every minute, and end then."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [one for one in found if "agent" not in " ".join([one.name(), *one.cmdline()]).lower()]


def _sessions(process) -> list[Path]:
    """The folders of Ray's sessions that the processes of a command name."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            words = " ".join(child.cmdline()).replace("=", " ").split()
        except psutil.Error:
            continue
        found += [Path(word) for word in words if Path(word).name.startswith("session_") and Path(word).is_dir()]
    return found
