"""The page in a real browser: search, sliders, links, judging, comparing, keys, errors."""

from __future__ import annotations

import json

import pytest
from pages import ids, move, open_page, until
from served import ASTRAL, PRIVATE

from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineUnreachableError
from hybrid_search.read.settings_file import load_settings
from hybrid_search.search.fusion import METHODS, Fusion, fuse
from hybrid_search.search.rerank import combine

WEIGHTS = (
    {"bm25": 1, "dense": 1, "sparse": 1},
    {"bm25": 0.3, "dense": 0.65, "sparse": 0},
    {"bm25": 0.1, "dense": 0.2, "sparse": 0.7},
)

FUSE = "async ([runs, fusion]) => (await import('/static/fusion.js')).fuse(runs, fusion)"


def runs_of(served, query: str):
    answer = served.post("/runs", query=query)
    return answer["runs"], {leg: [(id_, score) for id_, _, score in run["hits"]] for leg, run in answer["runs"].items()}


@pytest.mark.parametrize("method", METHODS)
def test_the_page_fuses_as_the_package_does(page, served, method) -> None:
    """Real runs of 100 hits a leg: the same order, the same scores to the last bits, the same contributions."""
    open_page(page, served)
    for query in ("tea coffee rice", "bitter", "slow evening bread"):
        raw, runs = runs_of(served, query)
        missing = {leg: run["missing"] for leg, run in raw.items() if run["missing"] is not None}
        for weights in WEIGHTS:
            expected = fuse(runs, Fusion(method, weights, 60), missing=missing)
            found = page.evaluate(FUSE, [raw, {"method": method, "weights": weights, "rank_constant": 60}])
            assert [hit["id"] for hit in found] == [hit.id for hit in expected]
            assert [hit["score"] for hit in found] == pytest.approx([hit.score for hit in expected], rel=1e-14)
            gives = [[(leg, one["rank"]) for leg, one in hit["legs"].items()] for hit in found]
            assert gives == [[(leg, one.rank) for leg, one in hit.legs.items()] for hit in expected]


def test_equal_scores_are_in_the_order_of_code_points(page, served) -> None:
    """U+F8FF comes before U+1D54F, though the first unit of the latter in UTF-16 is smaller."""
    open_page(page, served)
    run = {"bm25": {"hits": [[ASTRAL, "a#0", 1.0], [PRIVATE, "b#0", 1.0], ["a", "c#0", 1.0]], "missing": None}}
    call = (
        "async runs => (await import('/static/fusion.js')).fuse(runs, {method: 'rrf', weights: {}, rank_constant: 60})"
    )
    assert [hit["id"] for hit in page.evaluate(call, run)] == ["a", PRIVATE, ASTRAL]
    assert sorted([ASTRAL, PRIVATE, "a"]) == ["a", PRIVATE, ASTRAL]


def test_the_page_sums_exactly(page, served) -> None:
    """As math.fsum: 1 + 1e100 + 1 - 1e100 is 2, and halves are rounded by what is left."""
    open_page(page, served)
    call = "async values => (await import('/static/fusion.js')).fsum(values)"
    assert page.evaluate(call, [1, 1e100, 1, -1e100]) == 2
    assert page.evaluate(call, [0.1] * 10) == 1.0
    assert page.evaluate(call, [1e-16, 1, 1e16]) == 10000000000000002.0


def test_the_page_reranks_as_the_package_does(page, served) -> None:
    """The same combination of fused and reranked scores, also below the window."""
    open_page(page, served)
    raw, runs = runs_of(served, "tea coffee")
    fused = fuse(
        runs, Fusion("min-max"), missing={leg: run["missing"] for leg, run in raw.items() if run["missing"] is not None}
    )
    scores = [float(hash_ % 7) for hash_ in range(20)]
    expected = combine(fused, scores, 0.3)
    call = """async ([runs, scores]) => {
        const { fuse, combine } = await import('/static/fusion.js');
        return combine(fuse(runs, {method: 'min-max', weights: {}, rank_constant: 60}), scores, .3) }"""
    found = page.evaluate(call, [raw, scores])
    assert [hit["id"] for hit in found] == [hit.hit.id for hit in expected]
    assert [hit["final"] for hit in found] == pytest.approx([hit.score for hit in expected], rel=1e-12, abs=1e-12)


def test_a_search_shows_every_ranking(page, served) -> None:
    """The lists are those of the API: fused, and each leg's; a document is marked in all of them at once."""
    open_page(page, served)
    page.fill("#query", "tea coffee rice")
    page.press("#query", "Enter")
    page.wait_for_selector('[data-list="fused"] .hit')
    answer = served.post("/search", query="tea coffee rice", k=10, rerank=False)
    assert ids(page) == [hit["id"] for hit in answer["hits"]]
    raw, _ = runs_of(served, "tea coffee rice")
    assert ids(page, "dense") == [hit[0] for hit in raw["dense"]["hits"][:10]]
    first = ids(page)[0]
    page.locator('[data-list="fused"] .hit').first.hover()
    linked = page.eval_on_selector_all(".hit.is-linked", "hits => hits.map(hit => hit.dataset.id)")
    assert len(linked) >= 2
    assert set(linked) == {first}


