"""One query at a time against the hybrid retrievers of the frameworks: same passages, vectors, model and node.

    pip install haystack-ai opensearch-haystack langchain-community
    pip install llama-index-core llama-index-vector-stores-opensearch
    hybrid-search index FOLDER INDEX --url http://127.0.0.1:9200
    python benchmarks/search/peers.py INDEX --queries FOLDER --url http://127.0.0.1:9200

``FOLDER`` is judged (BEIR). The passages and dense vectors of ``INDEX`` are copied into an index of each framework's
own making, on OpenSearch with its lucene engine; the copies are deleted in the end. All encode the query with
all-MiniLM-L6-v2, the frameworks by sentence-transformers. Haystack joins BM25 and kNN by reciprocal rank fusion;
LlamaIndex and LangChain let the server combine them, normalised, at equal weights. Every query goes through all of
them before the next, the first changes with each. nDCG@10 is of the first ten documents.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self
from uuid import uuid4

from hybrid_search import read
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.measures import measure
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import EngineSettings, RerankSettings, SearchSettings, Settings

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
METHOD = {
    "name": "hnsw",
    "engine": "lucene",
    "space_type": "cosinesimil",
    "parameters": {"m": 16, "ef_construction": 128},
}
BEST = 10
CANDIDATES = 100

Ids = Sequence[str]
Ask = Callable[[str], Ids]


@dataclass(frozen=True)
class Stored:
    """Passages with the ids of their documents and their vectors."""

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: Sequence[list[float]]

    @classmethod
    def of(cls, connection: Connection, index: str) -> Self:
        """Those of an index."""
        body = {"query": {"exists": {"field": "dense"}}, "size": 10_000, "_source": ["doc_id", "text", "dense"]}
        hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
        return cls(*([hit["_source"][name] for hit in hits] for name in ("doc_id", "text", "dense")))


def haystack(url: str, index: str, stored: Stored, model: Any, depth: int = CANDIDATES) -> Ask:
    """BM25 and kNN one after the other, joined by reciprocal ranks."""
    from haystack import Document
    from haystack_integrations.components.retrievers.opensearch import OpenSearchHybridRetriever
    from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

    store = OpenSearchDocumentStore(hosts=url, index=index, embedding_dim=len(stored.vectors[0]), method=METHOD)
    pairs = zip(stored.texts, stored.ids, stored.vectors, strict=True)
    store.write_documents([Document(content=text, meta={"doc": id_}, embedding=vector) for text, id_, vector in pairs])
    retriever = OpenSearchHybridRetriever(
        store, embedder=_haystack_embedder(model), top_k_bm25=depth, top_k_embedding=depth, top_k=depth
    )
    return lambda text: [hit.meta["doc"] for hit in retriever.run(query=text)["documents"]]


def _haystack_embedder(model: Any) -> Any:
    from haystack import component

    @component
    class Embedder:
        """The model as a component."""

        @component.output_types(embedding=list[float])
        def run(self, text: str) -> dict[str, list[float]]:
            return {"embedding": model.encode(text, show_progress_bar=False).tolist()}

        def to_dict(self) -> dict[str, Any]:
            return {"type": "Embedder", "init_parameters": {}}

    return Embedder()


def llama_index(url: str, index: str, stored: Stored, model: Any, depth: int = CANDIDATES) -> Ask:
    """One hybrid query, combined by the server."""
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
    from llama_index.vector_stores.opensearch import OpensearchVectorClient, OpensearchVectorStore

    client = OpensearchVectorClient(
        url, index, len(stored.vectors[0]), method=METHOD, engine="lucene", search_pipeline=pipeline_of(index)
    )
    store = OpensearchVectorStore(client)
    triples = zip(stored.texts, stored.ids, stored.vectors, strict=True)
    store.add([TextNode(text=text, embedding=vector, metadata={"doc": id_}) for text, id_, vector in triples])

    def ask(text: str) -> Ids:
        vector = model.encode(text, show_progress_bar=False).tolist()
        query = VectorStoreQuery(
            query_str=text, query_embedding=vector, similarity_top_k=depth, mode=VectorStoreQueryMode.HYBRID
        )
        return [node.metadata["doc"] for node in store.query(query).nodes or ()]

    return ask


def langchain(url: str, index: str, stored: Stored, model: Any, depth: int = CANDIDATES) -> Ask:
    """The same through ``similarity_search``."""
    from langchain_community.vectorstores import OpenSearchVectorSearch
    from langchain_core.embeddings import Embeddings

    class Embedder(Embeddings):
        """The model as LangChain takes it."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return model.encode(texts, show_progress_bar=False).tolist()

        def embed_query(self, text: str) -> list[float]:
            return model.encode(text, show_progress_bar=False).tolist()

    store = OpenSearchVectorSearch(url, index, Embedder(), engine="lucene")
    pairs = list(zip(stored.texts, stored.vectors, strict=True))
    metadata = [{"doc": id_} for id_ in stored.ids]
    store.add_embeddings(pairs, metadata, bulk_size=len(pairs), engine="lucene", space_type="cosinesimil")
    options = {"search_type": "hybrid_search", "search_pipeline": pipeline_of(index)}
    return lambda text: [
        hit.metadata["doc"] for hit in store.similarity_search(text, depth, query_text=text, **options)
    ]


