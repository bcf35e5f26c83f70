"""What ``docs/results.md`` shows is what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.cli.results import NAMES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def kitchen(opensearch, opensearch_url, new_names) -> str:
    """The example's documents, found by their words."""
    name = new_names(opensearch)
    given = ["--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache", "--url", opensearch_url]
    loaded = CliRunner().invoke(app, ["index", str(ROOT / "examples" / "kitchen"), name, *given])
    assert loaded.exit_code == 0, loaded.stderr
    return name


def test_every_form_is_described() -> None:
    """A row for each, and none for another."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == list(NAMES)


def test_the_commands_print_what_the_page_shows(kitchen, opensearch_url, tmp_path) -> None:
    """Standard output and error together, as a terminal shows them."""
    shown = [part for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(shown) == 4
    program = tmp_path / "hybrid-search"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hybrid_search "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HYBRID_SEARCH_URL": opensearch_url, "PYTHONPATH": str(ROOT)}
    for command, expected in (part.split("\n", 1) for part in shown):
        line = ["bash", "-c", f"{command.replace(' kitchen ', f' {kitchen} ')} 2>&1"]
        ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert ran.stdout == expected, command
