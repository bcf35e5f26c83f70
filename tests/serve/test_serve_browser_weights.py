"""In a real browser: rules of the settings that weigh the legs of some queries otherwise."""

from __future__ import annotations

import pytest
from pages import ids, move, open_page, until
from served import serving

from hybrid_search.records import Query
from hybrid_search.settings import SearchSettings, Settings


@pytest.fixture(scope="module")
def served(opensearch_url, small_index, tmp_path_factory):
    """A workbench whose settings weigh short queries otherwise."""
    folder = tmp_path_factory.mktemp("weighed") / "judgements"
    search = SearchSettings(fusion="rrf", rules=("words <= 2: bm25=0.9 dense=0.2",))
    queries, qrels = [Query("slow tea", id="short")], {"short": {"doc-8": 1, "doc-50": 2}}
    given = {"settings": Settings(search=search), "queries": queries, "qrels": qrels}
    with serving(opensearch_url, small_index, folder, **given) as server:
        yield server


def test_a_rule_weighs_the_legs_of_its_queries(page, served) -> None:
    """The list is that of a search; the sliders stand where the rule puts them, and say so; a moved one ends it."""
    open_page(page, served, "q=slow+tea")
    found = served.post("/search", query="slow tea", k=10, rerank=False)
    assert found["fusion"] == "rrf bm25=0.9 dense=0.2 (words <= 2)"
    assert ids(page) == [hit["id"] for hit in found["hits"]]
    assert page.inner_text("#rule") == "Weights of queries of at most 2 words"
    assert [page.input_value(f"#weight-{leg}") for leg in ("bm25", "dense", "sparse")] == ["0.9", "0.2", "1"]
    page.click("#export")
    assert 'rules = ["words <= 2: bm25=0.9 dense=0.2"]' in page.inner_text("#toml")
    page.keyboard.press("Escape")
    page.click("#open-queries")
    page.wait_for_selector("#queries .mean b")
    until(page, "document.querySelector('#queries .mean b').textContent !== '–'")
    judged = served.post("/judged", fusion="rrf")
    assert page.inner_text("#queries .mean b") == f"{judged['mean']:.3f}"
    move(page, "dense", 0.8)
    assert page.inner_text("#rule") == ""
    given = {"fusion": "rrf", "weights": {"bm25": 0.9, "dense": 0.8, "sparse": 1}, "rerank": False}
    assert ids(page) == [hit["id"] for hit in served.post("/search", query="slow tea", k=10, **given)["hits"]]
    page.click("#reset")
    assert ids(page) == [hit["id"] for hit in found["hits"]]
    open_page(page, served, "q=slow+tea+and+rice")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text("#rule") == ""


def test_hits_are_spread_as_a_search_spreads_them(page, served) -> None:
    """At most one of a colour, unlike ones first: the fused list is the server's, kept in the address."""
    open_page(page, served, "q=slow+tea")
    page.select_option("#per", "colour")
    limited = served.post("/search", query="slow tea", k=10, rerank=False, max_per=["colour=1"])
    until(page, f"document.querySelectorAll('[data-list=\"fused\"] .hit').length === {len(limited['hits'])}")
    assert ids(page) == [hit["id"] for hit in limited["hits"]]
    page.select_option("#per", "")
    page.locator("#diversity").evaluate("s => { s.value = 0.8; s.dispatchEvent(new Event('input')) }")
    wanted = [hit["id"] for hit in served.post("/search", query="slow tea", k=10, rerank=False, diversity=0.8)["hits"]]
    plain = [hit["id"] for hit in served.post("/search", query="slow tea", k=10, rerank=False)["hits"]]
    assert wanted != plain
    until(page, f"document.querySelectorAll('[data-list=\"fused\"] .hit')[1].dataset.id === {wanted[1]!r}")
    until(page, "!document.body.classList.contains('is-reranking')")
    assert ids(page) == wanted
    until(page, "location.hash.includes('diversity=0.8')")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    until(page, "!document.body.classList.contains('is-reranking')")
    assert ids(page) == wanted
    assert page.input_value("#diversity") == "0.8"


def test_sentences_by_meaning_are_asked_for(page, served) -> None:
    """The encoder is asked only where the box is ticked; the lists are the same."""
    open_page(page, served, "q=slow+tea")
    before = ids(page)
    with page.expect_request("**/runs") as asked:
        page.check("#meaning")
    assert asked.value.post_data_json["highlight"] is True
    until(page, "!document.body.classList.contains('is-busy')")
    assert ids(page) == before
    assert "meaning=1" in page.evaluate("location.hash")
