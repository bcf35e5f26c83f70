"""What ``docs/frameworks.md`` says of LlamaIndex runs, and names every operator and mode that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llama_index.core.vector_stores.types import FilterOperator

from hybrid_search.engine.protocols import Request
from hybrid_search.frameworks import NEEDED
from hybrid_search.frameworks.llama_index import LEGS

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## LlamaIndex\n")[2].partition("\n## ")[0]


@pytest.fixture
def cluster(opensearch_url, opensearch, monkeypatch):
    """The node of this run as the cluster; the page's index is removed before and after."""
    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    opensearch.transport.send(Request.json("DELETE", "/notes", ignore_unavailable="true"))
    yield
    opensearch.transport.send(Request.json("DELETE", "/notes", ignore_unavailable="true"))


@pytest.mark.usefixtures("cluster")
def test_the_python_runs(capsys):
    """Of embeddings that are all alike, the words decide."""
    [code] = re.findall(r"^```python\n(.*?)^```", SECTION, flags=re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(compile(code, "frameworks.md", "exec"), names)  # noqa: S102 - the project's own text
    names["store"].close()
    assert capsys.readouterr().out == "mate\n"


def test_all_that_there_is_is_named():
    """Operators by their signs, modes by their names, and the least version."""
    assert [operator for operator in FilterOperator if f"`{operator.value}`" not in SECTION] == []
    assert [mode for mode in LEGS if f"`{mode.name}`" not in SECTION] == []
    assert f"llama-index-core {NEEDED['llama-index'][2]} or newer" in SECTION
