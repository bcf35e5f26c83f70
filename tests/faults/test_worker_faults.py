"""``index --workers``: processes of one machine that share a load, and one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.ingest.state.letters import read_letters
from hybrid_search.scale.workers import Share, numbered
from hybrid_search.settings import Settings

COUNT = 1_800
FILES = 6
SPACES = 4 << 20
"""As many as make a file a split of its own: smaller ones are taken together, by one worker."""
DEADLY = str(Path(__file__).parent / "deadly")
"""On the path, it lets the models die of a text."""
WORDLESS = ("--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Several files, so that there is something to share."""
    root = tmp_path_factory.mktemp("workers") / "corpus"
    root.mkdir()
    each = COUNT // FILES
    for number in range(FILES):
        of_this = lines(range(number * each, (number + 1) * each))
        (root / f"part-{number}.jsonl").write_text("".join(f"{line}\n" for line in of_this))
    return root


def lines(numbers):
    """Documents of these numbers as JSON, the first with many spaces."""
    made = [json.dumps({"_id": f"d{n}", "text": f"Crate {n} holds lamp {n % 17}."}) for n in numbers]
    return [f"{made[0][:-1]}{' ' * SPACES}}}", *made[1:]]


def start(folder, connection, index, *options, **more):
    """The command; ``more`` are variables of its environment."""
    command = [sys.executable, "-m", "hybrid_search", "index", str(folder), index, "--url", connection.where]
    known = {**os.environ, **more}
    return subprocess.Popen(
        [*command, *WORDLESS, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=known
    )


def loaded(connection, index) -> int:
    """Documents that are there, once each."""
    return document_count(connection, index)


def test_two_workers_load_every_document_once(folder, connection, index_name) -> None:
    """The report is of both together, and the load is ended as any is."""
    index = index_name()
    process = start(folder, connection, index, "--workers", "2", "--json")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert (report["documents"], report["indexed"], report["refused"]) == (COUNT, COUNT, 0)
    assert loaded(connection, index) == COUNT
    assert sum("and ended the load" in note for note in report["notes"]) == 1
    again = start(folder, connection, index, "--workers", "3", "--json")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert (json.loads(out)["unchanged"], json.loads(out)["indexed"]) == (COUNT, 0)


def test_a_worker_that_is_killed_loses_nothing(folder, connection, index_name) -> None:
    """kill -9 of one of two as soon as it has sent something: the other loads the rest, and the report says so."""
    index = index_name()
    process = start(folder, connection, index, "--workers", "2", "--json")
    workers = _workers(process)
    _wait(lambda: _has_some(connection, index))
    workers[0].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert loaded(connection, index) == COUNT
    assert report["refused"] == 0
    died = any("died (exit -9); others took what it had" in note for note in report["notes"])
    assert died or report["documents"] == COUNT, json.dumps(report)  # it had ended before it was killed


def test_a_document_on_which_the_models_die_is_a_dead_letter(tmp_path, opensearch, new_names) -> None:
    """Of 16 documents two end the process that encodes them: both are refused by name, 14 are in the index."""
    deadly = {11, 15}
    texts = (f"Crate {n} holds a {'deadly ' if n in deadly else ''}lamp." for n in range(16))
    records = (json.dumps({"_id": f"d{n}", "text": text}) for n, text in enumerate(texts))
    (tmp_path / "docs.jsonl").write_text("\n".join(records) + "\n")
    connection, index, letters = opensearch, new_names(opensearch), tmp_path / "letters.jsonl"
    path = os.pathsep.join([DEADLY, os.environ.get("PYTHONPATH", "")])
    options = ("--workers", "2", "--json", "--dead-letters", str(letters))
    (spans := tmp_path / "spans").mkdir()
    observed = {"PYTHONPATH": path, "SPANS_OF_A_TEST": str(spans)}
    process = start(tmp_path / "docs.jsonl", connection, index, *options, **observed)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "hybrid-search replay" in err
    report = json.loads(out)
    assert {one["id"] for one in report["refusals"]} == {"d11", "d15"}
    assert {letter.document.id for letter in read_letters(letters)} == {"d11", "d15"}
    assert "send" in {line for path in spans.iterdir() for line in path.read_text().splitlines()}
    assert loaded(connection, index) == 14
    assert any("died (exit 139)" in note for note in report["notes"])


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_workers_end_with_who_watches(folder, opensearch, new_names, ending, status) -> None:
    """Whoever ends the command alone ends its workers; the same command goes on."""
    connection, index = opensearch, new_names(opensearch)
    process = start(folder, connection, index, "--workers", "2")
    workers = _workers(process)
    process.send_signal(ending)
    process.communicate(timeout=60)
    assert process.returncode == status
    _wait(lambda: not any(worker.is_running() for worker in workers))
    if ending is signal.SIGTERM:  # it was sent before a worker had its models: they have not gone on to the end
        assert not _has_some(connection, index)
    again = start(folder, connection, index, "--workers", "2", "--json")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert loaded(connection, index) == COUNT


def test_a_worker_that_fails_is_told(tmp_path, opensearch, new_names) -> None:
    """The record and its line, and that the same command goes on."""
    (tmp_path / "bad.jsonl").write_text('{"_id": "a", "text": "a lamp"}\n{"_id": "b", "text": \n')
    process = start(tmp_path / "bad.jsonl", opensearch, new_names(opensearch), "--workers", "2")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "a worker failed: " in err
    assert "bad.jsonl:2" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "0"), "--workers"),
        (("--workers", "2", "--limit", "5"), "read by one process"),
        (("--workers", "2", "--dry-run"), "--workers and --ray too"),
        (("--workers", "2", "--recreate"), "--recreate"),
        (("--ray", "local", "--dry-run"), "--ray too"),
        (("--workers", "2", "--ray-gpus", "1"), "--ray-gpus: are for --ray"),
    ],
)
def test_what_workers_cannot_do(folder, options, said) -> None:
    """It is refused before anything is made: no engine is asked."""
    words = ["index", str(folder), "refused", "--url", "http://127.0.0.1:1", *WORDLESS, *options]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, said in " ".join(result.output.split())) == (2, True), result.output


def test_each_worker_has_files_of_its_own(tmp_path) -> None:
    """Two do not write into one file; the first has the name that was given."""
    share = Share("s", "i", Settings(), LoadFiles(skip_bad=tmp_path / "bad.jsonl"), SourceOptions())
    names = [share.of(number).files.skip_bad.name for number in range(3)]
    assert names == ["bad.jsonl", "bad-w2.jsonl", "bad-w3.jsonl"]
    assert share.of(1).what.join
    assert numbered(None, 4) is None


def _workers(process) -> list[psutil.Process]:
    """The processes that load; not the one that multiprocessing keeps for itself."""
    found: list[psutil.Process] = []

    def both() -> bool:
        children = psutil.Process(process.pid).children()
        found[:] = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        return len(found) == 2

    _wait(both)
    return found


def _has_some(connection, index) -> bool:
    try:
        return loaded(connection, index) > 0
    except Exception:  # noqa: BLE001  # there is no index yet
        return False


def _wait(holds) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
