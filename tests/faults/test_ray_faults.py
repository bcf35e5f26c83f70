"""``index --ray``: actors that share a load, on nodes that are processes of this machine, some of which are killed."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest
from test_worker_faults import COUNT, WORDLESS, _has_some, _wait, folder, loaded, start

from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.scale.on_ray import RayOptions, load_on_ray
from hybrid_search.scale.watch import Bounds
from hybrid_search.scale.work import Share
from hybrid_search.settings import EngineSettings, Settings

pytest.importorskip("ray")
assert folder  # the fixture, which is used by its name
assert WORDLESS


def test_actors_load_every_document_once_and_keep_no_secret(folder, connection, index_name) -> None:
    """Two actors on a Ray of the command's own, which ends with it; no file of Ray's holds the password."""
    index, secret = index_name(), "secret-of-this-test"
    options = ("--ray", "local", "--workers", "2", "--ray-cpus", "0.5", "--json")
    process = start(
        folder, connection, index, *options, "--set", "source.user=me", "--set", f"source.password={secret}"
    )
    found: list[Path] = []
    _wait(lambda: process.poll() is not None or found.extend(_sessions(process)) or found)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert (report["documents"], report["indexed"], report["refused"]) == (COUNT, COUNT, 0)
    assert loaded(connection, index) == COUNT
    assert found
    files = [path for session in set(found) for path in session.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_ray_ends_with_the_command_that_started_it(folder, connection, index_name, ending) -> None:
    """Its processes are gone; the same command, without Ray, goes on."""
    index = index_name()
    process = start(folder, connection, index, "--ray", "local", "--ray-cpus", "0.5")
    _wait(lambda: _has_some(connection, index) or process.poll() is not None)
    rays = _of_ray(process) if process.poll() is None else []
    process.send_signal(ending)
    process.communicate(timeout=120)
    _wait(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in rays))
    again = start(folder, connection, index, "--workers", "2")
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
