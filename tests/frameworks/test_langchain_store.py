"""LangChain's vector store beyond what its own suite asks: filters, scores, variety, new fields, loops, threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from loading import GeneratedEncoder

from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, InputError, ModelError, QueryError, RecordError
from hybrid_search.filters import Eq
from hybrid_search.frameworks.langchain import HybridVectorStore
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document as OwnDocument
from hybrid_search.settings import Settings

ANGLES = {"north": 90, "northeast": 45, "east": 0, "southeast": -45, "south": -90}


class Compass(Embeddings):
    """A text points where its first word says, in two dimensions."""

    def __init__(self, model: str = "needle") -> None:
        self.model = model
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        angles = np.radians([ANGLES.get(text.split()[0], 180) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


WINDS = [
    Document(id="n", page_content="north wind is cold", metadata={"force": 9, "kind": "gale", "seen": "2024-01-31"}),
    Document(id="ne", page_content="northeast wind is dry", metadata={"force": 5, "kind": "breeze"}),
    Document(id="e", page_content="east air is calm", metadata={"force": 1, "kind": "calm", "tags": ["a", "b"]}),
    Document(id="s", page_content="south wind is warm", metadata={"force": 4, "author": {"name": "Ann"}}),
]


@pytest.fixture
def empty(engine_url, index_name):
    """A store without an index."""
    with HybridVectorStore(index_name(), Compass(), url=engine_url, settings=Settings()) as store:
        yield store


@pytest.fixture
def store(empty) -> HybridVectorStore:
    """A store of four winds."""
    empty.add_documents(WINDS)
    return empty


def ids(documents) -> list[str]:
    return [one.id for one in documents]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"kind": "gale"}, {"n"}),
        ({"force": {"$gte": 4, "$lt": 9}}, {"ne", "s"}),
        ({"kind": {"$ne": "gale"}}, {"ne", "e", "s"}),
        ({"kind": {"$in": ["gale", "calm"]}}, {"n", "e"}),
        ({"kind": {"$nin": ["gale", "calm"]}}, {"ne", "s"}),
        ({"$or": [{"force": 1}, {"seen": {"$gt": "2024-01-01"}}]}, {"n", "e"}),
        ({"$and": [{"force": {"$gt": 1}}, {"$not": {"kind": "gale"}}]}, {"ne", "s"}),
        ({"tags": "b"}, {"e"}),
        ({"author.name": "Ann"}, {"s"}),
        ({"kind": {"$exists": False}}, {"s"}),
        ({"kind": {"$like": "%ee%"}}, {"ne"}),
        ("force>=4 and not kind=gale", {"ne", "s"}),
        (Eq("force", 1), {"e"}),
        ({}, {"n", "ne", "e", "s"}),
    ],
)
def test_any_key_of_the_metadata_is_filtered_on(store, filter, found) -> None:
    """Nothing was declared; numbers, dates, lists and inner objects compare as what they are."""
    assert set(ids(store.similarity_search("wind", k=4, filter=filter))) == found


def test_an_unknown_operator_and_an_unknown_field_are_named(store) -> None:
    """What the engine could not be asked is an error before it is asked."""
    with pytest.raises(QueryError, match=r"unknown operator '\$regex'"):
        store.similarity_search("wind", filter={"kind": {"$regex": "g.*"}})
    with pytest.raises(QueryError, match=r"forse.*force"):
        store.similarity_search("wind", filter={"forse": 1})
    with pytest.raises(QueryError, match=r"unknown option 'fetch_k'"):
        store.similarity_search("wind", fetch_k=3)


def test_metadata_comes_back_as_it_was(store) -> None:
    """Lists, inner objects, and the order of what was asked for."""
    assert store.get_by_ids(["s", "nowhere", "e", "n"]) == [WINDS[3], WINDS[2], WINDS[0]]


def test_values_that_json_has_not_are_stored_as_it_has_them(empty) -> None:
    """Dates as ISO text, a set as a list, numpy's numbers and a UUID."""
    given = {
        "day": date(2024, 1, 31),
        "at": datetime(2024, 1, 31, 10, tzinfo=UTC),
        "few": {"x"},
        "n": np.int64(3),
        "mean": np.float32(0.5),
        "of": UUID(int=7),
        "none": None,
    }
    empty.add_texts(["north"], [given], ids=["1"])
    assert empty.get_by_ids(["1"])[0].metadata == {
        "day": "2024-01-31",
        "at": "2024-01-31T10:00:00+00:00",
        "few": ["x"],
        "n": 3,
        "mean": 0.5,
        "of": "00000000-0000-0000-0000-000000000007",
        "none": None,
    }
    assert ids(empty.similarity_search("north", filter={"day": {"$lte": "2024-01-31"}, "n": 3})) == ["1"]


