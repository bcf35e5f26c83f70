"""Haystack's retriever: legs, fusion, reranking and filters in one component, in pipelines saved and loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from haystack import Pipeline, component
from haystack.dataclasses import Document, SparseEmbedding
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
from haystack.errors import FilterError
from haystack.utils import Secret
from loading import GeneratedEncoder

from hybrid_search import Document as Ours
from hybrid_search import DocumentClient, HybridSearchError, Settings
from hybrid_search.errors import IndexMismatchError, QueryError, SettingsError
from hybrid_search.frameworks import FrameworkError, metadata
from hybrid_search.frameworks import haystack as adapter
from hybrid_search.frameworks.haystack import HybridDocumentStore, HybridRetriever
from hybrid_search.search import Fusion, Reranking
from hybrid_search.settings import DenseSettings, DocumentSettings, EngineSettings, SparseSettings

ALLOWED = ["hybrid_search.frameworks.haystack", __name__]
TEAS = [
    Document(id="sencha", content="Sencha is a green tea.", meta={"year": 2020, "from": "Japan"}, embedding=[1.0, 0.0]),
    Document(id="assam", content="Assam is a black tea.", meta={"year": 2022, "from": "India"}, embedding=[0.0, 1.0]),
    Document(id="mocha", content="Mocha is a coffee.", meta={"year": 2021, "from": "Yemen"}, embedding=[0.6, 0.8]),
    Document(id="cup", content="A cup without a vector.", meta={"year": 2019}),
]


@pytest.fixture
def store(engine_url: str, index_name: Callable[[], str]) -> Iterator[HybridDocumentStore]:
    """Three documents with embeddings of two components, and one without."""
    made = HybridDocumentStore(index_name(), url=engine_url, embedding_dim=2)
    made.write_documents(TEAS)
    yield made
    made.close()


def ids(found: dict[str, list[Document]]) -> list[str]:
    return [document.id for document in found["documents"]]


def test_each_leg_finds_what_it_should(store: HybridDocumentStore) -> None:
    """Words find what holds them, a vector its neighbours, and both together what either finds."""
    by_words = HybridRetriever(store, legs=["bm25"]).run("green cup")
    by_vector = HybridRetriever(store, legs=["dense"], top_k=2).run("anything", query_embedding=[1.0, 0.1])
    both = HybridRetriever(store, fusion="rrf").run("black tea", query_embedding=[1.0, 0.0])
    assert sorted(ids(by_words)) == ["cup", "sencha"]
    assert ids(by_vector) == ["sencha", "mocha"]
    assert sorted(ids(both)) == ["assam", "mocha", "sencha"]


def test_documents_come_with_scores_and_reasons(store: HybridDocumentStore) -> None:
    """RRF of rank 1 in one leg is 1 / (60 + 1); the document is as it was written, but for its embedding."""
    found = HybridRetriever(store, fusion="rrf", top_k=1).run("nothing has it", query_embedding=[0.0, 1.0])
    [document], [reasons] = found["documents"], found["provenance"]
    assert document.score == pytest.approx(1 / 61)
    assert (document.content, document.meta, document.embedding) == (TEAS[1].content, TEAS[1].meta, None)
    assert (reasons["id"], reasons["rank"], reasons["legs"]["dense"]["rank"]) == ("assam", 1, 1)
    assert found["warnings"] == []
    [whole] = HybridRetriever(store, top_k=1, return_embedding=True).run("x", query_embedding=[0.0, 1.0])["documents"]
    assert whole.embedding == [0.0, 1.0]


def test_filters_of_a_run_replace_or_join_those_of_the_retriever(store: HybridDocumentStore) -> None:
    """As Haystack's policies say."""
    late = {"field": "meta.year", "operator": ">=", "value": 2021}
    asian = {"field": "meta.from", "operator": "in", "value": ["Japan", "India"]}
    replacing = HybridRetriever(store, filters=late)
    merging = HybridRetriever(store, filters=late, filter_policy=FilterPolicy.MERGE)
    query = {"query": "tea coffee cup", "query_embedding": [1.0, 1.0]}
    assert sorted(ids(replacing.run(**query))) == ["assam", "mocha"]
    assert sorted(ids(replacing.run(**query, filters=asian))) == ["assam", "sencha"]
    assert sorted(ids(merging.run(**query, filters=asian))) == ["assam"]
    assert len(ids(replacing.run(**query, filters={}))) == 2
    with pytest.raises(FilterError, match="'around'"):
        replacing.run(**query, filters={"field": "meta.year", "operator": "around", "value": 1})


