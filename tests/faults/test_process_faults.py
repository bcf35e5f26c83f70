"""A loading program that is killed at any point, and an engine that is: the next run finishes the load."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from loading import documents, record_line
from tally import RUNS, is_clean

from hybrid_search.engine import connect, indices
from hybrid_search.engine.local import down, up
from hybrid_search.engine.local.state import node_folder
from hybrid_search.ingest.state.lease import BEFORE_LOAD
from hybrid_search.settings import DocumentSettings, EngineSettings

pytestmark = pytest.mark.faults

COUNT = 2000
SEED = 20_250_101
LOADER = Path(__file__).with_name("loader.py")
TESTS = str(LOADER.parents[1])
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


def start(folder, connection, index, **options):
    """The loading program, running."""
    given = {"folder": str(folder), "url": connection.where, "index": index, "body_bytes": 20_000, **options}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, str(Path(TESTS).parent)])}
    command = [sys.executable, str(LOADER), json.dumps(given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(folder, connection, index, **options):
    """Run the loading program to its end; its report."""
    process = start(folder, connection, index, **options)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return json.loads(output)


def journal_size(folder):
    path = folder / "journal"
    return path.stat().st_size if path.exists() else 0


def kill_at(process, folder, size, deadline=120.0):
    """Kill the program when its journal has grown to ``size`` bytes; whether it was still running."""
    until = time.monotonic() + deadline
    while journal_size(folder) < size and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def test_kill_9_at_random_points(folder, opensearch, new_names, tally):
    """Killed again and again at random sizes of its journal, the load ends with every document there once.

    The journal grows by a line for every body, so its size says how far a load has come; at most the bodies in
    flight are sent again. The index settings from before the first load are back at the end.
    """
    draw, killed = random.Random(SEED), 0
    while killed < RUNS:
        index, before = new_names(opensearch), killed
        (folder / "journal").unlink(missing_ok=True)
        while killed < RUNS and kill_at(
            start(folder, opensearch, index, body_bytes=3_000), folder, journal_size(folder) + draw.randint(0, 1500)
        ):
            killed += 1
        report = finish(folder, opensearch, index)
        assert report["refused"] == 0
        settings = indices.read_settings(opensearch, index)
        assert (settings["index.refresh_interval"], indices.read_meta(opensearch, index)[BEFORE_LOAD]) == ("1s", None)
        row = tally.check("kill -9 of the load", killed - before, opensearch, index, source=source(folder))
        assert is_clean(row)
    assert killed == RUNS


def test_sigterm_and_an_interrupt_end_in_order(folder, opensearch, new_names, tally):
    """Ctrl-C: the senders finish what they sent, settings are restored, and the next run goes on from there."""
    index = new_names(opensearch)
    process = start(folder, opensearch, index)
    while journal_size(folder) < 1500 and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert indices.read_settings(opensearch, index)["index.refresh_interval"] == "1s"
    report = finish(folder, opensearch, index)
    assert report["resumed"] > 0
    assert is_clean(tally.check("interrupt (Ctrl-C)", 1, opensearch, index, source=source(folder)))


@pytest.mark.parametrize("victim", ["journal", "cache"])
def test_a_full_disk_stops_with_a_sentence_and_the_load_goes_on_later(victim, folder, opensearch, new_names, tally):
    """No file may grow beyond a limit: the load says which one cannot be written; with room again it is finished."""
    index = new_names(opensearch)
    limit = {"journal": 1000, "cache": 20_000}[victim]
    process = start(folder, opensearch, index, largest_file=limit, cache=victim == "cache")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert victim in error
    assert "Traceback" not in error
    finish(folder, opensearch, index)
    assert is_clean(tally.check(f"full disk ({victim})", 1, opensearch, index, source=source(folder)))


def test_a_full_disk_before_the_dead_letters(folder, opensearch, new_names, tally):
    """A refused document that cannot be kept is not settled: the load stops, and keeps it when there is room."""
    index, path = new_names(opensearch), folder / "source.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    too_long = {"x" * 40_000: 1.0}  # for a term in Lucene, as the engine says
    wrong = [json.dumps({**json.loads(line), "sparse": too_long}) + "\n" for line in lines[:3]]
    path.write_text("".join(wrong + lines[3:]))
    _, error = start(folder, opensearch, index, largest_file=60_000).communicate(timeout=300)
    assert "letters.jsonl: cannot be written" in error
    finish(folder, opensearch, index)
    letters = map(json.loads, (folder / "letters.jsonl").read_text().splitlines()[1:])
    refused = [(letter["id"], letter["reason"]) for letter in letters]
    row = tally.check("full disk (dead letters)", 1, opensearch, index, source=source(folder), refused=refused)
    assert is_clean(row)
    assert row.refused == 3


@pytest.fixture
def own_node():
    """An OpenSearch of this test's own, to be killed."""
    name = f"faults-{uuid4().hex[:8]}"
    node = up(name, heap="512m")
    yield node
    down(name)
    shutil.rmtree(node_folder(name))


def test_an_engine_that_is_killed_and_restarted(folder, own_node, tally):
    """kill -9 of the server in the middle of a load: the load waits, the server comes back, nothing is lost."""
    with connect(EngineSettings(url=own_node.url)) as connection:
        process = start(folder, connection, "killed", body_bytes=3_000)
        while journal_size(folder) < 2_500 and process.poll() is None:
            time.sleep(0.001)
        os.kill(own_node.pid, signal.SIGKILL)
        restart = threading.Timer(1.0, up, [own_node.name])
        restart.start()
        output, error = process.communicate(timeout=300)
        restart.join()
        assert process.returncode == 0, error
        assert json.loads(output)["retried"] > 0
        assert is_clean(tally.check("kill -9 of the engine", 1, connection, "killed", source=source(folder)))
