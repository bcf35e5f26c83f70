"""Write ``docs/cli.md``: the ``--help`` of every command. ``make docs`` runs it; a test compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from hybrid_search.cli.app import app

REFERENCE = Path(__file__).with_name("cli.md")
WIDTH = 100
INTRODUCTION = """\
# Commands

Every command takes `--debug` (tracebacks instead of one line), and exits with 0, 1 (something failed), 2 (what was
given is wrong) or 130 (interrupted). Settings come from a file (`--settings`), then the environment
(`HYBRID_SEARCH_SECTION_KEY`), then `--set section.key=value`; the later ones win, and a key or a variable that does not
exist is an error that names the nearest one. Variables that are no settings: `HYBRID_SEARCH_DEBUG` (tracebacks),
`HYBRID_SEARCH_JAVA_HOME`, `HYBRID_SEARCH_LOCAL_DIR` and `HYBRID_SEARCH_MAVEN_URL` (the local node),
`HYBRID_SEARCH_SERVE_TOKEN` (the workbench), `HYBRID_SEARCH_MCP_TOKEN` (agents), `HYBRID_SEARCH_JUDGE_KEY` (a model that
judges); those that begin with `HYBRID_SEARCH_TEST_` are for the project's tests, and those that Kubernetes makes for a
service are passed over.
What reaches a terminal, and what becomes of output that cannot be written: [results](results.md).
"""


def reference() -> str:
    """The whole page."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    names = [[name, *inner] for name, command in commands.items() for inner in ([], *_inner(command))]
    return "\n".join([INTRODUCTION, *(_section(words) for words in names)])


def _inner(command: Any) -> list[list[str]]:
    """The commands of a group."""
    return [[name] for name in getattr(command, "commands", {})]


def _section(words: list[str]) -> str:
    printed = CliRunner().invoke(app, [*words, "--help"], terminal_width=WIDTH, prog_name="hybrid-search").output
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    return "\n".join([f"## {' '.join(words)}", "", "```text", *lines, "```", ""])


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
