"""The blocks of ``docs/python.md`` run one after the other, and say what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid_search.engine.protocols import Request

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
INDEX = "/python-page"


@pytest.fixture
def cluster(opensearch_url, opensearch, monkeypatch):
    """The node of this run as the cluster of the page; its index is removed before and after."""
    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    opensearch.transport.send(Request.json("DELETE", INDEX, ignore_unavailable="true"))
    yield
    opensearch.transport.send(Request.json("DELETE", INDEX, ignore_unavailable="true"))


@pytest.mark.usefixtures("cluster")
def test_the_blocks_run(capsys):
    """In one namespace, as in a notebook."""
    names: dict[str, object] = {}
    said = []
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102 - the project's own text
        said.append(capsys.readouterr().out)
    loaded, found, measured, kept = said
    assert loaded == "3 documents\n"
    assert found.splitlines()[1].split()[1:3] == ["1", "1"]
    assert measured == "{nDCG@10: 1.0}\n"
    assert "Vind\\na fan for hot nights" in kept
    assert kept.splitlines()[1:] == ["['1', '4'] 4", "1 deleted"]