def test_a_later_value_of_another_kind_is_stored_and_not_filtered_on(store) -> None:
    """Force was a number first; `strong` is kept, and the others are found as before."""
    store.add_documents([Document(id="w", page_content="west wind", metadata={"force": "strong", "kind": 1.5})])
    assert store.get_by_ids(["w"])[0].metadata == {"force": "strong", "kind": 1.5}
    assert set(ids(store.similarity_search("wind", filter={"force": {"$gt": 1}}))) == {"n", "ne", "s"}


def test_a_key_that_comes_later_is_filtered_on_by_every_open_store(store, engine_url) -> None:
    """Another store that searched before does not know the new key, and looks again."""
    with HybridVectorStore(store._index.name, Compass(), url=engine_url, settings=Settings()) as other:
        assert len(other.similarity_search("wind", k=9)) == 4
        store.add_documents([Document(id="w", page_content="west wind", metadata={"season": "autumn"})])
        assert ids(store.similarity_search("wind", filter={"season": "autumn"})) == ["w"]
        assert ids(other.similarity_search("wind", filter={"season": "autumn"})) == ["w"]
        store.add_documents([Document(id="x", page_content="no wind", metadata={"year": 2024})])
        assert ids(asyncio.run(other.asimilarity_search("wind", filter={"year": 2024}))) == ["x"]


def test_options_of_a_search_are_passed_on(store) -> None:
    """By vectors alone the nearest to north comes first; by words only those with the word."""
    assert ids(store.similarity_search("north calm", k=4, legs=["dense"]))[:2] == ["n", "ne"]
    assert ids(store.similarity_search("north calm", k=4, legs=["bm25"])) != []
    assert set(ids(store.similarity_search("calm", k=4, legs=["bm25"]))) == {"e"}


def test_relevance_is_the_cosine_whatever_leg_found_it(store) -> None:
    """Northeast is 45 degrees from north, cosine .7071; east is 90 degrees from it: 0; south is opposite: 0, not -1."""
    scores = {one.id: score for one, score in store.similarity_search_with_relevance_scores("north wind", k=4)}
    assert scores == pytest.approx({"n": 1.0, "ne": 0.7071, "e": 0.0, "s": 0.0}, abs=1e-3)
    by_words = store.similarity_search_with_relevance_scores("north wind", k=4, legs=["bm25", "dense"], window=4)
    assert {one.id for one, _ in by_words} == {"n", "ne", "e", "s"}
    kept = store.similarity_search_with_relevance_scores("north wind", k=4, score_threshold=0.5)
    assert {one.id for one, _ in kept} == {"n", "ne"}


def test_relevance_of_a_hit_that_only_words_found_is_that_of_its_vector(store) -> None:
    """A window of one: the dense leg ranks north alone, and calm east is found by its word; its cosine is 0."""
    found = store.similarity_search_with_relevance_scores("northeast calm", k=2, window=2, candidates=2)
    assert {one.id: score for one, score in found} == pytest.approx({"ne": 1.0, "e": 0.7071}, abs=1e-3)


async def test_scores_awaited_are_the_same(store) -> None:
    """One procedure under both."""
    assert await store.asimilarity_search_with_score("north wind", k=3) == store.similarity_search_with_score(
        "north wind", k=3
    )
    awaited = await store.asimilarity_search_with_relevance_scores("north wind", k=3)
    assert awaited == store.similarity_search_with_relevance_scores("north wind", k=3)


def test_variety_takes_another_direction_before_the_second_best(store) -> None:
    """Of north's neighbours northeast is the nearest; with unlikeness alone the second is the opposite of the first."""
    vector = Compass().embed_query("north")
    assert ids(store.similarity_search_by_vector(vector, k=2)) == ["n", "ne"]
    assert ids(store.max_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=1.0)) == ["n", "ne"]
    assert ids(store.max_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=0.0)) == ["n", "s"]
    assert ids(store.max_marginal_relevance_search_by_vector(vector, k=2, fetch_k=2, lambda_mult=0.0)) == ["n", "ne"]
    assert ids(store.max_marginal_relevance_search("north wind", k=2, lambda_mult=0.0)) == ["n", "s"]


