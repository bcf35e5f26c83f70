"""LlamaIndex's vector store and retriever, on both engines.

LlamaIndex ships no suite. What is asked here is what the tests of its own stores ask, in words of our own; the models
were, of its repository's ``llama-index-integrations/vector_stores``:

- ``llama-index-vector-stores-opensearch/tests``: the class; add, query, delete by the document (sync and async);
  ``delete_nodes`` by nothing, by ids, by filters, by both; ``clear``; each filter operator over nodes that match, that
  do not, and that lack the key; nested conditions; queries by ids and by documents.
- ``llama-index-vector-stores-qdrant/tests``: ``get_nodes`` with embeddings, and what is left after a deletion; ``in``
  and ``nin`` over numbers and texts of one key; the conditions and, or, not; hybrid queries with a ``k`` of their own.
"""

from __future__ import annotations

import numpy as np
import pytest
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import ImageNode, IndexNode, NodeRelationship, QueryBundle, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from hybrid_search import Document, DocumentClient
from hybrid_search.errors import IndexMismatchError, QueryError, RecordError
from hybrid_search.frameworks.llama_index import HybridRetriever, HybridVectorStore
from hybrid_search.settings import DenseSettings, Settings, SparseSettings

Mode, Operator = VectorStoreQueryMode, FilterOperator


def node(id_: str, text: str, embedding: list[float] | None, document: str = "", **metadata: object) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)} if document else {}
    return TextNode(id_=id_, text=text, embedding=embedding, metadata=metadata, relationships=source)


NODES = [
    node("king", "A story of friendship.", [1.0, 0.0, 0.0], "books", author="Stephen King", year=1982, tags=["a", "b"]),
    node("coppola", "A story of the mafia.", [0.0, 1.0, 0.0], "films", director="Francis Ford Coppola", year=1972),
    node("nolan", "Dreams in dreams.", [0.0, 0.9, 0.1], "films", director="Christopher Nolan", year=2010, tags=["b"]),
    node("curie", "Progress was neither swift nor easy.", [0.0, 0.0, 1.0], author="Marie Curie", tags=[]),
]


@pytest.fixture
def empty(engine_url, index_name):
    """A store without an index."""
    with HybridVectorStore(index_name(), url=engine_url, settings=Settings()) as store:
        yield store


@pytest.fixture
def store(empty):
    """A store with the nodes."""
    assert empty.add(NODES) == [one.node_id for one in NODES]
    return empty


def ids(store, key: str, operator: Operator, value: object) -> set[str]:
    """The nodes that pass one filter."""
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])
    got = {one.node_id for one in store.get_nodes(filters=filters)}
    query = VectorStoreQuery([1.0, 1.0, 1.0], similarity_top_k=10, filters=filters)
    assert set(store.query(query).ids) == got  # a search and a reading agree
    return got


def test_class():
    """It is one of LlamaIndex's stores, and says its name."""
    assert issubclass(HybridVectorStore, BasePydanticVectorStore)
    assert HybridVectorStore.class_name() == "HybridVectorStore"


def test_an_index_that_is_not_there_holds_nothing(empty):
    """Nothing is found, and nothing is to be deleted."""
    assert empty.get_nodes() == empty.get_nodes(["a"]) == empty.add([]) == []
    assert empty.query(VectorStoreQuery([1.0, 0.0, 0.0], similarity_top_k=3)).ids == []
    empty.delete("books")
    empty.delete_nodes(["a"])
    empty.clear()


def test_what_is_added_is_found_by_its_embedding(store):
    """The nearest first, with the cosine; the node comes back with all that it had."""
    found = store.query(VectorStoreQuery([0.0, 1.0, 0.0], similarity_top_k=2))
    assert found.ids == ["coppola", "nolan"]
    assert found.similarities == pytest.approx([1.0, 0.9 / (0.82**0.5)], abs=1e-4)
    first = found.nodes[0]
    assert (first.text, first.metadata, first.ref_doc_id) == (NODES[1].text, NODES[1].metadata, "films")
    assert first.hash == NODES[1].hash