def test_sparse_embeddings_are_a_leg(engine_url: str, index_name: Callable[[], str]) -> None:
    """Their dot products rank: 2 x .5 is more than 1 x .9."""
    with_terms = [
        Document(id="a", content="a", sparse_embedding=SparseEmbedding([3, 7], [0.5, 0.1])),
        Document(id="b", content="b", sparse_embedding=SparseEmbedding([9], [0.9])),
        Document(id="c", content="c", sparse_embedding=SparseEmbedding([1], [9.0])),
    ]
    store = HybridDocumentStore(index_name(), url=engine_url, sparse_embeddings=True)
    store.write_documents(with_terms)
    retriever = HybridRetriever(store, legs=["sparse"])
    found = retriever.run("x", query_sparse_embedding=SparseEmbedding([3, 9], [2.0, 1.0]))
    assert ids(found) == ["a", "b"]
    store.close()


class LastFirst:
    """A reranker for which the longest passage is the best."""

    name = "last-first"

    def score(self, query: str, passages: Sequence[str]) -> np.ndarray:
        del query
        return np.array([len(passage) for passage in passages], np.float32)


def test_models_of_the_settings_encode_and_rerank(engine_url: str, index_name: Callable[[], str]) -> None:
    """Without embeddings of their own, texts are encoded here; what has no text is not found by a vector of nothing."""
    store = HybridDocumentStore(index_name(), url=engine_url, encoder=GeneratedEncoder(), reranker=LastFirst())
    long = Document(id="long", content="one two three four five six seven eight nine ten eleven", meta={"k": 1})
    store.write_documents([Document(id="short", content="one"), long, Document(id="blob", meta={"k": 2})])
    plain = HybridRetriever(store, rerank=False).run("one")
    reranked = HybridRetriever(store, rerank={"window": 10, "weight": 1.0}).run("one")
    assert sorted(ids(plain)) == ["long", "short"]
    assert ids(reranked) == ["long", "short"]
    assert reranked["documents"][0].content == long.content
    [piece] = HybridRetriever(store, legs=["bm25"], passages=True, rerank=False).run("eleven")["documents"]
    assert piece.content is not None
    assert piece.content.endswith("eleven")
    assert len(piece.content) < len(long.content or "")
    assert (piece.id, piece.meta["source_id"], piece.meta["k"]) == ("long#1", "long", 1)
    assert (long.content or "")[piece.meta["split_idx_start"] :] == piece.content
    with pytest.raises(SettingsError, match="encoder was given as an object"):
        store.to_dict()
    store.close()


@component
class Constant:
    """Stands for an embedder: one vector for every text."""

    def __init__(self, embedding: list[float]) -> None:
        self.embedding = embedding

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        del text
        return {"embedding": self.embedding}


def test_a_pipeline_is_saved_as_yaml_and_loaded_again(store: HybridDocumentStore) -> None:
    """It finds the same and says the same of itself: 1 / 62 + 2 / 63 of two legs is more than 2 / 62 of one."""
    late = {"field": "meta.year", "operator": ">", "value": 2019}
    options = {"fusion": Fusion("rrf", {"bm25": 1.0, "dense": 2.0}), "search_options": {"window": 20}}
    pipeline = Pipeline()
    pipeline.add_component("embedder", Constant([1.0, 0.0]))
    pipeline.add_component("retriever", HybridRetriever(store, top_k=2, filters=late, **options))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    saved = pipeline.dumps()
    loaded = Pipeline.loads(saved, allowed_modules=ALLOWED)
    asked = {"embedder": {"text": "green tea"}, "retriever": {"query": "green tea"}}
    first, second = pipeline.run(asked), loaded.run(asked)
    assert ids(first["retriever"]) == ["sencha", "assam"]
    assert second == first
    assert loaded.dumps() == saved
    loaded.get_component("retriever").document_store.close()


async def test_pipelines_run_asynchronously(store: HybridDocumentStore) -> None:
    """The same answer, with the event loop free meanwhile."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", HybridRetriever(store, top_k=1, legs=["bm25"]))
    found = await pipeline.run_async({"retriever": {"query": "coffee"}})
    assert ids(found["retriever"]) == ["mocha"]


def test_secrets_stay_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a pipeline has the names of variables; what would show a secret is refused."""
    monkeypatch.setenv("TEA_KEY", "very-secret")
    store = HybridDocumentStore("teas", url="http://127.0.0.1:9", api_key=Secret.from_env_var("TEA_KEY"))
    told = store.to_dict()
    assert told["init_parameters"]["api_key"] == {"type": "env_var", "env_vars": ["TEA_KEY"], "strict": True}
    assert "very-secret" not in str(told)
    assert HybridDocumentStore.from_dict(told).to_dict() == told
    with pytest.raises(ValueError, match="Cannot serialize token"):
        HybridDocumentStore("teas", password=Secret.from_token("very-secret"), user="me").to_dict()
    with pytest.raises(SettingsError, match=r"the settings hold a api_key.*Secret\.from_env_var"):
        HybridDocumentStore("teas", settings=Settings(engine=EngineSettings(api_key="very-secret"))).to_dict()
    for given in ({"url": "http://me:pw@x:9200"}, {"settings": {"engine": {"url": "http://me:pw@x:9200"}}}):
        with pytest.raises(SettingsError, match="the url holds a login"):
            HybridDocumentStore("teas", **given).to_dict()


