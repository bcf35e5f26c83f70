"""What ``docs/frameworks.md`` shows runs, and what its tables name is there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from langchain_core.vectorstores import VectorStore

from hybrid_search.engine.protocols import Request
from hybrid_search.frameworks import NEEDED, langchain
from hybrid_search.frameworks.langchain_filters import _JUNCTIONS, _OPERATORS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next of its level."""
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def sections() -> list[str]:
    return re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def cluster(opensearch_url, opensearch, monkeypatch):
    """The node of this run as the cluster; the page's index is removed before and after."""

    def remove():
        opensearch.transport.send(Request.json("DELETE", "/teas", ignore_unavailable="true"))

    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    remove()
    yield
    remove()


@pytest.mark.usefixtures("cluster")
def test_the_python_of_langchain_runs(capsys) -> None:
    """Of green teas there is one, which BM25 has first of all that pass the filter."""
    [code] = re.findall(r"^```python\n(.*?)^```", section("LangChain"), flags=re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(compile(code, "frameworks.md", "exec"), names)  # noqa: S102 - the project's own text
    names["store"].close()
    assert capsys.readouterr().out == "sencha 1\n"


def test_every_operator_is_in_the_table() -> None:
    """And no other."""
    table = section("LangChain").partition("| written |")[2].partition("\n\n")[0]
    assert set(re.findall(r"\$\w+", table)) == {*_OPERATORS, *_JUNCTIONS, "$not"}


def test_every_name_is_there() -> None:
    """Classes of the adapter by their names, and methods of LangChain's stores that the table says something of."""
    text = section("LangChain")
    assert set(re.findall(r"Hybrid\w+", text)) == set(langchain.__all__)
    methods = re.findall(r"`((?:add_|from_|get_|delete|similarity_search|max_|as_)\w*)`", text)
    assert len(methods) >= 7
    assert [name for name in methods if not inspect.isroutine(getattr(VectorStore, name, None))] == []


def test_each_framework_of_the_table_has_its_section_and_its_extra() -> None:
    """The first table leads to all sections, and the least version is the one that is asked for."""
    assert re.findall(r"^\| \[(.+?)\]", PAGE, flags=re.MULTILINE) == sections()
    assert f"langchain-core {NEEDED['langchain'][2]} or newer" in section("LangChain")


def test_files_that_the_page_links_to_are_there() -> None:
    """No link leads nowhere."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