def test_every_mode_searches_by_what_it_says(store):
    """By embedding, by words, by the sparse model, and by all; alpha 0 and 1 are one side alone."""

    def best(mode: Mode, text: str = "mafia", **more: object) -> str:
        query = VectorStoreQuery([1.0, 0.0, 0.0], query_str=text, similarity_top_k=1, mode=mode, **more)
        return store.query(query).ids[0]

    assert best(Mode.DEFAULT) == "king"
    assert best(Mode.TEXT_SEARCH) == best(Mode.SPARSE) == "coppola"
    assert best(Mode.HYBRID, alpha=1.0) == "king"
    assert best(Mode.HYBRID, alpha=0.0) == "coppola"
    query = VectorStoreQuery([0.0, 0.0, 1.0], query_str="mafia", similarity_top_k=1, hybrid_top_k=3, mode=Mode.HYBRID)
    assert len(store.query(query).ids) == 3


def test_mmr_prefers_what_is_unlike_the_rest(store):
    """With a threshold of 1 the two films, which are alike; with a low one a node of another direction second."""
    query = VectorStoreQuery([0.0, 1.0, 0.0], similarity_top_k=2, mode=Mode.MMR, mmr_threshold=1.0)
    assert store.query(query).ids == ["coppola", "nolan"]
    query.mmr_threshold = 0.1
    assert store.query(query).ids[1] != "nolan"
    assert store.query(query, mmr_threshold=1.0, mmr_prefetch_k=4).ids == ["coppola", "nolan"]


def test_a_query_may_name_nodes_and_documents(store):
    """Both narrow it."""
    query = VectorStoreQuery([1.0, 1.0, 1.0], similarity_top_k=10, doc_ids=["films"])
    assert set(store.query(query).ids) == {"coppola", "nolan"}
    query.node_ids = ["nolan", "king"]
    assert store.query(query).ids == ["nolan"]


@pytest.mark.parametrize(
    ("key", "operator", "value", "expected"),
    [
        ("author", Operator.EQ, "Marie Curie", {"curie"}),
        ("author", Operator.NE, "Marie Curie", {"king", "coppola", "nolan"}),
        ("author", Operator.EQ, None, {"coppola", "nolan"}),
        ("year", Operator.EQ, 1972, {"coppola"}),
        ("year", Operator.GT, 1972, {"king", "nolan"}),
        ("year", Operator.GTE, 1982, {"king", "nolan"}),
        ("year", Operator.LT, 1982, {"coppola"}),
        ("year", Operator.LTE, 1982, {"king", "coppola"}),
        ("year", Operator.IN, [1972, 2010, 3], {"coppola", "nolan"}),
        ("year", Operator.NIN, [1972, 2010], {"king", "curie"}),
        ("tags", Operator.ANY, ["a", "x"], {"king"}),
        ("tags", Operator.ALL, ["a", "b"], {"king"}),
        ("tags", Operator.CONTAINS, "b", {"king", "nolan"}),
        ("director", Operator.TEXT_MATCH, "Ford", {"coppola"}),
        ("director", Operator.TEXT_MATCH, "ford", set()),
        ("director", Operator.TEXT_MATCH_INSENSITIVE, "CHRISTOPHER", {"nolan"}),
        ("tags", Operator.IS_EMPTY, None, {"coppola", "curie"}),
        ("ref_doc_id", Operator.EQ, "films", {"coppola", "nolan"}),
    ],
    ids=lambda value: getattr(value, "value", None),
)
def test_every_operator(store, key, operator, value, expected):
    """Over nodes that match, that do not, and that lack the key."""
    assert ids(store, key, operator, value) == expected


def test_conditions_nest(store):
    """(a film, and not of 2010) or Marie Curie's; no filter at all is all."""

    def one(key: str, value: object) -> MetadataFilter:
        return MetadataFilter(key=key, value=value, operator=Operator.EQ)

    not_2010 = MetadataFilters(filters=[one("year", 2010), one("author", "x")], condition=FilterCondition.NOT)
    film = MetadataFilters(filters=[one("doc_id", "films"), not_2010])
    both = MetadataFilters(filters=[film, one("author", "Marie Curie")], condition=FilterCondition.OR)
    assert {found.node_id for found in store.get_nodes(filters=both)} == {"coppola", "curie"}
    nothing = MetadataFilters(filters=[MetadataFilters(filters=[])])
    assert len(store.get_nodes(filters=nothing)) == 4


