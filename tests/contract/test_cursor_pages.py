"""Pages by cursor on every engine: no hit twice and none passed over, whatever is written and deleted between them."""

from __future__ import annotations

import copy
import pickle
import time
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from generated import SCHEMA, encoded, filled, passages, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_search_alias import VectorsOfText

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import delete_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import CursorError
from hybrid_search.ingest.maintain.remove import delete_documents
from hybrid_search.records import EncodedPassage, Passage
from hybrid_search.search import AsyncSearchClient, Reranking, SearchClient
from hybrid_search.search_warnings import WarningCode
from hybrid_search.settings import SearchSettings, Settings

COUNT = 40
BATCH = passages(COUNT)
QUERY = "7 river stone"


class Letters:
    """The more letters r, the better; the name of what reranked the first page is that of all."""

    name = "letters"

    def score(self, query, passages):
        del query
        return [float(text.count("r")) for text in passages]


@pytest.fixture(scope="module")
def client(connection: Connection):
    """Forty documents, which every list holds all of: the dense leg finds whatever there is."""
    name = filled(connection, f"test-cursor-{uuid4().hex[:12]}", BATCH, SCHEMA)
    with SearchClient(
        name, connection=connection, encoder=VectorsOfText(), reranker=Letters(), settings=Settings()
    ) as opened:
        yield opened
    delete_index(connection, name)


def paged(client, sizes, **how):
    """All pages of a list, of these sizes, the last as often as needed; between them ``how["between"]`` is called."""
    between, cursor, pages = how.pop("between", lambda: None), None, []
    while cursor is not None or not pages:
        result = client.search(QUERY, sizes[min(len(pages), len(sizes) - 1)], cursor=cursor, **how)
        pages.append(result)
        cursor = result.cursor
        between()
    return pages


def ids(pages):
    return [hit.id for page in pages for hit in page]


