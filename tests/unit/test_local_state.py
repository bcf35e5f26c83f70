"""A record is believed only as far as the process that it names is the one that was started."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest
import typer
from typer.testing import CliRunner

from hybrid_search.cli import node as commands
from hybrid_search.engine.local.launch import stop
from hybrid_search.engine.local.node import down, running_url
from hybrid_search.engine.local.state import (
    CONFIGURATION,
    LocalNode,
    Member,
    all_nodes,
    broken_records,
    node_folder,
    path_argument,
    read_node,
    write_node,
)
from hybrid_search.errors import LocalNodeError, SettingsError


@pytest.fixture(autouse=True)
def base(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path))
    return tmp_path


def member(name: str = "a", *, pid: int = 0, created: float = 0.0) -> Member:
    folder = node_folder(name)
    return Member(
        name=name,
        pid=pid,
        created=created,
        port=9200,
        transport_port=9300,
        folder=str(folder),
        data=str(folder / "data"),
    )


def node(*members: Member, name: str = "a", stopped: bool = False) -> LocalNode:
    return LocalNode(
        name=name, version="3.6.0", home="", heap="1g", data_folder="/data", members=members, stopped=stopped
    )


@contextmanager
def stand_in(name: str = "a") -> Iterator[Member]:
    """A harmless process with a server's argument on its command line, and the member that it stands for."""
    command = [sys.executable, "-c", "input()", path_argument(member(name).config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            started = member(name, pid=process.pid, created=psutil.Process(process.pid).create_time())
            wait_until(lambda: started.running() is not None)
            yield started
        finally:
            process.kill()


def wait_until(condition) -> None:
    """Wait as long as it takes: how soon a process starts or ends is not what is tested."""
    while not condition():
        time.sleep(0.01)


def test_a_record_survives_between_commands():
    """What is written is what is read, by name; a name without a record is None."""
    written = node(member("a"), name="a")
    write_node(written)
    write_node(node(member("b"), name="b"))
    assert read_node("a") == written
    assert [found.name for found in all_nodes()] == ["a", "b"]
    assert read_node("c") is None


def test_a_broken_record_names_its_file():
    """Cut short by a full disk, or edited by hand: no guess about what it said."""
    node_folder("a").mkdir(parents=True)
    (node_folder("a") / "node.json").write_text('{"name": "a"')
    with pytest.raises(LocalNodeError, match="cannot be read") as caught:
        read_node("a")
    assert caught.value.where.endswith("a/node.json")


@pytest.mark.parametrize("content", ["{", "", "[]", "\0", '{"name": 7}'])
def test_a_broken_record_hides_no_other_node(content):
    """`status` lists the nodes whose records are whole, and says one line about each of the others."""
    for name in ("a", "b", "c"):
        write_node(node(member(name), name=name))
    (node_folder("b") / "node.json").write_text(content)
    assert [found.name for found in all_nodes()] == ["a", "c"]
    (broken,) = broken_records()
    assert broken.where is not None
    assert broken.where.endswith("b/node.json")
    shown = CliRunner().invoke(commands_alone(), ["status", "--json"])
    assert shown.exit_code == 0
    assert [row["name"] for row in json.loads(shown.stdout)] == ["a", "c"]
    assert len(shown.stderr.splitlines()) == 1
    assert "b/node.json: The record of the node cannot be read" in shown.stderr


def test_a_record_without_a_server_is_broken():
    """Nothing could be said of such a node, not even its address."""
    write_node(node(name="a"))
    with pytest.raises(LocalNodeError, match="it names no server"):
        read_node("a")


@pytest.mark.parametrize("name", ["", "A", "-a", "a/b", "..", "a" * 42, "ä"])
def test_a_name_is_a_plain_word(name):
    """It becomes a folder and a cluster's name, so nothing that a path or OpenSearch would read otherwise."""
    with pytest.raises(SettingsError, match="not a node's name"):
        read_node(name)


def test_the_process_that_was_started_is_recognised():
    """Same id, same start time, same configuration folder."""
    with stand_in() as started:
        assert started.running().pid == started.pid
        assert node(started).state == "running"


def test_a_reused_process_id_is_not_taken_for_the_server():
    """After a reboot the id may belong to any program: it started at another time."""
    with stand_in() as started:
        earlier = msgspec.structs.replace(started, created=started.created - 60)
        assert earlier.running() is None


def test_another_nodes_process_is_not_taken_for_the_server():
    """The configuration folder on the command line is part of the identity."""
    with stand_in("b") as other:
        assert member("a", pid=other.pid, created=other.created).running() is None


def test_an_ended_process_is_dead_unless_it_was_stopped():
    """``down`` is what makes the difference between stopped and dead; a zombie counts as ended."""
    with stand_in() as started:
        psutil.Process(started.pid).kill()
        wait_until(lambda: started.running() is None)
        assert node(started).state == "dead"
        assert node(started, stopped=True).state == "stopped"


def test_a_cluster_that_lost_a_server_is_degraded_and_speaks_through_another():
    """One of two runs: its address is the node's."""
    with stand_in() as started:
        gone = msgspec.structs.replace(member("gone"), port=9201)
        assert node(gone, started).state == "degraded"
        assert node(gone, started).url == "http://127.0.0.1:9200"


def test_stopping_ends_exactly_the_recorded_process():
    """The neighbour with another configuration goes on, whatever the record of the stopped one says of its id."""
    with stand_in("a") as first, stand_in("b") as second:
        stop([first, member("a", pid=second.pid, created=second.created)], patience=10)
        assert first.running() is None
        assert second.running() is not None


def test_a_process_that_ignores_the_request_is_killed():
    """After the patience is over nothing is asked any more."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    command = [sys.executable, "-c", code, path_argument(member().config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        started = member(pid=process.pid, created=psutil.Process(process.pid).create_time())
        stop([started], patience=0.2)
        assert started.running() is None


def test_a_server_of_an_earlier_release_is_outdated_while_it_runs():
    """A record without the configuration's number was written by a release whose servers any web page could empty."""
    with stand_in() as started:
        write_node(node(started))
        record = node_folder("a") / "node.json"
        record.write_text(re.sub(r',\s*"configuration": 0', "", record.read_text()))
        assert read_node("a").is_outdated
        assert not node(msgspec.structs.replace(started, configuration=CONFIGURATION)).is_outdated
        shown = CliRunner().invoke(commands_alone(), ["status"])
        assert "any web page can read and empty it" in shown.stdout
        assert "hybrid-search down --name a && hybrid-search up --name a" in shown.stdout
    assert not read_node("a").is_outdated


def commands_alone() -> typer.Typer:
    app = typer.Typer()
    commands.register(app)
    return app


def test_a_record_is_its_users_alone():
    """It names folders of documents."""
    write_node(node(member("a")))
    assert stat.S_IMODE((node_folder("a") / "node.json").stat().st_mode) == 0o600


def test_down_marks_the_node_as_stopped():
    """The record stays, with the place of the data for the next start."""
    with stand_in() as started:
        write_node(node(started))
        assert running_url("a") == "http://127.0.0.1:9200"
        assert down("a").state == "stopped"
    assert read_node("a").data_folder == "/data"
    assert running_url("a") is None


def test_down_of_an_unknown_node_is_an_error():
    """Nothing is stopped by guess."""
    with pytest.raises(LocalNodeError, match="no local node named 'a'"):
        down("a")
