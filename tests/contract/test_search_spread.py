"""Diversity, limits, and what of its passages a document is ranked by and shows, on real engines."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from generated import filled
from loading import GeneratedEncoder

from hybrid_search.engine.protocols import Request
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage, Query
from hybrid_search.search import AsyncSearchClient, Mmr, Reranking, SearchClient
from hybrid_search.search.explain import explain_text
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import Settings

DENSE = Fingerprint("dense", "generated", "0" * 16, dimension=4, normalized=True)
SCHEMA = IndexSchema(DENSE, None, keyword_fields=("brand",), number_fields=("year",))
BRANDS = ["Apex", "Apex", "Apex", ["Apex", "Bolt"], "Bolt", "Coil", None, None]
AT_ONCE = Query("lamp", dense=np.array([1, 0, 0, 0], np.float32))


def vectors() -> list[np.ndarray]:
    """Eight unit vectors around the first axis, the nearest first, the first three of one direction."""
    random = np.random.default_rng(3)
    drawn = [np.array([1, 0.1, 0.01 * n, 0.0]) for n in range(3)]
    drawn += [np.array([1, *random.uniform(-0.3, 0.3, 3) * n]) for n in range(3, 8)]
    return [(vector / np.linalg.norm(vector)).astype(np.float32) for vector in drawn]


def lamps() -> list[EncodedPassage]:
    """``d0`` to ``d7``, one passage each."""
    documents = [
        Document(f"d{n}", f"lamp {n}", {"year": 2020 + n % 2} | ({} if brand is None else {"brand": brand}))
        for n, brand in enumerate(BRANDS)
    ]
    return [
        EncodedPassage(Passage(one, 0, 0, len(one.text)), vector, None)
        for one, vector in zip(documents, vectors(), strict=True)
    ]


def client_on(name, connection, **given) -> SearchClient:
    encoder = GeneratedEncoder(dense=DENSE, sparse=None)
    return SearchClient(name, connection=connection, encoder=encoder, settings=Settings(), **given)


@pytest.fixture
def name(connection, index_name):
    return filled(connection, index_name(), lamps(), SCHEMA)


@pytest.fixture
def client(connection, name):
    with client_on(name, connection) as opened:
        yield opened


def ids(result) -> list[str]:
    return [hit.id for hit in result]


def by_definition(result, weight, window) -> list[str]:
    """The ids of a list as Carbonell and Goldstein's formula puts its first ``window`` hits, by the true vectors."""
    known = {f"d{n}": vector.astype(float) for n, vector in enumerate(vectors())}
    head, rest = list(result)[:window], list(result)[window:]
    low, high = head[-1].score, head[0].score
    order: list = []
    while head:
        worth = [
            (1 - weight) * (hit.score - low) / (high - low)
            - weight * max((float(known[hit.id] @ known[above.id]) for above in order), default=0)
            for hit in head
        ]
        order.append(head.pop(int(np.argmax(worth))))
    return [hit.id for hit in [*order, *rest]]


@pytest.mark.parametrize("dense_index", ["hnsw", "int8_hnsw"])
def test_mmr_is_exact_also_where_the_index_is_quantised(connection, index_name, dense_index) -> None:
    """The order is that of the formula on the vectors as they were given, whole or quantised."""
    schema = IndexSchema(DENSE, None, keyword_fields=("brand",), dense_index=dense_index)
    with client_on(filled(connection, index_name(), lamps(), schema), connection) as client:
        plain = client.search(AT_ONCE, 8, legs=["dense"])
        for mmr in (Mmr(0.3), Mmr(0.7), Mmr(0.9, window=5), Mmr(1.0)):
            found = client.search(AT_ONCE, 8, legs=["dense"], diversity=mmr)
            assert ids(found) == by_definition(plain, mmr.weight, mmr.window)
        assert ids(found) != ids(plain)


def test_a_diversified_hit_says_why(client) -> None:
    """Rank before, relevance and the nearest above add up to its score; beyond the window there is nothing to say."""
    found = client.search(AT_ONCE, 8, legs=["dense"], diversity=Mmr(0.6, window=6))
    for hit in list(found)[:6]:
        score = hit.diversity
        assert score.score == pytest.approx(0.4 * score.relevance - 0.6 * score.similarity)
    assert (found.hits[0].diversity.rank_before, found.hits[0].diversity.similarity) == (1, 0)
    assert [hit.diversity for hit in list(found)[6:]] == [None, None]
    assert "diversified: relevance 1.0000, cosine to the nearest above 0.0000" in explain_text(found)