def pipeline_of(index: str) -> str:
    """The name of the pipeline that combines the legs for an index."""
    return f"{index}-pipeline"


def main() -> None:
    """Measure and print."""
    options = arguments()
    from sentence_transformers import SentenceTransformer

    from hybrid_search.encode.sources import find_model

    model = SentenceTransformer(str(find_model(MODEL)), device="cpu")
    settings = Settings(
        engine=EngineSettings(url=options.url),
        rerank=RerankSettings(model="none"),
        search=SearchSettings(cached_queries=0),
    )
    mark = f"benchmark-peers-{uuid4().hex[:8]}"
    makers = {"haystack": haystack, "llama-index": llama_index, "langchain": langchain}
    with connect(settings.engine) as connection, SearchClient(options.index, settings=settings) as client:
        stored = Stored.of(connection, options.index)
        asks: dict[str, Ask] = {
            "hybrid_search, two legs": lambda text: [hit.id for hit in client.search(text, legs=["bm25", "dense"])],
            "hybrid_search, three legs": lambda text: [hit.id for hit in client.search(text)],
        }
        names = [f"{mark}-{name}" for name in makers]
        try:
            for name, index in zip(makers, names, strict=True):
                put_pipeline(connection, index)
                asks[name] = makers[name](options.url, index, stored, model)
                connection.send(Request.json("POST", f"/{index}/_refresh"))
            report(asks, options.queries)
        finally:
            for index in names:
                connection.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))
                connection.send(Request.json("DELETE", f"/_search/pipeline/{pipeline_of(index)}"))


def put_pipeline(connection: Connection, index: str) -> None:
    """Min-max and the mean, as the vendor's guide has it."""
    processor = {"normalization": {"technique": "min_max"}, "combination": {"technique": "arithmetic_mean"}}
    body = {"phase_results_processors": [{"normalization-processor": processor}]}
    connection.send(Request.json("PUT", f"/_search/pipeline/{pipeline_of(index)}", body))


def report(asks: dict[str, Ask], folder: Path) -> None:
    """Medians, ratios to ours with the same legs, and nDCG@10."""
    qrels = read.qrels(folder, split="test")
    queries = [query for query in read.queries(folder) if query.id in qrels]
    took, found = measured(asks, queries)
    names = list(asks)
    ours = median(took[names[0]])
    print(f"{len(queries)} judged queries")
    for name in names:
        quality = measure(qrels, found[name], ["nDCG@10"]).mean["nDCG@10"]
        theirs = median(took[name])
        print(f"{name:<26} p50 {theirs:7.1f} ms  ours / theirs {ours / theirs:5.2f}  nDCG@10 {quality:.4f}")


def measured(
    asks: dict[str, Ask], queries: Sequence[Query]
) -> tuple[dict[str, list[float]], dict[str, dict[str, list[tuple[str, float]]]]]:
    """Milliseconds of each query, and runs of the first documents, by the names of those that were asked."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    found: dict[str, dict[str, list[tuple[str, float]]]] = {name: {} for name in asks}
    names = list(asks)
    for n, query in enumerate([*queries[:10], *queries]):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            begin = time.perf_counter()
            ids = list(dict.fromkeys(asks[name](query.text)))[:BEST]
            if n >= 10:  # the first ones warm everybody up
                took[name].append((time.perf_counter() - begin) * 1000)
            found[name][str(query.id)] = [(id_, -float(rank)) for rank, id_ in enumerate(ids)]
    return took, found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("index", help="made by hybrid-search, of at most 10,000 passages")
    parser.add_argument("--queries", type=Path, required=True, help="a BEIR folder")
    parser.add_argument("--url", required=True, help="an OpenSearch without a login")
    return parser.parse_args()


if __name__ == "__main__":
    main()
