"""The login of an address is nowhere to be read after commands have used it: output, files of the load, the index."""

from __future__ import annotations

import json
import re
import traceback

import pytest
from guarded_proxy import proxy
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.protocols import Request

SECRET = "Zq7Xw"  # noqa: S105 - of this test's own proxy
SETTINGS = '[documents]\ntext = ["text"]\n[dense]\nmodel = "none"\n[sparse]\nmodel = "idf"\n'


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a command with all its files below one folder; its output, with the traceback that --debug shows."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    lines = [json.dumps({"_id": f"d{n}", "text": f"green tea number w{n}"}) for n in range(5)]
    (tmp_path / "notes.jsonl").write_text("\n".join([*lines, '{"_id": "bad", "text": ""}']) + "\n")
    monkeypatch.setenv("HYBRID_SEARCH_DEBUG", "1")

    def run(*words):
        result = CliRunner().invoke(app, list(words))
        return result.output + "".join(traceback.format_exception(result.exception) if result.exception else ())

    return run


def test_the_login_of_an_address_is_written_nowhere(command, connection, engine_url, index_name, tmp_path):
    """Journal, letters, bad records, cache, ``_meta``, the load's state in the cluster, and all output."""
    name = index_name()
    said = []
    with proxy(engine_url) as between:
        url = between.url.replace("://", f"://bob:{SECRET}%40@")
        options = ["--url", url, "--settings", "settings.toml"]
        said.append(command("index", "notes.jsonl", name, "--skip-bad", "bad.jsonl", *options))
        said.append(command("search", name, "tea", "--json", *options))
        said.append(command("verify", name, "notes.jsonl", "--skip-bad", *options))
        said.append(command("delete", name, "d1", "--url", url))
        said.append(command("index", "notes.jsonl", "x" * 300, *options))
        said.append(command("status"))
        assert any(headers.get("authorization", "").startswith("Basic ") for headers in between.seen)
    mapping = connection.send(Request.json("GET", f"/{name}"))
    answer = connection.send(Request.json("POST", f"/{name}*/_search", {"size": 100}))
    files = [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert re.search(r"indexed +5", said[0])
    assert len(files) >= 4
    for text in (*said, *files, json.dumps(mapping), json.dumps(answer)):
        assert SECRET not in text
        assert "bob" not in text