@pytest.mark.parametrize(
    "options",
    [
        {"diversity": 0.6},
        {"diversity": Mmr(0.6, window=3)},
        {"max_per": "brand=2"},
        {"max_per": {"brand": 1}, "diversity": 0.5, "pin": ["d5"], "bury": ["d1"]},
        {"max_per": {"brand": 2, "year": 3}, "boosts": "saturation:year,2020"},
    ],
    ids=str,
)
def test_pages_are_slices_of_one_list(client, options) -> None:
    """Two by two the same hits as at once, by offset and by cursor: no repeat and no gap."""
    whole = ids(client.search(AT_ONCE, 8, **options))
    paged = [id_ for offset in (0, 2, 4, 6) for id_ in ids(client.search(AT_ONCE, 2, offset=offset, **options))]
    assert paged == whole
    pages = [client.search(AT_ONCE, 2, **options)]
    while pages[-1].cursor is not None:
        pages.append(client.search(AT_ONCE, 2, cursor=pages[-1].cursor, **options))
    assert [id_ for page in pages for id_ in ids(page)] == whole
    assert len(set(whole)) == len(whole)


def test_at_most_so_many_of_one_brand(client) -> None:
    """Of Apex 0, 1, 2, 3 two stand; 3 is Bolt's too, and left out with Apex; what has no brand stands for itself."""
    plain = client.search(AT_ONCE, 8, legs=["dense"])
    assert ids(plain)[:3] == ["d0", "d1", "d2"]
    found = client.search(AT_ONCE, 8, legs=["dense"], max_per={"brand": 2})
    assert ids(found) == [id_ for id_ in ids(plain) if id_ not in {"d2", "d3"}]
    assert [(note.code, note.part) for note in found.warnings] == [(WarningCode.FEW_DOCUMENTS, "max_per")]
    assert not client.search(AT_ONCE, 3, legs=["dense"], max_per={"brand": 2}).warnings
    years = client.search(AT_ONCE, 8, legs=["dense"], max_per="year=1")
    assert sorted(hit.fields["year"] for hit in years) == [2020, 2021]


def test_only_what_may_be_shown_is_fetched(client, monkeypatch) -> None:
    """The page of two needs two passages, though three of one brand stand first."""
    asked = []
    from hybrid_search.search import legs

    fetch = legs.passage_fetch
    monkeypatch.setattr(legs, "passage_fetch", lambda ids, **kw: asked.append(list(ids)) or fetch(ids, **kw))
    client.search(AT_ONCE, 2, legs=["dense"], max_per="brand", rerank=False)
    assert [len(some) for some in asked] == [2]


class Last:
    """A reranker that turns the list round: the larger the number in the text, the better."""

    name = "last"

    def score(self, query, passages):
        del query
        return [float(text.split()[1]) for text in passages]


def test_limits_and_diversity_are_on_the_reranked_order(connection, name) -> None:
    """Reranked alone d7 is first; then the first of each brand in that order, of those without one all."""
    with client_on(name, connection, reranker=Last()) as client:
        alone = {"legs": ["dense"], "rerank": Reranking(50, 1.0)}
        assert ids(client.search(AT_ONCE, 8, **alone)) == [f"d{n}" for n in range(7, -1, -1)]
        assert ids(client.search(AT_ONCE, 8, max_per="brand", **alone)) == ["d7", "d6", "d5", "d4", "d2"]
        four = {"legs": ["dense"], "rerank": Reranking(4, 1.0), "max_per": "brand"}
        whole = ids(client.search(AT_ONCE, 8, **four))
        assert [ids(client.search(AT_ONCE, 1, offset=n, **four))[0] for n in range(len(whole))] == whole
        spread = client.search(AT_ONCE, 8, diversity=0.5, **alone)
        assert ids(spread) == by_definition(client.search(AT_ONCE, 8, **alone), 0.5, 50)


@pytest.fixture
def novels(connection, index_name):
    """Three documents of several passages; their words and vectors are designed."""
    axes = np.eye(4, dtype=np.float32)
    near = np.array([0.6, 0.8, 0, 0], np.float32)
    written = {
        "long": [("wide sea", axes[1]), ("whale whale whale", near), ("whale and sea", near)],
        "short": [("whale whale whale whale", axes[0])],
        "first": [("whale", near), ("nothing at all", axes[2])],
    }
    batch = []
    for id_, texts in written.items():
        document = Document(id_, "\n".join(text for text, _ in texts))
        start = 0
        for number, (text, vector) in enumerate(texts):
            batch.append(EncodedPassage(Passage(document, number, start, start + len(text)), vector, None))
            start += len(text) + 1
    made = filled(connection, index_name(), batch, SCHEMA)
    with client_on(made, connection) as opened:
        yield opened