def test_a_slider_ranks_anew_without_a_request(page, served) -> None:
    """What the page shows then is what a search with those weights finds."""
    open_page(page, served, "q=tea+coffee+rice")
    sent = served.engine.sent
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if request.method == "POST" else None)
    move(page, "bm25", 0)
    move(page, "sparse", 0.25)
    page.check('input[value="z-score"]', force=True)
    shown = ids(page)
    assert (requests, served.engine.sent) == ([], sent)
    weights = {"bm25": 0, "dense": 1, "sparse": 0.25}
    answer = served.post("/search", query="tea coffee rice", k=10, rerank=False, fusion="z-score", weights=weights)
    assert shown == [hit["id"] for hit in answer["hits"]]


def test_the_address_holds_the_whole_state(page, served) -> None:
    """Loaded anew, in another tab too, the page shows the same; the query never goes into a request's address."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    open_page(page, served, "q=slow+bread")
    move(page, "dense", 0.2)
    page.click("text=brown >> visible=true")
    until(page, "location.hash.includes('brown')")
    until(page, "!document.body.classList.contains('is-busy')")
    page.click("#compare")
    move(page, "bm25", 0.05)
    until(page, "location.hash.includes('bm25%3D0.05')")
    before = (ids(page, "a"), ids(page, "b"), page.evaluate("location.hash"))
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert (ids(page, "a"), ids(page, "b"), page.evaluate("location.hash")) == before
    assert page.input_value("#filter") == '"colour"="brown"'
    assert not [address for address in addresses if "bread" in address.partition("#")[0]]


def test_two_settings_are_compared(page, served) -> None:
    """The pinned ones stay, the sliders move the others; every hit that stands elsewhere says where."""
    open_page(page, served, "q=tea+coffee+rice")
    page.click("#compare")
    assert ids(page, "a") == ids(page, "b")
    assert "10 of 10" in page.inner_text("#difference")
    pinned = ids(page, "a")
    move(page, "bm25", 0)
    move(page, "sparse", 0)
    assert ids(page, "a") == pinned != ids(page, "b")
    places = {id_: n for n, id_ in enumerate(pinned, start=1)}
    for n, id_ in enumerate(ids(page, "b"), start=1):
        said = page.locator('[data-list="b"] .hit').nth(n - 1).locator(".change").inner_text()
        if places.get(id_) == n:
            assert said == ""
        elif id_ in places:
            assert said == f"A {places[id_]}"


def test_reranking_shows_where_hits_were(page, served) -> None:
    """The order is that of a reranked search; what moved says how far."""
    open_page(page, served, "q=tea+coffee+rice")
    page.check("#rerank")
    page.wait_for_selector('[data-list="fused"] .change[data-kind="up"]')
    answer = served.post("/search", query="tea coffee rice", k=10, rerank=True)
    assert ids(page) == [hit["id"] for hit in answer["hits"]]
    before = answer["hits"][0]["rerank"]["rank_before"]
    assert page.locator('[data-list="fused"] .change').first.get_attribute("title") == f"was {before} before reranking"


def test_documents_are_text(page, served) -> None:
    """Markup of a document, of its id and of a query is shown, and does nothing."""
    open_page(page, served, "q=" + "%3Cimg%20src%3Dx%20onerror%3D%22window.broken%3D1%22%3E%20tea%20coffee%20rice")
    page.wait_for_selector('[data-id="hostile"]')
    assert page.evaluate("window.broken") is None
    assert "<script>window.broken=1</script>" in page.locator('[data-list="fused"] [data-id="hostile"]').inner_text()
    assert page.locator("#lists img, #lists script").count() == 0
    assert "<b>bold</b>\"'&" in ids(page) + ids(page, "bm25") + ids(page, "sparse") + ids(page, "dense")


def test_the_export_is_a_settings_file(page, served, tmp_path) -> None:
    """What the dialog shows is read as settings, with the weights of the sliders."""
    open_page(page, served, "q=tea")
    move(page, "bm25", 0.35)
    page.click("#export")
    file = tmp_path / "search.toml"
    file.write_text(page.inner_text("#toml"), encoding="utf-8")
    settings = load_settings(file)
    assert settings.search.fusion == "min-max"
    assert settings.search.weights == {"bm25": 0.35, "dense": 1.0, "sparse": 1.0}


def test_a_failing_engine_says_what_failed(page, served) -> None:
    """The page says what, where, and what to do; the next search works."""
    open_page(page, served, "q=tea")
    served.engine.failure = EngineUnreachableError("nothing answers", where="http://engine:9200", remedy="Start it")
    try:
        page.fill("#query", "rice")
        page.press("#query", "Enter")
        page.wait_for_selector("#notices .failure")
        said = page.inner_text("#notices")
        assert all(part in said for part in ("nothing answers", "http://engine:9200", "Start it"))
    finally:
        served.engine.failure = None
    page.press("#query", "Enter")
    page.wait_for_selector('[data-list="fused"] .hit')
    assert page.inner_text("#notices") == ""
    page.faults[:] = [fault for fault in page.faults if "503" not in fault]  # the browser notes the status itself


def test_a_page_that_is_not_there(page, served) -> None:
    """It says so, and where the others are."""
    page.goto(f"{served.url}/nowhere")
    assert "there is no such page" in page.inner_text("main")
    page.faults[:] = [fault for fault in page.faults if "404" not in fault]  # the browser notes the status itself


def test_the_engine_is_asked_for_a_filter(page, served) -> None:
    """A click on a value filters by it; another takes it back. A value may hold any sign."""
    open_page(page, served, "q=tea+coffee")
    page.click("button.chip:has-text('rice & beans')")
    until(page, "document.querySelector('#filter').value !== '' && !document.body.classList.contains('is-busy')")
    assert page.input_value("#filter") == '"kind"="rice & beans"'
    answer = served.post("/search", query="tea coffee", filter='kind="rice & beans"', k=10, rerank=False)
    assert ids(page) == [hit["id"] for hit in answer["hits"]]
    page.click("button.chip:has-text('rice & beans')")
    until(page, "document.querySelector('#filter').value === ''")


def test_a_wrong_filter_is_explained(page, served) -> None:
    """In the words of the package."""
    open_page(page, served)
    page.fill("#query", "tea")
    page.fill("#filter", "nowhere=1")
    page.press("#filter", "Enter")
    page.wait_for_selector("#notices .failure")
    assert "nowhere" in page.inner_text("#notices")
    page.faults[:] = [fault for fault in page.faults if "400" not in fault]


def test_judging_is_saved_at_once_and_undone(page, served) -> None:
    """By click and by key; the file is there when the button is marked, and the query list counts it."""
    open_page(page, served, "q=hot+soup")
    qrels = served.folder / "qrels" / "test.tsv"
    first, second = ids(page)[:2]
    page.locator('[data-list="fused"] .hit').first.locator("button[data-grade='3']").click()
    page.wait_for_selector("[data-list='fused'] .hit[data-grade='3']")
    assert f"\t{first}\t3\n" in qrels.read_text(encoding="utf-8")
    page.keyboard.press("Escape")
    page.locator('[data-list="fused"] .hit').nth(1).focus()
    page.keyboard.press("1")
    page.wait_for_selector("[data-list='fused'] .hit[data-grade='1']")
    assert f"\t{second}\t1\n" in qrels.read_text(encoding="utf-8")
    assert json.loads((served.folder / "queries.jsonl").read_text(encoding="utf-8"))["text"] == "hot soup"
    page.keyboard.press("u")
    page.wait_for_selector("[data-list='fused'] .hit[data-grade='1']", state="detached")
    assert f"\t{second}\t" not in qrels.read_text(encoding="utf-8")
    page.reload()
    page.wait_for_selector("[data-list='fused'] .hit[data-grade='3']")


def test_judged_queries_are_listed_worst_first(page, served) -> None:
    """With their nDCG; a click asks one."""
    open_page(page, served, "panel=queries")
    until(page, "document.querySelectorAll('#queries li').length >= 3 && !document.querySelector('#queries progress')")
    values = [
        float(text)
        for text in page.eval_on_selector_all("#queries .value", "all => all.map(one => one.firstChild.textContent)")
    ]
    assert values == sorted(values)
    assert values[0] == 0.0
    page.click("#queries button:has-text('morning tea')")
    page.wait_for_selector('[data-list="fused"] .hit')
    assert page.input_value("#query") == "morning tea"


def test_the_keyboard_is_enough(page, served) -> None:
    """To the query, through the hits, to the comparison and to the list of keys, without a mouse."""
    open_page(page, served, "q=tea+coffee")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.dataset.id") == ids(page)[1]
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.classList.contains('is-selected')")
    page.keyboard.press("c")
    page.wait_for_selector('[data-list="a"]')
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"


def test_keys_can_be_switched_off(page, served) -> None:
    """By those who speak to their computer; it is remembered."""
    open_page(page, served, "q=tea")
    page.click("#open-help")
    page.uncheck("#keys-on")
    page.click("#help button")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("c")
    assert page.locator("#compare").get_attribute("aria-pressed") == "false"


def test_the_way_back_leads_back(page, served) -> None:
    """From a search to the one before, however its address was written, and out of the page again."""
    page.goto(f"{served.url}/docs")
    open_page(page, served, "n=30&q=slow%20bread")
    page.fill("#query", "tea")
    page.press("#query", "Enter")
    until(page, "location.hash.includes('q=tea')")
    page.go_back()
    until(page, "document.querySelector('#query').value === 'slow bread'")
    page.go_back()
    until(page, "location.pathname === '/docs'")
    assert "The API of" in page.inner_text("h1")


def test_the_index_is_left_alone(served, opensearch) -> None:
    """All of this has read and nothing has written."""
    answer = opensearch.send(Request.json("GET", f"/{served.index}/_count"))
    assert answer["count"] == 340
