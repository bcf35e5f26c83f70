"""A loading program that is killed at any point, and an engine that is: the next run finishes the load."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from loader import TOLD
from loading import documents, record_line
from proxy import Gate, pass_on, proxy
from tally import RUNS, is_clean

from hybrid_search.engine import connect, indices
from hybrid_search.engine.local import down, node, up
from hybrid_search.engine.local.launch import Runtime
from hybrid_search.engine.local.state import node_folder
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.settings import DocumentSettings, EngineSettings

pytestmark = pytest.mark.faults

COUNT = 2000
SEED = 20_250_101
LOADER = Path(__file__).with_name("loader.py")
TESTS = str(LOADER.parents[1])
SIGNALS = {signal.SIGINT: "interrupt (Ctrl-C)", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
"""Their rows in the table."""
SOURCE = DocumentSettings(text=("text",), number=("place",), dense="dense", sparse="sparse")


@pytest.fixture
def folder(tmp_path):
    """A source of documents that carry vectors, with room beside it for the files of a load."""
    with (tmp_path / "source.jsonl").open("w") as file:
        file.writelines(record_line(document) for document in documents(COUNT, vectors=True))
    return tmp_path


def source(folder):
    from hybrid_search.read import documents as read

    return read(folder / "source.jsonl", SOURCE)


def start(folder, url, index, **options):
    """The loading program, running."""
    given = {"folder": str(folder), "url": url, "index": index, "body_bytes": 20_000, **options}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, str(Path(TESTS).parent)])}
    command = [sys.executable, str(LOADER), json.dumps(given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(folder, url, index, **options):
    """Run the loading program to its end; its report."""
    process = start(folder, url, index, **options)
    output, error = process.communicate()
    assert process.returncode == 0, error
    return json.loads(output)


def test_kill_9_at_random_points(folder, opensearch, new_names, tally):
    """Killed again and again after a random number of bodies, the load ends with every document there once.

    One body is held when the kill comes, before or after the engine has applied it; at most the bodies in flight are
    sent again. The index settings from before the first load are back at the end.
    """
    draw, killed = random.Random(SEED), 0
    with proxy(opensearch.where, pass_on) as between:
        while killed < RUNS:
            index, before = new_names(opensearch), killed
            (folder / "journal").unlink(missing_ok=True)
            while killed < RUNS and kill_while_held(start(folder, between.url, index, body_bytes=3_000), between, draw):
                killed += 1
            between.fault = pass_on
            report = finish(folder, between.url, index)
            assert report["refused"] == 0
            settings = indices.read_settings(opensearch, index)
            assert settings["index.refresh_interval"] == "1s"
            assert read_state(opensearch, index).before is None
            row = tally.check("kill -9 of the load", killed - before, opensearch, index, source=source(folder))
            assert is_clean(row)
    assert killed == RUNS


def kill_while_held(process, between, draw, most=40):
    """Kill the program while a body is held after a random number of them; False when it has sent no more than that."""
    between.fault = gate = Gate(draw.randint(0, most), applied=draw.random() < 0.5)
    held = gate.holds(process)
    process.kill()
    process.communicate()
    gate.drop()
    return held


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    ids=lambda number: number.name,
)
def test_a_signal_ends_a_load_in_order(number, folder, opensearch, new_names, tally):
    """Ctrl-C and its like: the senders finish what they sent, settings are restored, and the next run goes on there."""
    index, gate = new_names(opensearch), Gate(passing=20)
    with proxy(opensearch.where, gate) as between:
        process = start(folder, between.url, index, body_bytes=3_000, told=[number])
        assert gate.holds(process)
        process.send_signal(number)
        told = process.stdout.readline()
        gate.open()
        _, error = process.communicate()
        assert (told, process.returncode == 0) == (f"{TOLD}\n", False), error
        assert indices.read_settings(opensearch, index)["index.refresh_interval"] == "1s"
        report = finish(folder, between.url, index, body_bytes=3_000)
    assert report["resumed"] > 0
    assert is_clean(tally.check(SIGNALS[number], 1, opensearch, index, source=source(folder)))


@pytest.mark.parametrize("victim", ["journal", "cache"])
def test_a_full_disk_stops_with_a_sentence_and_the_load_goes_on_later(victim, folder, opensearch, new_names, tally):
    """No file may grow beyond a limit: the load says which one cannot be written; with room again it is finished."""
    index = new_names(opensearch)
    limit = {"journal": 1000, "cache": 20_000}[victim]
    process = start(folder, opensearch.where, index, body_bytes=3_000, largest_file=limit, cache=victim == "cache")
    _, error = process.communicate()
    assert process.returncode == 1
    assert victim in error
    assert "Traceback" not in error
    finish(folder, opensearch.where, index)
    assert is_clean(tally.check(f"full disk ({victim})", 1, opensearch, index, source=source(folder)))


def test_a_full_disk_before_the_dead_letters(folder, opensearch, new_names, tally):
    """A refused document that cannot be kept is not settled: the load stops, and keeps it when there is room."""
    index, path = new_names(opensearch), folder / "source.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    too_long = {"x" * 40_000: 1.0}  # for a term in Lucene, as the engine says
    wrong = [json.dumps({**json.loads(line), "sparse": too_long}) + "\n" for line in lines[:3]]
    path.write_text("".join(wrong + lines[3:]))
    _, error = start(folder, opensearch.where, index, largest_file=60_000).communicate()
    assert "letters.jsonl: cannot be written" in error
    finish(folder, opensearch.where, index)
    letters = map(json.loads, (folder / "letters.jsonl").read_text().splitlines()[1:])
    refused = [(letter["id"], letter["reason"]) for letter in letters]
    row = tally.check("full disk (dead letters)", 1, opensearch, index, source=source(folder), refused=refused)
    assert is_clean(row)
    assert row.refused == 3


@pytest.fixture
def own_node(monkeypatch):
    """An OpenSearch of this test's own, to be killed; as a short-lived one it starts with half the processor time."""
    monkeypatch.setattr(node, "Runtime", partial(Runtime, short_lived=True))
    name = f"faults-{uuid4().hex[:8]}"
    yield up(name, heap="512m")
    down(name)
    shutil.rmtree(node_folder(name))


def test_an_engine_that_is_killed_and_restarted(folder, own_node, tally):
    """kill -9 of the server while it owes answers: the load waits, the server comes back, nothing is lost."""
    gate = Gate(passing=20, applied=True)
    with connect(EngineSettings(url=own_node.url)) as connection, proxy(own_node.url, gate) as between:
        process = start(folder, between.url, "killed", body_bytes=3_000)
        assert gate.holds(process)
        server = psutil.Process(own_node.pid)
        server.kill()
        server.wait()
        gate.drop()
        up(own_node.name)
        output, error = process.communicate()
        assert process.returncode == 0, error
        assert json.loads(output)["retried"] > 0
        assert is_clean(tally.check("kill -9 of the engine", 1, connection, "killed", source=source(folder)))
