"""Where options meet: one list whatever its pages, and a why-not that says of every option what the list did."""

from __future__ import annotations

import random
import re
from hashlib import blake2b

import numpy as np
import pytest
from loading import DENSE, DIMENSION, SPARSE, WordTokenizer

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine.indices import delete_index
from hybrid_search.errors import CursorError
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.search import Reranking, SearchClient
from hybrid_search.search.why_not_records import Reason
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

WORDS = ["lamp", "oak", "desk", "brass", "table", "chair", "quiet", "keyboard", "red", "blue", "light", "stand"]
SETTINGS = Settings(
    documents=DocumentSettings(text=("text",), keyword=("brand",), number=("price",)),
    chunking=ChunkingSettings(max_tokens=12, overlap=2),
)
COUNT = 24


class Bags:
    """A text is the sum of its words, each of a direction and a term of its own; the reranker draws by the text."""

    dense, sparse, max_tokens, tokenizer = DENSE, SPARSE, 12, WordTokenizer()
    name = "drawn"

    def encode_documents(self, texts):
        words = [re.findall(r"\w+", text.lower()) for text in texts]
        dense = np.stack([sum((_direction(word) for word in some), np.full(DIMENSION, 0.05)) for some in words])
        norms = np.linalg.norm(dense, axis=1, keepdims=True)
        sparse = [{word: float(some.count(word)) for word in some} for some in words]
        return EncodedTexts((dense / norms).astype(np.float32), sparse)

    encode_queries = encode_documents

    def score(self, query, passages):
        del query
        return [_number(passage) % 97 / 97 for passage in passages]


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def _direction(word: str) -> np.ndarray:
    return np.random.default_rng(_number(word)).normal(size=DIMENSION)


def goods():
    """``d0`` to ``d23`` of one to three passages and three brands."""
    drawn = random.Random(5)
    for n in range(COUNT):
        sentences = [" ".join(drawn.choices(WORDS, k=9)) + "." for _ in range(n % 3 + 1)]
        yield Document(f"d{n}", " ".join(sentences), {"brand": "ABC"[n % 3], "price": n + 1})


@pytest.fixture(scope="module")
def client(connection, tmp_path_factory):
    """The goods, with a reranker."""
    name, models = f"test-meetings-{tmp_path_factory.mktemp('meetings').name}-{connection.dialect.engine}", Bags()
    index_documents(goods(), name, connection, models, SETTINGS)
    with SearchClient(name, connection=connection, encoder=models, reranker=models, settings=SETTINGS) as opened:
        yield opened
    delete_index(connection, name)


def passages(result):
    return [hit.passage_id for hit in result]


PINNED = {"collapse": False, "pin": ["d2", "d5"], "boosts": "log1p:price,100"}
MOVED = {
    "reranked": {"rerank": Reranking(4, 0.5)},
    "spread": {"rerank": False, "diversity": 0.5},
    "limited": {"rerank": Reranking(4, 0.5), "max_per": {"brand": 9}},
}


@pytest.mark.parametrize("how", MOVED.values(), ids=MOVED)
def test_pinned_documents_of_several_passages_leave_the_window_as_wide(client, how) -> None:
    """d2 and d5 have three passages each: six hits stand above those that are moved, whatever the page."""
    asked = {**PINNED, **how}
    whole = client.search("quiet oak lamp", 30, **asked)
    assert [hit.id for hit in whole][:6] == ["d2"] * 3 + ["d5"] * 3
    assert sum(hit.rerank is not None for hit in whole) == (4 if how["rerank"] else 0)
    assert passages(client.search("quiet oak lamp", 3, **asked)) == passages(whole)[:3]
    assert passages(client.search("quiet oak lamp", 5, offset=5, **asked)) == passages(whole)[5:10]
    first = client.search("quiet oak lamp", 3, **asked)
    assert passages(client.search("quiet oak lamp", 20, cursor=first.cursor, **asked)) == passages(whole)[3:23]


@pytest.mark.parametrize("legs", [["dense"], ["sparse"]], ids=str)
def test_the_second_page_shows_why_as_the_first_does(client, legs) -> None:
    """The query is encoded for it; each hit has the sentence that is nearest, with a score."""
    asked = {"legs": legs, "rerank": False, "highlight": True}
    whole = client.search("brass keyboard", 20, **asked)
    first = client.search("brass keyboard", 5, **asked)
    second = client.search("brass keyboard", 15, cursor=first.cursor, **asked)
    assert second.warnings == []
    shown, before = ([[(p.kind, p.start, p.score) for p in hit.highlights] for hit in some] for some in (second, whole))
    assert shown == before[5:20]


