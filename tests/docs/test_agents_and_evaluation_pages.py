"""The pages on agents and on other projects' evaluations name what there is."""

from __future__ import annotations

import ast
import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from hybrid_search.frameworks import mcp_tools

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("mcp.md", "evaluation-frameworks.md")
NEEDS = {"hybrid_search.frameworks.mteb": "mteb", "hybrid_search.frameworks.beir": "beir"}
NEEDS |= {"hybrid_search.frameworks.ranx": "ranx", "hybrid_search.frameworks.mcp": "mcp"}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore")  # frameworks warn of others while they are imported
@pytest.mark.parametrize("page", PAGES)
def test_what_programs_import_is_there(page) -> None:
    """Every name of the package in a program of the page; one of a framework that is not installed is passed over."""
    named = [
        (node.module, alias.name)
        for block in blocks(page, "python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("hybrid_search")
        for alias in node.names
    ]
    assert named
    for module, name in named:
        if module not in NEEDS or find_spec(NEEDS[module]):
            assert hasattr(import_module(module), name)


def test_the_tools_of_the_page_are_those_of_the_server() -> None:
    """Their arguments and limits too."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", (DOCS / "mcp.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    takes = {"search": mcp_tools.Search, "fetch": mcp_tools.Fetch, "facets": mcp_tools.Facets, "why": mcp_tools.Why}
    assert [name for name, _ in rows] == list(takes)
    for name, arguments in rows:
        outside = re.sub(r"\([^)]*\)", "", arguments)
        assert re.findall(r"`(\w+)`", outside) == list(takes[name].__struct_fields__)
    assert f"{mcp_tools.FETCHED:,}, at most {mcp_tools.MOST_FETCHED:,}" in rows[1][1]


def test_the_settings_of_an_agents_program_are_json() -> None:
    """They name the command as it is."""
    [block] = blocks("mcp.md", "json")
    assert json.loads(block)["mcpServers"]["articles"]["args"][:2] == ["mcp", "articles"]