def test_settings_are_written_as_what_differs() -> None:
    """As an object or as tables, they come back as the same settings."""
    object_ = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="idf"))
    tables = {"dense": {"model": "none"}, "sparse": {"model": "idf"}}
    told = [HybridDocumentStore("teas", settings=given).to_dict() for given in (object_, tables)]
    assert told[0] == told[1]
    assert told[0]["init_parameters"]["settings"] == tables
    with pytest.raises(SettingsError, match=r"settings cannot be read.*modle"):
        HybridDocumentStore("teas", settings={"dense": {"modle": "x"}})


def test_an_index_that_is_not_there_holds_nothing(engine_url: str, index_name: Callable[[], str]) -> None:
    """It is searched, described and emptied without an error, and made by the first document."""
    store = HybridDocumentStore(index_name(), url=engine_url, embedding_dim=2)
    retriever = HybridRetriever(store)
    retriever.warm_up()
    assert retriever.run("tea") == {"documents": [], "provenance": [], "warnings": []}
    store.delete_all_documents(recreate_index=True)
    assert store.delete_by_filter({"field": "k", "operator": "==", "value": 1}) == 0
    store.write_documents(TEAS[:1])
    assert ids(retriever.run("tea", query_embedding=[1.0, 0.0])) == ["sencha"]
    store.close()


def test_an_index_of_another_layout_is_searched_and_not_written(connection, engine_url, index_name) -> None:
    """What hybrid-search loaded itself is found, filtered on by its declared fields, and left as it is."""
    name = index_name()
    settings = Settings(documents=DocumentSettings(keyword=("brand",), number=("price",)))
    with DocumentClient(name, settings=settings, encoder=GeneratedEncoder(), connection=connection) as client:
        lamp = Ours("lamp", "A desk lamp", {"brand": "Lumo", "price": 20})
        client.put([lamp, Ours("pen", "A pen", {"brand": "Ink"})])
    store = HybridDocumentStore(name, url=engine_url, encoder=GeneratedEncoder())
    retriever = HybridRetriever(store, legs=["bm25"])
    [found] = retriever.run("desk pen", filters={"field": "price", "operator": "<", "value": 30})["documents"]
    assert (found.id, found.content, found.meta) == (lamp.id, lamp.text, lamp.fields)
    assert [one.id for one in store.filter_documents({"field": "brand", "operator": "==", "value": "Ink"})] == ["pen"]
    with pytest.raises(FilterError, match=r"cannot filter on 'colour'.*It can filter on: brand, price"):
        retriever.run("desk", filters={"field": "colour", "operator": "==", "value": "red"})
    lamps = {"field": "brand", "operator": "==", "value": "Lumo"}
    uses = [
        lambda: store.write_documents(TEAS),
        lambda: store.update_by_filter(lamps, {"brand": "x"}),
        lambda: store.delete_by_filter(lamps),
        lambda: store.delete_documents(["lamp"]),
        store.delete_all_documents,
        lambda: store.delete_all_documents(recreate_index=True),
        store.get_metadata_fields_info,
    ]
    for use in uses:
        with pytest.raises(IndexMismatchError, match=r"another layout.*haystack_terms.*Write into a new index"):
            use()
    assert store.count_documents() == 2
    store.close()


def test_embeddings_of_another_length_are_an_error(store: HybridDocumentStore) -> None:
    """Of a query as of an index that was made for others."""
    with pytest.raises(QueryError, match="dense"):
        HybridRetriever(store).run("tea", query_embedding=[1.0, 0.0, 0.0])
    other = HybridDocumentStore(store.index, url=store.url, embedding_dim=3)
    with pytest.raises(IndexMismatchError, match="dimension"):
        other.write_documents([Document(content="x", embedding=[1.0, 2.0, 3.0])])
    other.close()


def test_an_index_says_itself_which_vectors_it_takes(store: HybridDocumentStore) -> None:
    """A store that is opened without ``embedding_dim`` writes and searches the embeddings all the same."""
    other = HybridDocumentStore(store.index, url=store.url)
    other.write_documents([Document(id="new", content="x", embedding=[-1.0, 0.0])])
    assert ids(HybridRetriever(other, legs=["dense"], top_k=1).run("y", query_embedding=[-1.0, 0.1])) == ["new"]
    other.close()


