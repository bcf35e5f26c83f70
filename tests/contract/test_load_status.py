"""``status`` of an index with loads, and the metrics of a load that runs, on real engines."""

from __future__ import annotations

import json
import socket
import urllib.request

import pytest
from loading import GeneratedEncoder, documents, record_line
from typer.testing import CliRunner

from hybrid_search.cli import index as command
from hybrid_search.cli.app import app
from hybrid_search.engine import indices
from hybrid_search.ingest.source import index_source
from hybrid_search.ingest.state.cluster import SharedLoad, update_state
from hybrid_search.settings import DocumentSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",)))


@pytest.fixture
def loaded(connection, index_name, tmp_path, monkeypatch):
    """An index of 20 documents, and the file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    source, name = tmp_path / "a.jsonl", index_name()
    source.write_text("".join(map(record_line, documents(20))))
    report = index_source(source, name, connection, GeneratedEncoder(), SETTINGS)
    return source, name, report


def test_status_names_the_loads_of_an_index(connection, loaded):
    """One that ended, and one that somebody has left: by the index, and by its number."""
    _, name, report = loaded
    stopped = SharedLoad("x", 4, report.load + 1, 0, 0, committed=((0, 1),), documents=5)
    update_state(connection, name, lambda state: replaced(state, stopped))
    indices.refresh(connection, name)
    for asked in (name, report.load + 1):
        result = CliRunner().invoke(app, ["status", str(asked), "--url", connection.where])
        assert result.exit_code == 0, result.output
        assert f"load {report.load} of a.jsonl: loaded, 20 documents" in result.output
        assert f"load {report.load + 1} of b.jsonl: stopped, 1 of 4 splits settled, 5 documents" in result.output
        assert "it goes on where it stopped" in result.output
    result = CliRunner().invoke(app, ["status", name, "--json", "--url", connection.where])
    assert [load["state"] for load in json.loads(result.stdout)["loads"]] == ["loaded", "stopped"]
    missing = CliRunner().invoke(app, ["status", "12345", "--url", connection.where])
    assert "no index remembers a load 12345" in missing.output


def replaced(state, shared):
    from msgspec.structs import replace

    return replace(state, shared={"b.jsonl": shared})


def test_metrics_of_a_load_are_served_while_it_runs(connection, index_name, tmp_path, monkeypatch):
    """Read in the middle by whoever comes: the numbers of the bodies that are settled."""
    given = {"HYBRID_SEARCH_DENSE_MODEL": "none", "HYBRID_SEARCH_SPARSE_MODEL": "idf", "XDG_STATE_HOME": str(tmp_path)}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    read, printed = [], command.print_report

    def look(report, *, as_json):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:  # of this machine
            read.append(answer.read().decode())
        printed(report, as_json=as_json)

    monkeypatch.setattr(command, "print_report", look)
    source, name = tmp_path / "a.jsonl", index_name()
    source.write_text("".join(map(record_line, documents(30))))
    words = ["index", source, name, "--metrics-port", port, "--set", "documents.text=text", "--url", connection.where]
    result = CliRunner().invoke(app, [*map(str, words), "--no-cache"])
    assert result.exit_code == 0, result.output
    assert f'hybrid_search_load_documents_total{{index="{name}"}} 30.0' in read[0]
    assert f'stage_seconds_total{{index="{name}",stage="encode"}}' in read[0]