async def test_variety_awaited_is_the_same(store) -> None:
    """By text and by vector."""
    vector = Compass().embed_query("north")
    assert ids(await store.asimilarity_search_by_vector(vector, k=2)) == ["n", "ne"]
    assert ids(await store.amax_marginal_relevance_search_by_vector(vector, k=2, lambda_mult=0.0)) == ["n", "s"]
    assert ids(await store.amax_marginal_relevance_search("north wind", k=2, lambda_mult=0.0)) == ["n", "s"]


def test_a_vector_of_another_dimension_is_refused(store) -> None:
    """Three numbers for an index of two."""
    with pytest.raises(QueryError, match="3"):
        store.similarity_search_by_vector([1.0, 2.0, 3.0])


def test_an_index_knows_whose_embeddings_it_holds(store, engine_url) -> None:
    """Another model of the same dimension is refused, with both names."""
    with HybridVectorStore(store._index.name, Compass("gyro"), url=engine_url, settings=Settings()) as other:
        for attempt in (lambda: other.similarity_search("north"), lambda: other.add_texts(["north"])):
            with pytest.raises(IndexMismatchError, match=r"Compass needle.*Compass gyro"):
                attempt()


def test_texts_make_a_store_in_one_call(engine_url, index_name) -> None:
    """`from_texts` and `from_documents`, which need the name of an index."""
    with HybridVectorStore.from_texts(
        ["north", "south"], Compass(), [{"n": 1}, {"n": 2}], ids=["a", "b"], index=index_name(), url=engine_url
    ) as store:
        assert ids(store.similarity_search("south", k=1)) == ["b"]
    with HybridVectorStore.from_documents(WINDS, Compass(), index=index_name(), url=engine_url) as store:
        assert ids(store.similarity_search("east calm", k=1)) == ["e"]
    with pytest.raises(InputError, match="no index is named"):
        HybridVectorStore.from_texts(["north"], Compass())


async def test_texts_make_a_store_awaited(engine_url, index_name) -> None:
    """The same for a program with an event loop."""
    store = await HybridVectorStore.afrom_texts(["north", "south"], Compass(), index=index_name(), url=engine_url)
    with store:
        assert [one.page_content for one in await store.asimilarity_search("south", k=1)] == ["south"]


def test_a_store_is_searched_from_one_loop_after_another(store) -> None:
    """Each `asyncio.run` has a loop of its own, which ends before the store does."""
    for _ in range(3):
        assert ids(asyncio.run(store.asimilarity_search("north cold", k=1))) == ["n"]


async def test_many_searches_awaited_at_once_share_one_thread(store) -> None:
    """Fifty at a time are on one event loop: no thread for each."""
    await store.asimilarity_search("north cold", k=1)
    before = threading.active_count()
    seen = []

    async def one() -> list[str]:
        found = ids(await store.asimilarity_search("north cold", k=1))
        seen.append(threading.active_count())
        return found

    assert await asyncio.gather(*(one() for _ in range(50))) == [["n"]] * 50
    # The embeddings' own default is a thread of the loop's executor, of which there are a few.
    assert max(seen) <= before + 40


