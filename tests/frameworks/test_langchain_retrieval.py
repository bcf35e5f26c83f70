"""LangChain's retriever, document index and compressor: what they say of each document, and within a chain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda
from loading import GeneratedEncoder, documents
from pydantic import ValidationError

from hybrid_search.errors import ModelError, QueryError, SettingsError
from hybrid_search.frameworks.langchain import HybridDocumentIndex, HybridReranker, HybridRetriever, HybridVectorStore
from hybrid_search.ingest import index_documents
from hybrid_search.settings import DocumentSettings, Settings

TEXTS = {"a": "bread keeps in a paper bag", "b": "bread goes stale in the fridge", "c": "tea is a leaf"}


@pytest.fixture
def store(engine_url, index_name):
    """Three texts."""
    with HybridVectorStore(
        index_name(), DeterministicFakeEmbedding(size=6), url=engine_url, settings=Settings()
    ) as filled:
        metadata = [{"place": place} for place in range(3)]
        filled.add_texts([*TEXTS.values()], metadata, ids=[*TEXTS])
        yield filled


class Longest:
    """Prefers long texts."""

    name = "longest"

    def score(self, _query: str, passages: list[str]) -> np.ndarray:
        return np.array([len(passage) for passage in passages], np.float32)


def test_a_document_says_which_leg_found_it_and_where(store) -> None:
    """`fridge` is in one text; the scores are those of the hit, and all of it is JSON."""
    [found] = HybridRetriever(store=store, k=1).invoke("fridge", legs=["bm25"])
    told = found.metadata.pop("hybrid_search")
    assert found == Document(id="b", page_content=TEXTS["b"], metadata={"place": 1})
    assert (told["rank"], told["passage_id"], told["start"], told["end"]) == (1, "b#0", 0, len(TEXTS["b"]))
    assert set(told["legs"]) == {"bm25"}
    assert told["legs"]["bm25"]["rank"] == 1
    assert told["legs"]["bm25"]["contribution"] == told["score"] == told["fused"]
    assert told["degraded"] == {}
    assert json.loads(json.dumps(told)) == told


async def test_what_is_awaited_is_the_same(store) -> None:
    """Documents, scores and reasons."""
    retriever = HybridRetriever(store=store, k=3)
    assert await retriever.ainvoke("bread") == retriever.invoke("bread")


def test_options_of_the_call_come_before_those_of_the_retriever(store) -> None:
    """k, a filter and the legs, each by constructor and by call."""
    retriever = HybridRetriever(store=store, k=3, search_kwargs={"filter": {"place": {"$lt": 2}}, "legs": ["dense"]})
    assert {one.id for one in retriever.invoke("bread")} == {"a", "b"}
    assert {one.id for one in retriever.invoke("bread", filter="place=2")} == {"c"}
    assert [one.id for one in retriever.invoke("fridge", legs=["bm25"])] == ["b"]
    assert len(retriever.invoke("bread", k=1)) == 1
    assert [one.id for one in HybridRetriever(store=store, search_kwargs={"k": 1}).invoke("fridge")] == ["b"]


def test_bad_options_are_named(store) -> None:
    """By the constructor and by the search."""
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        HybridRetriever(store=store, k=0)
    with pytest.raises(QueryError, match=r"unknown option 'top_k'.*Did you mean"):
        HybridRetriever(store=store).invoke("bread", top_k=3)


def test_an_index_of_the_package_is_retrieved_from_by_its_name(connection, engine_url, index_name) -> None:
    """Passages of 8 words: the one that was found is shown, or the whole document."""
    name, encoder = index_name(), GeneratedEncoder()
    settings = Settings(documents=DocumentSettings(number=("place",)))
    index_documents(documents(2, words=16), name, connection, encoder, settings)
    options = {"encoder": encoder, "url": engine_url, "settings": Settings()}
    retriever = HybridRetriever.from_index(name, k=1, search_kwargs={"legs": ["bm25"]}, **options)
    [found] = retriever.invoke("w1x12")
    told = found.metadata["hybrid_search"]
    assert "w1x12" in found.page_content
    assert found.page_content == " ".join(f"w1x{n}" for n in range(16))[told["start"] : told["end"]]
    assert told["start"] > 0
    retriever.store.close()
    whole = HybridRetriever.from_index(name, content="document", search_kwargs={"legs": ["bm25"]}, **options)
    assert whole.invoke("w1x12", k=1)[0].page_content == " ".join(f"w1x{n}" for n in range(16))
    whole.store.close()


def test_nothing_is_retrieved_where_there_is_no_index(engine_url, index_name) -> None:
    """As from a store that is empty."""
    retriever = HybridRetriever.from_index(index_name(), DeterministicFakeEmbedding(size=6), url=engine_url)
    assert retriever.invoke("bread") == []
    retriever.store.close()


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_a_document_index_retrieves_what_was_put(store) -> None:
    """It is a retriever too; what it deletes it names, and what was not there it does not."""
    index = HybridDocumentIndex(store=store, k=1, search_kwargs={"legs": ["bm25"]})
    assert index.upsert([Document(id="d", page_content="coffee is a bean")]) == {"succeeded": ["d"], "failed": []}
    assert [one.id for one in index.invoke("coffee")] == ["d"]
    assert index.delete(["d", "nowhere"]) == {
        "succeeded": ["d"],
        "failed": [],
        "num_deleted": 1,
        "num_failed": 0,
    }
    assert index.get(["d", "a"]) == [Document(id="a", page_content=TEXTS["a"], metadata={"place": 0})]


def test_a_reranker_compresses_what_a_retriever_found(store) -> None:
    """The longest of the three first, with its score; a chain of both is one runnable."""
    reranker = HybridReranker(reranker=Longest(), top_n=2)
    chain = RunnableLambda(
        lambda query: reranker.compress_documents(HybridRetriever(store=store, k=3).invoke(query), query)
    )
    found = chain.invoke("bread")
    assert [(one.id, one.metadata["relevance_score"]) for one in found] == [("b", 30.0), ("a", 26.0)]
    assert "hybrid_search" in found[0].metadata
    assert reranker.compress_documents([], "bread") == []


async def test_documents_are_not_changed_by_reranking() -> None:
    """The list that was given is as it was; equals keep their order."""
    given = [Document(page_content=text) for text in ("one", "two", "three", "six")]
    found = await HybridReranker(reranker=Longest()).acompress_documents(given, "q")
    assert [one.page_content for one in found] == ["three", "one", "two", "six"]
    assert all(one.metadata == {} for one in given)


def test_a_reranker_that_fails_or_is_none_is_said() -> None:
    """Any error of it is the package's, with its cause; `none` names no reranker."""

    class Failing(Longest):
        def score(self, _query: str, _passages: list[str]) -> np.ndarray:
            raise RuntimeError("out of memory")

    with pytest.raises(ModelError, match="the reranker failed: RuntimeError: out of memory"):
        HybridReranker(reranker=Failing()).compress_documents([Document(page_content="x")], "q")
    with pytest.raises(SettingsError, match="no reranker"):
        HybridReranker.of("none")