HOW = {
    "fused": {"rerank": False},
    "rrf": {"rerank": False, "fusion": "rrf"},
    "reranked": {"rerank": Reranking(10, 0.5)},
    "reranked beyond the page": {"rerank": Reranking(35, 1.0)},
    "filtered": {"rerank": False, "filter": "brand=Sony|Canon and published<=now/d"},
    "passages": {"rerank": False, "collapse": False},
    "signs": {"rerank": False, "syntax": "simple"},
    "bm25": {"rerank": False, "legs": ["bm25"]},
    "boosted": {"rerank": False, "boosts": "log1p:price,100", "pin": "doc-9", "bury": ["doc-1", "doc-2"]},
    "boosted and reranked": {"rerank": Reranking(10, 0.5), "pin": "doc-9", "bury": ["doc-1", "doc-2"]},
    "spread": {"rerank": False, "diversity": 0.5},
    "spread and reranked": {"rerank": Reranking(20, 0.5), "diversity": 0.3, "max_per": {"size.eu": 3}},
    "limited": {"rerank": False, "max_per": {"brand": 5}},
    "summed": {"rerank": False, "collapse": "sum:2"},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_pages_are_slices_of_the_list(client, how) -> None:
    """The same ranks, scores, texts and fields as in one page of all, to the seven digits that a cursor keeps."""
    whole = client.search(QUERY, COUNT, **how)
    pages = paged(client, [7, 3, 11], **how)
    hits = [hit for page in pages for hit in page]
    assert [hit.rank for hit in hits] == list(range(1, len(whole) + 1))
    assert [len(page) for page in pages[:-1]] == [7, 3, 11, 11][: len(pages) - 1]
    assert all((page.fusion, page.warnings) == (whole.fusion, []) for page in pages)
    for one, other in zip(hits, whole, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-6, abs=1e-7)
        assert one.fused == pytest.approx(other.fused, rel=1e-6, abs=1e-7)
        assert (one.id, one.passage_id, one.text, one.fields) == (
            other.id,
            other.passage_id,
            other.text,
            other.fields,
        )


def test_the_first_page_may_have_an_offset(client) -> None:
    """The cursor goes on behind it."""
    whole = client.search(QUERY, COUNT, rerank=False)
    first = client.search(QUERY, 5, offset=10, rerank=False)
    second = client.search(QUERY, 5, rerank=False, cursor=first.cursor)
    assert ids([first, second]) == [hit.id for hit in whole.hits[10:20]]
    assert second.hits[0].rank == 16


def test_what_a_reranker_scored_is_named_on_every_page(client) -> None:
    """It is asked for the first page alone."""
    pages = paged(client, [10], rerank=Reranking(10, 0.5))
    assert {page.reranker for page in pages} == {"letters"}
    assert all(hit.rerank is None for page in pages[1:] for hit in page)


def test_highlights_go_on_and_facets_are_those_of_the_first_page(client) -> None:
    """What is shown changes no ranking: the cursor takes it with any page."""
    first = client.search(QUERY, 5, rerank=False, facets=["brand"])
    second = client.search(QUERY, 30, rerank=False, highlight=True, facets=["brand"], cursor=first.cursor)
    assert (list(first.facets), list(second.facets)) == (["brand"], [])
    marked = [hit for hit in second if hit.highlights]
    assert any("river" in str(hit.highlights) for hit in marked)


def test_a_copy_of_a_result_has_the_cursor_and_not_the_key(client) -> None:
    """Whatever is pickled may leave the process."""
    first = client.search(QUERY, 5, rerank=False)
    assert client.searcher.seal.key not in pickle.dumps(first.rest)
    assert pickle.loads(pickle.dumps(first.rest)).cursor() == first.cursor  # noqa: S301  of this test
    assert copy.copy(first).cursor == first.cursor


async def test_the_other_client_goes_on(client, engine_url) -> None:
    """Another process, for all that it knows: the key is the index's."""
    first = client.search(QUERY, 5, rerank=False)
    whole = client.search(QUERY, COUNT, rerank=False)
    name = client.searcher.target.index
    async with AsyncSearchClient(name, url=engine_url, encoder=VectorsOfText(), settings=Settings()) as other:
        second = await other.search(QUERY, 9, rerank=False, cursor=first.cursor)
    assert [hit.id for hit in second] == [hit.id for hit in whole.hits[5:14]]


CHANGE = st.tuples(st.sampled_from(["delete", "insert", "rewrite"]), st.integers(0, COUNT - 1))


def change(client, connection, kind, number, there):
    """One document is deleted, comes in new, or is written again with other words; ``there`` are those of before."""
    index = client.searcher.target.index
    document = f"doc-{number}"
    if kind == "delete":
        if document in there:
            connection.send(Request.json("DELETE", f"/{index}/_doc/{document}%230", refresh="true"))
        there.discard(document)
        return
    new = encoded(1000 + number, np.random.default_rng(number)) if kind == "insert" else BATCH[number]
    text = "river stone " * 5 if kind == "insert" else "nothing of it"
    if kind == "rewrite" and document not in there:
        return
    write(connection, index, [replace(new, passage=Passage(replace(new.passage.document, text=text), 0, 0, len(text)))])


@given(st.lists(st.integers(5, 15), min_size=1, max_size=2), st.lists(st.lists(CHANGE, max_size=4), max_size=4))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_repeat_and_no_gap_whatever_is_changed_between_pages(client, connection, sizes, changes) -> None:
    """What is shown is the list of the beginning, without what was deleted before its page came; that is said."""
    index = client.searcher.target.index
    delete_documents(connection, index, [f"doc-{1000 + number}" for number in range(COUNT)])
    write(connection, index, BATCH)
    whole = [hit.id for hit in client.search(QUERY, COUNT, rerank=False)]
    there, pending = set(whole), list(changes)
    result, place = client.search(QUERY, sizes[0], rerank=False), sizes[0]
    assert [hit.id for hit in result] == whole[:place]
    while result.cursor is not None:
        for kind, number in pending.pop() if pending else ():
            change(client, connection, kind, number, there)
        result = client.search(QUERY, sizes[-1], rerank=False, cursor=result.cursor)
        left = [(rank, id_) for rank, id_ in enumerate(whole[place:], place + 1) if id_ in there]
        assert [(hit.rank, hit.id) for hit in result] == left[: sizes[-1]]
        end = left[sizes[-1] - 1][0] if len(left) >= sizes[-1] else len(whole)
        gone = [id_ for id_ in whole[place:end] if id_ not in there]
        assert [warning.code for warning in result.warnings] == [WarningCode.PASSAGES_GONE] * bool(gone)
        assert all(id_ in str(result.warnings) for id_ in gone[:5])
        place = end


def test_a_document_that_lost_the_passage_is_shown_by_its_first(connection, index_name) -> None:
    """Written again, it is shorter: it is still the document of that rank."""
    asked, text = VectorsOfText().encode_queries([QUERY]).dense[0], "winter " * 6
    long = [
        EncodedPassage(Passage(replace(one.passage.document, text=text), n, n * 10, n * 10 + 9), vector, one.sparse)
        for one in BATCH[:2]
        for n, vector in enumerate([one.dense, asked])
    ]
    name = filled(connection, index_name(), long, SCHEMA)
    with SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings()) as client:
        first = client.search(QUERY, 1, rerank=False, legs=["dense"])
        lost = client.search(QUERY, 2, rerank=False, legs=["dense"]).hits[1]
        connection.send(Request.json("DELETE", f"/{name}/_doc/{lost.passage_id.replace('#', '%23')}"))
        refresh(connection, name)
        second = client.search(QUERY, 1, rerank=False, legs=["dense"], cursor=first.cursor)
    assert [(hit.rank, hit.id) for hit in second] == [(2, lost.id)]
    assert (lost.passage_id, second.hits[0].passage_id) == (f"{lost.id}#1", f"{lost.id}#0")


