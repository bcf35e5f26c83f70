"""An address in the wrong place is repeated without the login that it holds."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.errors import SettingsError

SECRET = "Zq7Xw"  # noqa: S105 - of no server


@pytest.mark.parametrize(
    "words",
    [
        ["index", "{}", "notes"],
        ["index", "notes.jsonl", "{}"],
        ["init", "{}"],
        ["verify", "notes", "{}"],
        ["evaluate", "notes", "--queries", "{}", "--qrels", "{}"],
        ["index", "notes.jsonl", "notes", "--settings", "{}"],
    ],
    ids=" ".join,
)
def test_a_login_in_the_place_of_something_else_is_not_repeated(words, tmp_path, monkeypatch):
    """Status 2, and the message holds the host, but not the password in any case of letters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.jsonl").write_text('{"_id": "a", "text": "tea"}\n')
    result = CliRunner().invoke(app, [word.format(f"https://bob:{SECRET}@host/x") for word in words])
    assert result.exit_code == 2
    assert "host/x" in result.output
    assert SECRET.lower() not in result.output.lower()


def test_what_is_no_login_stays_as_it_is():
    """An index may have an @ in its name."""
    assert str(SettingsError("no index logs@1", where="http://host:9200/logs@1")) == (
        "http://host:9200/logs@1: no index logs@1"
    )
