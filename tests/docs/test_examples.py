"""Every example runs as it is, on a real node, and prints what its text promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from hybrid_search.engine.protocols import Request

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "quickstart.py": "1. sencha",
    "similar_questions.py": "(q7,",
    "similar_publications.py": "1. Sparse expansion with masked language models",
    "question_answering.py": "(laptop: before reranking",
    "async_service.py": "a city without rain        lima",
    "filters.py": "brand=Alpa",
    "photos.py": "blue square (what is shown):\n  1  photo-07.png",
    "paraphrases.py": "  q6  Where can I find last year's invoices?",
    "product_search.py": "with brand=Lumo: Lumo 3, Norr 3, Sol 2",
    "haystack_rag.py": "Report a lost or stolen device to the security desk at once. [laptop]",
    "langchain_rag.py": "Report a lost or stolen device to the security desk at once. [laptop]",
    "llama_index_retrieval.py": "by words alone: ['sencha']",
}
"""What is expected of each: the answer that a reader of its documents would give."""
ELSEWHERE = {"mteb_scifact.py"}
"""Those that need a framework are run by the tests of its adapter."""


def test_every_example_is_run() -> None:
    """A new example joins this test."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS) | ELSEWHERE


@pytest.mark.parametrize("name", SAYS)
def test_an_example_prints_its_answer(name, opensearch_url, opensearch, monkeypatch, capsys) -> None:
    """The example runs from nothing and finds what it should."""
    index = name.removesuffix(".py").replace("_", "-")
    monkeypatch.setenv("HYBRID_SEARCH_URL", opensearch_url)
    opensearch.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))
    try:
        runpy.run_path(str(EXAMPLES / name))
    finally:
        opensearch.transport.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))
    assert SAYS[name] in capsys.readouterr().out
