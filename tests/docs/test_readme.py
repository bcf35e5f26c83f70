"""What the README tells a reader to type is typed here, on a real node."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_search.read.settings_file import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INDICES = ("drinks", "kitchen")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in ``language``."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def lines(language: str) -> list[str]:
    """The lines of those blocks, without comments."""
    stripped = (line.partition(" #")[0].strip() for block in blocks(language) for line in block.splitlines())
    return [line for line in stripped if line]


@pytest.fixture
def environment(opensearch_url, opensearch, monkeypatch):
    """The node of this run as the cluster of every command; the README's indices are removed before and after."""
    from hybrid_search.engine.protocols import Request

    def remove():
        for index in INDICES:
            opensearch.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))

    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    remove()
    yield
    remove()


def test_the_first_screen_names_the_two_commands() -> None:
    """Both commands of the first block are targets of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    commands = lines("console")
    assert commands[:2] == ["make demo", "make test"]
    assert {command.split()[1] for command in commands if command.startswith("make ")} <= targets


@pytest.mark.usefixtures("environment")
def test_the_python_of_the_readme_runs(capsys) -> None:
    """The quick start prints its two hits, and the first is the one that is about coffee kept for days."""
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the project's own text
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("1 cold-brew")
    assert second.startswith("2 ")


@pytest.mark.usefixtures("environment")
def test_the_commands_of_the_readme_run(tmp_path) -> None:
    """Each command of the walk through one's own documents succeeds, in order."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = [line for line in lines("sh") if not line.startswith(("hybrid-search up", "hybrid-search down", "pip "))]
    assert len(commands) >= 5
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "hybrid-search"
        ran = subprocess.run(
            [sys.executable, "-m", "hybrid_search", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
        assert ran.stdout.strip(), command


def test_the_settings_of_the_readme_load(tmp_path) -> None:
    """Every key of the settings that the README shows exists, and what it says is what is read."""
    (block,) = blocks("toml")
    (tmp_path / "search.toml").write_text(block, encoding="utf-8")
    settings = load_settings(tmp_path / "search.toml", environ={})
    assert settings.documents.keyword == ("kind",)
    assert settings.rerank.model == "late"


def test_files_that_the_readme_links_to_are_there() -> None:
    """No link of the README leads nowhere."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
