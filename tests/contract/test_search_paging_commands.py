"""Pages by cursor and queries of an expert's own on the command line, each command a process that knows no other."""

from __future__ import annotations

import json
import re

import orjson
import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app

LINES = [{"_id": f"d{n}", "text": f"lamp number {'very ' * n}bright", "price": n} for n in range(12)]
SETTINGS = "[documents]\nnumber = ['price']\n[dense]\nmodel = 'none'\n[sparse]\nmodel = 'idf'\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve lamps, and settings without a model."""
    folder = tmp_path_factory.mktemp("lamps")
    (folder / "lamps.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in LINES))
    (folder / "settings.toml").write_text(SETTINGS)
    return folder


@pytest.fixture
def search(folder, engine_url, index_name):
    """Searches the lamps, loaded on each engine; the output and what is said beside it."""
    name, where = index_name(), ["--settings", str(folder / "settings.toml"), "--url", engine_url]
    loaded = CliRunner().invoke(app, ["index", str(folder / "lamps.jsonl"), name, *where])
    assert loaded.exit_code == 0, loaded.output

    def run(*arguments):
        return CliRunner().invoke(app, ["search", name, "lamp", *where, *map(str, arguments)])

    return run


def test_pages_go_on_by_what_they_say(search) -> None:
    """On standard error, so that the page may go into a file; the last page says that it is the last."""
    whole = search("--format", "ids", "--k", 12).stdout.split()
    assert sorted(whole) == sorted(line["_id"] for line in LINES)
    cursor, pages = "first", []
    while cursor is not None:
        answer = search("--format", "ids", "--k", 5, "--cursor", cursor)
        assert answer.exit_code == 0, answer.output
        pages.append(answer.stdout.split())
        said = re.search(r"^Next page: --cursor (\S+)$", answer.stderr, re.MULTILINE)
        cursor = None if said is None else said[1]
    assert [id_ for page in pages for id_ in page] == whole
    assert "The list ends here." in answer.stderr


def test_json_has_the_cursor(search) -> None:
    """Always, as a service wants it; the table shows ranks that go on."""
    first = json.loads(search("--json", "--k", 5).stdout)
    second = json.loads(search("--json", "--k", 9, "--cursor", first["cursor"]).stdout)
    assert [hit["rank"] for hit in second["hits"]] == list(range(6, 13))
    assert (second["cursor"], first["fusion"]) == (None, second["fusion"])
    table = search("--k", 3, "--cursor", first["cursor"])
    assert re.search(r"\b6\b", table.stdout)
    assert "Next page: --cursor " in table.stderr
    assert "Next page" not in search("--k", 3).output


def test_a_wrong_cursor_is_one_line_and_status_2(search) -> None:
    """By what is wrong with it."""
    cursor = json.loads(search("--json", "--k", 5).stdout)["cursor"]
    for arguments, why in {
        ("--cursor", "nonsense!"): "the cursor: no cursor",
        ("--cursor", cursor, "--filter", "price<5"): "of another search: another filter",
        ("--cursor", cursor, "--offset", "5"): "an offset of 5",
    }.items():
        answer = search(*arguments)
        assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
        assert why in answer.stderr


def test_an_engine_query_as_json_and_as_a_file(search, tmp_path) -> None:
    """In the place of the word, which all lamps have."""
    query = '{"match_phrase": {"text": "very very bright"}}'
    path = tmp_path / "query.json"
    path.write_text(f'{{"query": {query}}}')
    for given in (query, path):
        answer = search("--legs", "bm25", "--format", "ids", "--k", 12, "--bm25-query", given)
        assert sorted(answer.stdout.split()) == sorted(line["_id"] for line in LINES[2:])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{nonsense", "--bm25-query: is no JSON"),
        ("no/such/file.json", "cannot be read (No such file or directory)"),
        ("[1]", "is no clause"),
        ('{"match_all": {}, "size": 3}', "2 clauses side by side"),
    ],
)
def test_what_is_no_engine_query_is_one_line_and_status_2(search, given, why) -> None:
    """Before anything is sent."""
    answer = search("--bm25-query", given)
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1)
    assert why in answer.stderr