OTHERS = {
    "query": ("8 river stone", {}),
    "filter": (QUERY, {"filter": "brand=Sony"}),
    "options": (QUERY, {"fusion": "rrf"}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_cursor_of_another_search_is_refused(client, what) -> None:
    """By what differs; nothing is sent."""
    cursor = client.search(QUERY, 5, rerank=False).cursor
    query, how = OTHERS[what]
    with pytest.raises(CursorError, match=f"the cursor: of another search: another {what}"):
        client.search(query, 5, **{"rerank": False, **how}, cursor=cursor)


def test_a_cursor_of_another_index_is_refused(client, connection, index_name) -> None:
    """And of one that was made again under the same name, whose key is another."""
    cursor = client.search(QUERY, 5, rerank=False).cursor
    name = filled(connection, index_name(), BATCH[:3], SCHEMA)
    with SearchClient(name, connection=connection, encoder=VectorsOfText()) as other:
        with pytest.raises(CursorError, match="of another index than"):
            other.search(QUERY, 5, rerank=False, cursor=cursor)
        own = other.search(QUERY, 1, rerank=False).cursor
    delete_index(connection, name)
    filled(connection, name, BATCH[:3], SCHEMA)
    with (
        SearchClient(name, connection=connection, encoder=VectorsOfText()) as again,
        pytest.raises(CursorError, match="changed, or signed with another key"),
    ):
        again.search(QUERY, 1, rerank=False, cursor=own)


def test_a_key_of_the_settings_and_an_end(client, connection) -> None:
    """What one key signed another does not take; what has expired nobody takes."""
    name = client.searcher.target.index

    def search(cursor=None, **values):
        given = Settings(search=SearchSettings(**values))
        with SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=given) as opened:
            return opened.search(QUERY, 5, rerank=False, cursor=cursor)

    cursor = search(cursor_key="a key of the service").cursor
    assert len(search(cursor, cursor_key="a key of the service")) == 5
    with pytest.raises(CursorError, match="another key"):
        search(cursor)
    brief = search(cursor_lifetime=1e-9)
    time.sleep(1.1)
    with pytest.raises(CursorError, match="expired"):
        search(brief.cursor)


def test_a_cursor_goes_with_one_query_and_no_offset(client) -> None:
    """In the place of a result where errors are returned."""
    cursor = client.search(QUERY, 5, rerank=False).cursor
    with pytest.raises(CursorError, match="an offset of 3"):
        client.search(QUERY, 5, rerank=False, cursor=cursor, offset=3)
    with pytest.raises(CursorError, match="2 queries"):
        client.search_many([QUERY, QUERY], 5, rerank=False, cursor=cursor)
    [error] = client.search_many([QUERY], 5, rerank=False, cursor="nonsense", return_errors=True)
    assert isinstance(error, CursorError)