async def test_a_search_that_is_cancelled_leaves_the_store_as_it_was(store) -> None:
    """Who gives up gets the cancellation, and the next search its answer."""
    task = asyncio.create_task(store.asimilarity_search("north cold", k=1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ids(await store.asimilarity_search("north cold", k=1)) == ["n"]


def test_threads_add_and_search_at_once(empty) -> None:
    """Eight threads add a document with a key of its own each, and find it."""

    def add(number: int) -> list[str]:
        empty.add_texts([f"north {number}"], [{f"key{number}": number}], ids=[str(number)])
        return ids(empty.similarity_search("north", k=9, filter={f"key{number}": number}))

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(add, range(8))] == [[str(number)] for number in range(8)]


def test_an_index_that_is_deleted_under_a_store_is_empty_and_made_anew(store, connection) -> None:
    """The store holds nothing then, and takes documents again."""
    assert len(store.similarity_search("wind", k=9)) == 4
    connection.send(Request.json("DELETE", f"/{store._index.name}"))
    assert store.similarity_search("wind", k=9) == []
    assert store.get_by_ids(["n"]) == []
    store.add_documents(WINDS[:1])
    assert ids(store.similarity_search("wind", k=9)) == ["n"]


def test_one_id_twice_in_one_call_is_the_later(empty) -> None:
    """As if they had come one after the other."""
    assert empty.add_texts(["north", "south"], ids=["1", "1"]) == ["1", "1"]
    assert [one.page_content for one in empty.similarity_search("north", k=9)] == ["south"]


def test_whole_texts_come_back_with_their_spaces_and_lines(empty) -> None:
    """What embeddings were given is one passage, whatever its length."""
    text = "  north\n\n" + "wind blows. " * 3_000 + "\n"
    empty.add_texts([text], ids=["long"])
    assert empty.get_by_ids(["long"])[0].page_content == text
    assert empty.similarity_search("north")[0].page_content == text


def test_bad_input_is_refused_before_anything_is_sent(empty) -> None:
    """Each says what to give, and the store is still empty."""
    with pytest.raises(RecordError, match="the text is empty"):
        empty.add_texts(["  "], ids=["1"])
    with pytest.raises(InputError, match="1 ids for 2 documents"):
        empty.add_documents(WINDS[:2], ids=["1"])
    with pytest.raises(InputError, match="add_documents has no bulk_size"):
        empty.add_documents(WINDS, bulk_size=3)
    with pytest.raises(InputError, match="batch_size is 0"):
        empty.add_documents(WINDS, batch_size=0)
    with pytest.raises(ValueError, match="no ids"):
        empty.delete()
    with pytest.raises(InputError, match="delete has no delete_all"):
        empty.delete(["1"], delete_all=True)
    with pytest.raises(InputError, match="embedding and encoder are both given"):
        HybridVectorStore("x", Compass(), encoder=GeneratedEncoder())
    assert empty.similarity_search("north") == []


def test_embeddings_are_asked_in_batches_in_order(empty) -> None:
    """Five texts in batches of two keep their vectors."""
    words = ["north", "east", "south", "northeast", "southeast"]
    empty.add_texts(words, ids=words, batch_size=2)
    assert [ids(empty.similarity_search_by_vector(Compass().embed_query(word), k=1)) for word in words] == [
        [word] for word in words
    ]


class Broken(Compass):
    """Embeddings that fail once they are told to."""

    broken = False

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.broken:
            raise RuntimeError("the quota is used up")
        return super().embed_documents(texts)


def test_words_find_what_is_left_when_the_embeddings_fail(engine_url, index_name, caplog) -> None:
    """BM25 answers alone, synchronously and awaited, and the log says why."""
    embeddings = Broken()
    with HybridVectorStore(index_name(), embeddings, url=engine_url, settings=Settings()) as store:
        store.add_documents(WINDS)
        embeddings.broken = True
        with caplog.at_level(logging.WARNING):
            assert ids(store.similarity_search("calm", k=4)) == ["e"]
        assert "the quota is used up" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert ids(asyncio.run(store.asimilarity_search("calm", k=4))) == ["e"]
        assert "the quota is used up" in caplog.text
        with pytest.raises(ModelError, match="the encoder failed: RuntimeError: the quota is used up"):
            store.add_texts(["north again"])
        assert len(store.get_by_ids([one.id for one in WINDS])) == 4


def test_the_indexing_api_writes_what_changed_and_removes_what_is_gone(store) -> None:
    """LangChain's `index`, with its record manager: one is new, one changed, two are gone, one is as it was."""
    records = InMemoryRecordManager("winds")
    records.create_schema()
    options = {"cleanup": "full", "key_encoder": "sha256"}
    texts = [Document(page_content=f"{word} wind") for word in ("north", "east", "south")]
    first = index(texts, records, store, **options)
    assert (first["num_added"], first["num_deleted"]) == (3, 0)
    second = index([texts[0], Document(page_content="northeast wind")], records, store, **options)
    assert (second["num_added"], second["num_skipped"], second["num_deleted"]) == (1, 1, 2)
    left = store.similarity_search("wind", k=9, filter={"force": {"$exists": False}})
    assert {one.page_content for one in left} == {"north wind", "northeast wind"}


def test_an_index_of_the_package_is_searched_with_its_own_models(connection, engine_url, index_name) -> None:
    """Long documents show whole or as the passage that was found; texts of eight words are a passage here."""
    name, encoder = index_name(), GeneratedEncoder()
    text = "one two three four five six seven eight. nine ten eleven twelve thirteen fourteen fifteen sixteen."
    index_documents([OwnDocument("d", text, {"n": 1})], name, connection, encoder, Settings())
    for content, shown in {"document": text, "passage": text.partition(". ")[2]}.items():
        with HybridVectorStore(name, encoder=encoder, url=engine_url, settings=Settings(), content=content) as store:
            assert store.similarity_search("fourteen") == [Document(id="d", page_content=shown, metadata={"n": 1})]
            assert asyncio.run(store.asimilarity_search("fourteen"))[0].page_content == shown
            assert store.embeddings is None