def test_only_a_search_goes_on_with_a_cursor(client) -> None:
    """Elsewhere it would be passed over, and the first page be taken for the next."""
    cursor = client.search("oak lamp", 3).cursor
    with pytest.raises(CursorError, match="offset gives further pages"):
        client.more_like("d1", 3, cursor=cursor)
    with pytest.raises(CursorError, match="offset says where the page begins"):
        client.why_not("oak lamp", "d1", 3, cursor=cursor)


def test_a_page_without_highlights_encodes_nothing(client) -> None:
    """What is only shown costs nothing where it is not shown."""
    first = client.search("brass keyboard", 5, rerank=False)
    assert "encode" not in client.search("brass keyboard", 5, rerank=False, cursor=first.cursor).took_ms


@pytest.mark.parametrize("options", [{}, {"rerank": Reranking(5, 0.5)}, {"diversity": 0.4}], ids=str)
def test_what_max_per_leaves_out_is_said_so(client, options) -> None:
    """Two of each of three brands: the list has six hits, and all others are left out, whatever their fused rank."""
    asked = {"rerank": False, **options, "max_per": {"brand": 2}}
    listed = {hit.id: hit.rank for hit in client.search("oak lamp", 20, **asked)}
    assert len(listed) == 6
    for n in range(COUNT):
        found = client.why_not("oak lamp", f"d{n}", 3, **asked)
        assert found.rank == listed.get(f"d{n}")
        wanted = Reason.LEFT_OUT if found.rank is None else Reason.ON_PAGE if found.rank <= 3 else Reason.BELOW_PAGE
        assert found.reason is wanted
        assert found.reason is not Reason.LEFT_OUT or "max_per (brand=2) leaves it out" in found.verdict


@pytest.mark.parametrize("collapse", ["first", "sum:2", "best"])
def test_ranks_are_those_of_the_collapse(client, collapse) -> None:
    """Within the window, which holds all, every leg of a document says what the list says of it."""
    asked = {"rerank": False, "collapse": collapse, "exact": True}
    for hit in client.search("oak lamp", COUNT, **asked):
        for place in client.why_not("oak lamp", hit.id, 3, **asked).legs:
            listed = hit.legs.get(place.leg)
            assert (place.rank, place.missed_by_graph) == (None if listed is None else listed.rank, False)
            assert listed is None or place.score == pytest.approx(listed.score, rel=1e-2)


@pytest.mark.parametrize("query", ["table -oak", '"oak lamp"', "brand:A desk"])
def test_passages_that_are_left_out_are_not_told_of(client, query) -> None:
    """A document of which one passage says oak is found by another, and its scores are those of the other."""
    asked = {"rerank": False, "syntax": "simple", "exact": True}
    hits = client.search(query, COUNT, **asked).hits
    assert hits
    for hit in hits:
        for place in client.why_not(query, hit.id, 3, **asked).legs:
            listed = hit.legs.get(place.leg)
            assert place.rank == (None if listed is None else listed.rank)
            assert listed is None or place.score == pytest.approx(listed.score, rel=1e-2)


def test_below_the_window_first_passages_are_counted_alone(client) -> None:
    """The rank far below a window of three is the one that a window of all gives."""
    asked = {"legs": ["dense"], "rerank": False, "collapse": "first", "exact": True}
    last = client.search("oak lamp", COUNT, **asked).hits[-1]
    [place] = client.why_not("oak lamp", last.id, 3, window=3, **asked).legs
    assert (place.found_at, place.rank) == (None, COUNT)


def test_the_score_below_the_reranked_window_is_that_of_the_list(client) -> None:
    """On the line that the window draws, which a longer page shows."""
    asked = {"rerank": Reranking(5, 0.5)}
    hit = client.search("oak lamp", COUNT, **asked).hits[15]
    found = client.why_not("oak lamp", hit.id, 3, **asked)
    assert (found.rank, found.document.score) == (16, pytest.approx(hit.score, abs=1e-6))