@pytest.mark.parametrize(
    ("key", "operator", "value", "says"),
    [
        ("colour", Operator.EQ, "red", "colour"),
        ("year", Operator.IN, 1972, "in holds 1972, which is no list"),
        ("year", Operator.EQ, [1972], "compared with a list"),
        ("year", Operator.GT, None, "gt holds None"),
        ("author", Operator.TEXT_MATCH, 3, "text_match holds 3"),
    ],
)
def test_a_filter_that_cannot_be_is_told(store, key, operator, value, says):
    """By the key and the operator; nothing is left out of it without a word."""
    with pytest.raises(QueryError, match=says):
        ids(store, key, operator, value)


def test_texts_and_numbers_of_one_key(empty):
    """A key that holds both is compared with both."""
    empty.add([node(str(n), "text", [1.0, n, 1.0], some=value) for n, value in enumerate([1, 2, "3"])])
    assert ids(empty, "some", Operator.IN, [1, 2]) == {"0", "1"}
    assert ids(empty, "some", Operator.NIN, [1, 2]) == {"2"}
    assert ids(empty, "some", Operator.IN, ["3"]) == {"2"}


def test_get_nodes_gives_embeddings_and_order(store):
    """Those that are there, in the order asked for, with the embedding that they had."""
    found = store.get_nodes(["nolan", "absent", "king"])
    assert [one.node_id for one in found] == ["nolan", "king"]
    assert found[0].embedding == pytest.approx([0.0, 0.9, 0.1], abs=1e-6)
    assert found[1].to_dict() == {**NODES[0].to_dict(), "embedding": pytest.approx([1.0, 0.0, 0.0])}
    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=1900, operator=Operator.GT)])
    assert [one.node_id for one in store.get_nodes(["nolan", "curie", "king"], filters)] == ["nolan", "king"]


def test_nodes_are_deleted_by_document_by_id_and_by_filter(store):
    """By nothing none; by ids and filters those that both name."""
    store.delete_nodes()
    store.delete_nodes(["absent"])
    assert len(store.get_nodes()) == 4
    filters = MetadataFilters(filters=[MetadataFilter(key="year", value=1982)])
    store.delete_nodes(["king", "nolan"], filters)
    assert {one.node_id for one in store.get_nodes()} == {"coppola", "nolan", "curie"}
    store.delete("films")
    store.delete("absent")
    assert [one.node_id for one in store.get_nodes()] == ["curie"]
    store.clear()
    assert store.get_nodes() == []


def test_what_others_have_loaded_is_not_cleared(engine_url, index_name):
    """A store over an index of somebody clears what it has put itself: 1 of 2 documents."""
    settings = Settings(dense=DenseSettings(model="precomputed", dimension=3), sparse=SparseSettings(model="none"))
    name = index_name()
    with DocumentClient(name, url=engine_url, settings=settings, source="catalogue") as theirs:
        theirs.put([Document("theirs", "Somebody else's.", dense=np.array([1.0, 0.0, 0.0], dtype=np.float32))])
        with HybridVectorStore(name, url=engine_url, settings=settings) as store:
            store.add(NODES[:1])
            assert {one.node_id for one in store.get_nodes()} == {"theirs", "king"}
            store.clear()
            assert [one.node_id for one in store.get_nodes()] == ["theirs"]
        assert theirs.count() == 1


async def test_the_same_awaited(empty):
    """Add, query, get, delete, clear."""
    await empty.async_add(NODES)
    assert (await empty.aquery(VectorStoreQuery([1.0, 0.0, 0.0], similarity_top_k=1))).ids == ["king"]
    await empty.adelete("films")
    await empty.adelete_nodes(["king"])
    assert [one.node_id for one in await empty.aget_nodes()] == ["curie"]
    await empty.aclear()
    assert await empty.aget_nodes() == []


def test_other_nodes_come_back_as_what_they_were(empty):
    """An image with a caption, and a node that stands for an index."""
    image = ImageNode(id_="i", text="a lamp", image_url="http://example.invalid/a.png", embedding=[1.0, 0.0])
    index = IndexNode(id_="x", text="an index of lamps", index_id="lamps", embedding=[0.0, 1.0])
    empty.add([image, index])
    first, second = empty.get_nodes(["i", "x"])
    assert (type(first), first.image_url) == (ImageNode, image.image_url)
    assert (type(second), second.index_id) == (IndexNode, "lamps")


