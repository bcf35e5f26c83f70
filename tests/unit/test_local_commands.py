"""The commands of the local node, as far as they need no server."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from hybrid_search.cli import node as commands
from hybrid_search.engine.local.plan import plan_members
from hybrid_search.engine.local.state import DEFAULT_NAME, LocalNode, node_folder, write_node
from hybrid_search.errors import LocalNodeError, SettingsError


@pytest.fixture(autouse=True)
def base(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path))
    return tmp_path


def run(*arguments: str):
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, list(arguments))


def stopped_node(name: str = DEFAULT_NAME, servers: int = 1) -> LocalNode:
    ports = [(9200 + number, 9300 + number) for number in range(servers)]
    folder = node_folder(name)
    made = LocalNode(
        name=name,
        version="3.6.0",
        home="",
        heap="1g",
        data_folder=str(folder / "data"),
        members=plan_members(name, folder, folder / "data", ports),
        stopped=True,
    )
    write_node(made)
    for member in made.members:
        member.log.parent.mkdir(parents=True)
        member.log.write_text(f"{member.name} 1\n{member.name} 2\n{member.name} 3\n")
    return made


def test_the_commands_name_the_node_that_the_package_connects_to():
    """The default is written twice so that ``--help`` loads nothing of the engine; it must be the same."""
    assert commands.DEFAULT_NAME == DEFAULT_NAME


def test_status_of_a_machine_without_nodes_says_how_to_start_one():
    """An empty table would help nobody; JSON is an empty list."""
    assert "hybrid-search up" in run("status").stdout
    assert json.loads(run("status", "--json").stdout) == []


def test_status_shows_a_stopped_node_with_the_place_of_its_data(base):
    """No address and no process where none runs; the paths are whole, to be copied."""
    stopped_node()
    shown = run("status").stdout
    assert "stopped" in shown
    assert str(base / "nodes" / "default" / "data") in shown
    assert "http://" not in shown
    row = json.loads(run("status", "--json").stdout)[0]
    assert (row["name"], row["state"], row["memory"], row["documents"]) == ("default", "stopped", None, None)


def test_logs_prints_the_last_lines():
    """As many as asked for; of a cluster, each line with its server's name."""
    stopped_node()
    assert run("logs", "-n", "2").stdout == "default 2\ndefault 3\n"
    stopped_node("trio", servers=2)
    assert run("logs", "--name", "trio", "-n", "1").stdout == "trio-1  trio-1 3\ntrio-2  trio-2 3\n"


def test_purge_says_what_goes_and_removes_it(base):
    """The node's folder with its data: every byte is counted, and nothing of another node is touched."""
    made, other = stopped_node(), stopped_node("other")
    (made.data / "nodes").mkdir(parents=True)
    (made.data / "nodes" / "segment").write_bytes(b"x" * 1000)
    held = sum(place.stat().st_size for place in node_folder("default").rglob("*") if place.is_file())
    ended = run("down", "--purge", "--yes")
    assert f"{base / 'nodes' / 'default'}  " in ended.stderr
    assert f"({held:,} bytes)" in ended.stderr
    assert "is removed" in ended.stdout
    assert not node_folder("default").exists()
    assert other.log.is_file()


def test_purge_leaves_what_is_not_the_nodes_in_a_chosen_folder(tmp_path):
    """Only what the server wrote goes; a folder that is empty then goes too, and data of two nodes stays."""
    made = stopped_node()
    for place, kept in (("full", True), ("empty", False)):
        folder = tmp_path / place
        (folder / "nodes" / "0").mkdir(parents=True)
        if kept:
            (folder / "letter").touch()
        chosen(made, folder)
        assert str(folder / "nodes") in run("down", "--purge", "--yes").stderr
        assert not (folder / "nodes").exists()
        assert folder.exists() is kept
    (tmp_path / "shared" / "nodes").mkdir(parents=True)
    chosen(stopped_node("other"), tmp_path / "shared")
    chosen(made, tmp_path / "shared")
    assert run("down", "--purge", "--yes").exit_code == 0
    assert (tmp_path / "shared" / "nodes").is_dir()


def chosen(made: LocalNode, folder: Path) -> None:
    members = plan_members(made.name, node_folder(made.name), folder, [(9200, 9300)])
    write_node(msgspec.structs.replace(made, data_folder=str(folder), members=members))


def test_purge_asks(monkeypatch):
    """A no, or nobody to answer, leaves all as it is; --yes alone is no command."""
    made = stopped_node()
    assert isinstance(run("down", "--yes").exception, SettingsError)
    error = run("down", "--purge").exception
    assert isinstance(error, SettingsError)
    assert error.remedy == "Add --yes"
    monkeypatch.setattr(commands, "_is_answered", lambda: True)
    app = typer.Typer()
    commands.register(app)
    assert CliRunner().invoke(app, ["down", "--purge"], input="n\n").exit_code == 1
    assert made.log.is_file()
    assert CliRunner().invoke(app, ["down", "--purge"], input="y\n").exit_code == 0
    assert not made.log.exists()


@pytest.mark.parametrize("command", ["down", "logs"])
def test_an_unknown_node_is_an_error(command):
    """One line with what to look at."""
    error = run(command, "--name", "nobody").exception
    assert isinstance(error, LocalNodeError)
    assert str(error) == "There is no local node named 'nobody'. See: hybrid-search status"


@pytest.mark.parametrize("arguments", [("--heap", "12"), ("--nodes", "0"), ("--name", "A B"), ("--port", "70000")])
def test_a_wrong_argument_is_an_input_error(arguments):
    """Refused before anything is downloaded or started."""
    error = run("up", *arguments).exception
    assert isinstance(error, SettingsError)
    assert error.where == arguments[0]
    assert error.exit_status == 2