WHALE = Query("whale", dense=np.array([1, 0, 0, 0], np.float32))


def test_documents_by_the_sum_of_their_passages(novels) -> None:
    """BM25 found all that it can, so that the sum is plain; of dense scores what is above the lowest found, .5, counts.

    Dense, (1 + cosine) / 2: long .8 + (.8 - .5) + (.5 - .5) = 1.1, short 1, first .8 + (.5 - .5) = .8.
    """
    passages = novels.search(WHALE, 10, legs=["bm25"], collapse=False)
    scores = {hit.passage_id: hit.legs["bm25"].score for hit in passages}
    summed = novels.search(WHALE, legs=["bm25"], collapse="sum:3")
    assert {hit.id: hit.legs["bm25"].score for hit in summed} == pytest.approx(
        {"long": scores["long#1"] + scores["long#2"], "short": scores["short#0"], "first": scores["first#0"]}, rel=1e-5
    )
    dense = novels.search(WHALE, legs=["dense"], collapse="sum:3")
    found = {hit.id: hit.legs["dense"].score for hit in dense}
    assert found == pytest.approx({"long": 1.1, "short": 1, "first": 0.8}, abs=1e-4)
    assert [(hit.id, hit.passage_id) for hit in dense] == [
        ("long", "long#1"),
        ("short", "short#0"),
        ("first", "first#0"),
    ]


def test_documents_by_their_first_passage(novels) -> None:
    """No other passage is searched: the first of long holds no whale, and its vector is at a right angle."""
    found = novels.search(WHALE, legs=["bm25"], collapse="first")
    assert sorted((hit.id, hit.passage_id) for hit in found) == [("first", "first#0"), ("short", "short#0")]
    dense = novels.search(WHALE, legs=["dense"], collapse="first")
    scores = {hit.id: hit.legs["dense"].score for hit in dense}
    assert scores == pytest.approx({"short": 1, "first": 0.8, "long": 0.5}, abs=1e-4)


@pytest.mark.parametrize("collapse", ["best", "sum:2"])
def test_further_passages_of_a_hit(novels, collapse) -> None:
    """Those that the legs found beside the one that is shown, as the ranking of passages has them."""
    ranked = {hit.passage_id: hit for hit in novels.search(WHALE, 10, collapse=False)}
    found = novels.search(WHALE, collapse=collapse, passages=1)
    hit = next(hit for hit in found if hit.id == "long")
    [other] = hit.passages
    best, second = ("long#1", "long#2") if hit.passage_id == "long#1" else ("long#2", "long#1")
    assert (hit.passage_id, other.id) == (best, second)
    assert (other.text, other.start, other.end) == ("whale and sea", 27, 40)
    assert other.legs == ranked[second].legs
    assert other.score == pytest.approx(ranked[second].score)
    assert all(hit.passages == [] for hit in found if hit.id == "short")
    assert f"also passage {second}, characters 27 to 40" in explain_text(found)
    assert [len(hit.passages) for hit in novels.search(WHALE, passages=3) if hit.id == "long"] == [2]
    assert all(hit.passages == () for hit in novels.search(WHALE))


def test_the_asynchronous_client_does_the_same(engine_url, name, client) -> None:
    """All of it, in a batch."""
    options = {"k": 4, "diversity": 0.6, "max_per": {"brand": 2}, "passages": 1, "collapse": "sum:2"}

    async def found():
        encoder = GeneratedEncoder(dense=DENSE, sparse=None)
        async with AsyncSearchClient(name, url=engine_url, encoder=encoder, settings=Settings()) as opened:
            return await opened.search_many([AT_ONCE, AT_ONCE], **options)

    assert [ids(one) for one in asyncio.run(found())] == [ids(client.search(AT_ONCE, **options))] * 2


def test_a_passage_that_is_gone_is_not_replaced_by_another_of_its_document(novels, connection) -> None:
    """Where passages are ranked, a page that a cursor goes on with leaves out the deleted one, and says so."""
    options = {"collapse": False, "legs": ["dense"]}
    whole = [hit.passage_id for hit in novels.search(WHALE, 6, **options)]
    assert whole[2] == "long#1"
    first = novels.search(WHALE, 2, **options)
    path = f"/{novels.searcher.target.index}/_doc/long%231"
    connection.send(Request.json("DELETE", path, refresh="true"))
    second = novels.search(WHALE, 5, cursor=first.cursor, **options)
    assert [hit.passage_id for hit in second] == whole[3:]
    assert second.degraded == {"fetch": WarningCode.PASSAGES_GONE}