def test_bad_nodes_and_queries_are_told(store):
    """A node without an embedding or of another dimension, without text; a mode that there is not."""
    with pytest.raises(RecordError, match="node n: the node has no embedding"):
        store.add([node("n", "text", None)])
    with pytest.raises(RecordError, match=r"shape \(2,\), the index takes \(3,\)"):
        store.add([node("n", "text", [1.0, 0.0])])
    with pytest.raises(RecordError, match="node n: the text is empty"):
        store.add([node("n", "", [1.0, 0.0, 0.0])])
    with pytest.raises(QueryError, match=r"no mode 'svm' here\. There are: default"):
        store.query(VectorStoreQuery([1.0, 0.0, 0.0], mode=Mode.SVM))
    with pytest.raises(QueryError, match="no dense vector"):
        store.query(VectorStoreQuery(query_str="text", similarity_top_k=1))
    query = VectorStoreQuery([1.0, 0.0, 0.0], query_str="mafia", mode=Mode.SEMANTIC_HYBRID)
    with pytest.raises(QueryError, match="no reranker"):
        store.query(query)
    assert store.query(VectorStoreQuery([1.0, 0.0, 0.0], similarity_top_k=0)).ids == []
    assert len(store.get_nodes()) == 4


def test_own_models_read_nodes_and_queries(engine_url, index_name):
    """No embeddings: long nodes are read in passages and come back whole; a word at their end finds them."""
    settings = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="idf"))
    long = node("long", "one two three. " * 4_000 + "\n\nThe last word is zymurgy.", None, kind="x")
    with HybridVectorStore(index_name(), url=engine_url, settings=settings, own_models=True) as store:
        store.add([long, node("short", "one two", None)])
        found = store.query(VectorStoreQuery(query_str="zymurgy", similarity_top_k=2, mode=Mode.HYBRID))
        assert found.ids == ["long"]
        assert found.nodes[0].text == long.text
        assert not store.is_embedding_query


def test_documents_of_others_are_nodes(engine_url, index_name):
    """An index that another program has loaded: its fields are the metadata."""
    name = index_name()
    settings = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="idf"))
    with DocumentClient(name, url=engine_url, settings=settings) as documents:
        documents.put([Document("d", "a warm lamp", {"price": 3})])
    with HybridVectorStore(name, url=engine_url, settings=Settings(), own_models=True) as store:
        [found] = store.query(VectorStoreQuery(query_str="lamp", mode=Mode.TEXT_SEARCH)).nodes
        assert (found.node_id, found.text, found.metadata) == ("d", "a warm lamp", {"price": 3})
        store.delete("absent")
    with (
        HybridVectorStore(name, url=engine_url, settings=Settings()) as store,
        pytest.raises(IndexMismatchError, match="the index has no dense vectors, to which"),
    ):
        store.add([node("n", "text", [1.0])])


async def test_llama_index_itself_uses_it(store):
    """Its index over the store: insertion, retrieval with filters, deletion; and our retriever, awaited too."""
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex([], storage_context=context, embed_model=MockEmbedding(embed_dim=3))
    index.insert_nodes([node("more", "A lamp for the night.", None, "shop", price=3)])
    retriever = index.as_retriever(similarity_top_k=10, vector_store_query_mode="hybrid")
    assert "more" in {found.node_id for found in retriever.retrieve("lamp")}
    index.delete_ref_doc("shop")
    assert store.get_nodes(["more"]) == []
    ours = HybridRetriever(store, embed_model=MockEmbedding(embed_dim=3), k=1, legs=["bm25"])
    assert [found.node_id for found in ours.retrieve("mafia")] == ["coppola"]
    assert [found.node_id for found in await ours.aretrieve("friendship")] == ["king"]
    plain = HybridRetriever(store, k=2)
    found = plain.retrieve(QueryBundle("dreams", embedding=[0.0, 0.9, 0.1]))
    assert (found[0].node_id, found[0].score > 0) == ("nolan", True)
