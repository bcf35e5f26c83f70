"""What ``docs/haystack.md`` and ``docs/pyterrier.md`` show runs, and what they name is there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loading import GeneratedEncoder

from hybrid_search import Document, DocumentClient
from hybrid_search.engine.protocols import Request
from hybrid_search.frameworks import NEEDED
from hybrid_search.frameworks import pyterrier as pyterrier_adapter
from hybrid_search.frameworks.haystack import HybridDocumentStore, HybridRetriever

DOCS = Path(__file__).parents[2] / "docs"
HAYSTACK, PYTERRIER = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("haystack", "pyterrier"))
INDICES = ("haystack-teas", "pyterrier-teas")


@pytest.fixture
def cluster(opensearch_url, opensearch, monkeypatch):
    """The node of this run as the cluster; the pages' indices are removed before and after."""

    def remove() -> None:
        for index in INDICES:
            opensearch.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))

    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    remove()
    yield opensearch
    remove()


def run(page: str, names: dict[str, Any]) -> dict[str, Any]:
    """The names that the code of a page leaves behind."""
    [code] = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    exec(compile(code, "page", "exec"), names)  # noqa: S102 - the project's own text
    return names


@pytest.mark.usefixtures("cluster")
def test_the_python_of_haystack_runs(capsys) -> None:
    """The nearest vector and both words are those of one document."""
    run(HAYSTACK, {})["store"].close()
    assert capsys.readouterr().out == "sencha 1\n"


class ByLetters:
    """A reranker that likes short passages."""

    name = "by-letters"

    def score(self, query: str, passages: list[str]) -> np.ndarray:
        del query
        return -np.array([len(passage) for passage in passages], np.float32)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # PyTerrier's pandas
def test_the_python_of_pyterrier_runs(cluster, monkeypatch) -> None:
    """BM25 has the document with both words first; the reranker prefers the short one."""
    texts = {"sencha": "Green tea turns bitter in water.", "assam": "Black tea.", "mate": "Mate through a straw."}
    with DocumentClient("pyterrier-teas", encoder=GeneratedEncoder(), connection=cluster) as client:
        client.put(Document(id_, text) for id_, text in texts.items())
    monkeypatch.setattr("hybrid_search.search.searcher.load_encoder", lambda _: GeneratedEncoder())
    table = run(PYTERRIER, {"reranker": ByLetters()})["table"]
    assert next(iter(table["ndcg_cut_10"])) == next(iter(table["recip_rank"])) == pytest.approx(1)
    assert len(table) == 3


def test_every_name_is_there() -> None:
    """Methods of the store, what goes into the retriever and comes out, names of the adapter."""
    named = set(re.findall(r"`((?:write|filter|count|update|delete|get)_\w+)", HAYSTACK))
    assert len(named) >= 11
    assert [name for name in named if not inspect.isroutine(getattr(HybridDocumentStore, name, None))] == []
    asked = re.search(r"^\| in \| (.*) \|$", HAYSTACK, re.MULTILINE)
    assert asked is not None
    assert re.findall(r"`(\w+)`", asked[1]) == list(inspect.signature(HybridRetriever.run).parameters)[1:]
    classes = set(re.findall(r"`(Hybrid\w+|topics|judgements)\(", PYTERRIER))
    assert classes == {"HybridRetriever", "HybridReranker", "topics", "judgements"}
    assert all(hasattr(pyterrier_adapter, name) for name in classes)


def test_versions_and_links_are_right() -> None:
    """The least version is the one that is asked for, and no link leads nowhere."""
    assert f"haystack-ai {NEEDED['haystack'][2]} or newer" in HAYSTACK
    assert f"python-terrier {NEEDED['pyterrier'][2]} or newer" in PYTERRIER
    links = [
        link for page in (HAYSTACK, PYTERRIER) for link in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in link
    ]
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
