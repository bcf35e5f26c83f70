"""From a file that one has to a first right answer, with nothing edited by hand, on both engines."""

from __future__ import annotations

import json
import re

import pytest
from kinds import KINDS
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.protocols import Request
from hybrid_search.read.settings_file import load_settings


@pytest.fixture
def command(connection, tmp_path, monkeypatch):
    """Runs a command in an empty folder, with no model to load; what it prints, where it succeeds."""
    given = {"HYBRID_SEARCH_URL": connection.where, "HYBRID_SEARCH_DENSE_MODEL": "none", "COLUMNS": "200"}
    given |= {"HYBRID_SEARCH_SPARSE_MODEL": "idf"}
    given |= {name: str(tmp_path / name) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result

    def check_analyzer():
        if not has_analyzer(connection, load_settings(tmp_path / "s.toml", {}, {}).engine.analyzer):
            monkeypatch.setenv("HYBRID_SEARCH_ENGINE_ANALYZER", "english")

    run.check_analyzer = check_analyzer
    return run


def has_analyzer(connection, name):
    """Every released engine has those of all languages; a node that was built for tests has that of English alone."""
    body = {"analyzer": name, "text": "x"}
    return connection.transport.send(Request.json("POST", "/_analyze", body)).status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_from_init_to_a_first_right_answer(kind, command, index_name, tmp_path):
    """What ``init`` writes is loaded whole, searched and filtered on as it stands; fields come back as they were."""
    case, index = KINDS[kind], index_name()
    source = case.write(tmp_path)
    seen = command("init", source, "-o", "s.toml").output
    assert [words for words in case.said if words not in seen] == []
    command.check_analyzer()
    loaded = command("index", source, index, "-s", "s.toml", "--json")
    report = json.loads(loaded.stdout)
    assert f"{index}: about " in loaded.stderr
    assert (report["refused"], report["skipped"], report["indexed"]) == (0, 0, report["documents"])
    filters = [word for text in case.filters for word in ("--filter", text)]
    answer = json.loads(command("search", index, case.question, "-s", "s.toml", "--json", "-k", 50, *filters).stdout)
    hits = answer["hits"]
    assert hits, answer
    first = hits[0]["fields"]
    assert case.id in {None, hits[0]["id"]}
    assert {name: first.get(name) for name in case.expected} == case.expected
    assert case.hits in {None, len(hits)}


def test_the_index_knows_what_heads_a_result(command, index_name, tmp_path):
    """Also where the search is without the settings, and the field is called as no title in English is."""
    case, index = KINDS["german-shop"], index_name()
    command("init", case.write(tmp_path), "-o", "s.toml")
    command.check_analyzer()
    command("index", "artikel.csv", index, "-s", "s.toml")
    shown = command("search", index, case.question, "--filter", case.filters[0], "--filter", case.filters[1]).stdout
    assert re.search(r"Wolldecke 2\s+A-002", shown)