def test_wrong_options_are_refused_when_the_retriever_is_made(store: HybridDocumentStore) -> None:
    """Not when the first query comes."""
    with pytest.raises(QueryError, match="Did you mean window"):
        HybridRetriever(store, search_options={"windwo": 3})
    with pytest.raises(QueryError, match="rerank window"):
        HybridRetriever(store, rerank={"window": 0})
    with pytest.raises(TypeError, match="give a HybridDocumentStore"):
        HybridRetriever("teas")
    assert HybridRetriever(store, rerank=Reranking(5)).to_dict()["init_parameters"]["rerank"]["window"] == 5


def test_metadata_are_described_as_they_are(engine_url: str, index_name: Callable[[], str]) -> None:
    """Fields with their types, lists by their items, keys of objects, long texts whole."""
    store = HybridDocumentStore(index_name(), url=engine_url, embedding_dim=2)
    long = "long " * 1_000
    metas = [
        {"tags": ["b", "a"], "who": {"name": "Ann", "age": 7}, "n": 1},
        {"tags": ["a"], "n": 2.5, "t": long},
        {"n": 2**60},
    ]
    store.write_documents([Document(id=str(place), content="x y " * 20, meta=meta) for place, meta in enumerate(metas)])
    kinds = {name: info["type"] for name, info in store.get_metadata_fields_info().items()}
    assert kinds == {"tags": "keyword", "who.name": "keyword", "who.age": "int", "n": "float", "t": "keyword"}
    assert store.get_metadata_field_unique_values("tags") == (["a", "b"], 2)
    assert store.get_metadata_field_unique_values("t") == ([long], 1)
    assert store.get_metadata_field_min_max("n") == {"min": 1, "max": 2**60}
    assert store.get_metadata_field_min_max("who.name") == {"min": "Ann", "max": "Ann"}
    above = {"field": "n", "operator": ">", "value": 1}
    assert store.count_unique_metadata_by_filter(above, ["n", "tags"]) == {"n": 2, "tags": 1}
    store.close()


def test_many_values_are_listed_page_by_page(store: HybridDocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine gives so many at once; the next begin behind them, up and down."""
    monkeypatch.setattr("hybrid_search.documents.values.MOST_AT_ONCE", 2)
    numbered = [Document(id=f"n{n}", content="x", meta={"k": f"v{n}", "l": f"w{n}"}) for n in range(7)]
    store.write_documents(numbered)
    assert store.get_metadata_field_unique_values("k", from_=4, size=9) == (["v4", "v5", "v6"], 7)
    with DocumentClient(store.index, url=store.url) as client:
        held = client.values("haystack_terms", beginning="=meta.k", descending=True, limit=5)
        assert [(value[-2:], count) for value, count in held] == [(f"v{n}", 1) for n in (6, 5, 4, 3, 2)]
        with pytest.raises(QueryError, match="no keyword field 'k'"):
            client.values("k")


def test_updates_keep_the_rest_of_a_document(store: HybridDocumentStore) -> None:
    """Its place, its embedding and its other metadata; a filter must be given."""
    recent = {"field": "year", "operator": ">=", "value": 2021}
    assert store.update_by_filter(recent, {"new": True, "year": 0}) == 2
    found = {one.id: one for one in store.filter_documents()}
    assert [*found] == [one.id for one in TEAS]
    assert (found["assam"].meta, found["assam"].embedding) == ({"year": 0, "from": "India", "new": True}, [0.0, 1.0])
    for change in (store.delete_by_filter, lambda filters: store.update_by_filter(filters, {})):
        with pytest.raises(FilterError, match="needs a filter"):
            change({})
    with pytest.raises(TypeError, match="meta is a list"):
        store.update_by_filter(recent, [])


def test_duplicates_among_the_documents_themselves(store: HybridDocumentStore) -> None:
    """SKIP keeps the first, OVERWRITE the last, and counts as many as were given."""
    pair = [Document(id="new", content="one"), Document(id="new", content="two")]
    assert store.write_documents(pair, DuplicatePolicy.SKIP) == 1
    assert store.filter_documents({"field": "id", "operator": "==", "value": "new"}) == [pair[0]]
    assert store.write_documents(pair, DuplicatePolicy.OVERWRITE) == 2
    assert store.filter_documents({"field": "id", "operator": "==", "value": "new"}) == [pair[1]]


def test_a_haystack_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its version, the one that is needed, and the command."""
    monkeypatch.setattr(metadata, "version", lambda _: "2.9.1")
    with pytest.raises(FrameworkError, match=r"haystack-ai 2\.9\.1 .*3\.0 or newer.*pip install.*\[haystack\]"):
        importlib.reload(adapter)
    assert issubclass(FrameworkError, HybridSearchError)
