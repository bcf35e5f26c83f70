"""In a real browser: why a document is not among the hits, and settings with boosts and pinned documents."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pages import ids, move, open_page, until
from served import serving

from hybrid_search.settings import SearchSettings, Settings

RULES = SearchSettings(boosts=("saturation:minutes,3,weight=2",), pin=("doc-11", "doc-200"), bury=("doc-2",))
QUERY = "tea coffee rice"


@pytest.fixture(scope="module")
def served(opensearch_url, small_index, tmp_path_factory):
    """A workbench whose settings have rules."""
    folder = tmp_path_factory.mktemp("rules") / "judgements"
    with serving(opensearch_url, small_index, folder, settings=replace(Settings(), search=RULES)) as server:
        yield server


def listed(served, **options) -> list[str]:
    return [hit["id"] for hit in served.post("/search", query=QUERY, k=10, **options)["hits"]]


@pytest.mark.parametrize("rerank", [False, True], ids=["fused", "reranked"])
def test_rules_of_the_settings_hold_on_the_page(page, served, rerank) -> None:
    """The lists are those of a search, also when a slider has moved: boosted, pinned and buried."""
    open_page(page, served, "q=tea+coffee+rice", rerank=rerank)
    until(page, "!document.body.classList.contains('is-reranking')")
    assert ids(page) == listed(served, rerank=rerank)
    assert ids(page)[:2] == ["doc-11", "doc-200"]
    move(page, "dense", 0.1)
    weights = {"bm25": 1, "dense": 0.1, "sparse": 1}
    expected = listed(served, rerank=rerank, fusion="min-max", weights=weights)
    for _ in range(200):
        if ids(page) == expected:
            break
        page.wait_for_timeout(50)
    assert ids(page) == expected


def test_why_not_is_answered_on_the_page(page, served) -> None:
    """By an id or from a hit, kept in the address; a change that would bring the document in moves the sliders."""
    open_page(page, served, "q=tea+coffee+rice")
    page.keyboard.press("Escape")
    page.click("#open-why")
    page.fill("#why-id", "doc-33x")
    page.press("#why-id", "Enter")
    page.wait_for_selector("#why-answer .verdict")
    assert "doc-33x" in page.inner_text("#why-answer .verdict")
    page.locator("#why-answer button").first.click()
    page.wait_for_selector("#why-answer table")
    named = page.input_value("#why-id")
    assert f"why={named}" in page.evaluate("location.hash")
    page.reload()
    page.wait_for_selector("#why-answer table")
    assert page.locator("#why-answer tbody tr").count() == 3
    page.click("#why-close")
    assert "why=" not in page.evaluate("location.hash")


def test_a_change_is_used(page, served) -> None:
    """The weights that bring a document in are those of the sliders then, by their ratios."""
    open_page(page, served, "q=tea+coffee+rice")
    use = """async ([setting, count]) => {
        const { WhyNot } = await import('/static/whynot.js');
        const fusion = { method: 'rrf', weights: { bm25: 1, dense: 1, sparse: 1 } };
        const bench = { state: { fusion }, inUse: () => fusion, ranked() {} };
        WhyNot.prototype.use.call({ bench, dialog: { close() {} } }, setting);
        return bench.state.fusion.weights }"""
    assert page.evaluate(use, ["bm25=1,dense=2.5,sparse=0", 0]) == {"bm25": 0.4, "dense": 1, "sparse": 0}


def test_conditions_are_joined_and_taken_out(page, served) -> None:
    """A filter that somebody wrote keeps its meaning."""
    open_page(page, served)
    call = "async ([name, filter, one]) => (await import('/static/facets.js'))[name](filter, one)"
    for filter_, one, both in (
        ("", '"a"="b"', '"a"="b"'),
        ("x=1", '"a"="b"', 'x=1 and "a"="b"'),
        ("x=1 or y=2", '"a"="b"', '(x=1 or y=2) and "a"="b"'),
        ('"a"="b"', '"a"="b and c"', '"a"="b" and "a"="b and c"'),
    ):
        assert page.evaluate(call, ["joined", filter_, one]) == both
        taken = page.evaluate(call, ["without", both, one])
        assert taken in (filter_, f"({filter_})")
    assert page.evaluate(call, ["without", 'x=1 and "a"="b" and y=2', '"a"="b"']) == "x=1 and y=2"
    assert page.evaluate(call, ["without", "a in (b, c)", '"a"="b"']) is None
