"""Each framework's own hybrid retriever against the same framework with our adapter: time and quality in one run.

    pip install 'hybrid-search[models,eval,langchain,haystack,llama-index]'
    pip install langchain-community opensearch-haystack llama-index-vector-stores-opensearch
    python benchmarks/frameworks/compare.py FOLDER ... --url http://127.0.0.1:9200

``FOLDER`` is judged (BEIR), such as nfcorpus and scifact; each document is one text, the title and the body, encoded
once by all-MiniLM-L6-v2, and both sides store the same texts and vectors on the same OpenSearch (lucene, the only one
that all of them can use). Both embed the query with the model as the framework has it; nothing is kept from one query
to the next. Frameworks' own retrievers (``benchmarks/search/peers.py`` says how each combines its legs) are asked for
the ten documents that are shown, and for a hundred, from which theirs rank better; the adapters for ten, by BM25 and
the dense leg as the others. Every query goes through all before the next, the first changes with each. The indices are
deleted in the end. A framework without an adapter is said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from hybrid_search import read
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.evaluate.measures import measure
from hybrid_search.settings import DocumentSettings, EngineSettings, SearchSettings, Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "search"))

import peers  # the script beside this one

Ask = Callable[[str], Sequence[str]]
DEPTHS = (10, 100)


@dataclass(frozen=True)
class Given:
    """What both sides get."""

    url: str
    stored: peers.Stored
    model: Any

    @property
    def settings(self) -> Settings:
        """Ours: no query is remembered, as the others remember none."""
        return Settings(engine=EngineSettings(url=self.url), search=SearchSettings(cached_queries=0))

    def embed(self, text: str) -> list[float]:
        """The vector of a query."""
        vector: list[float] = self.model.encode(text, show_progress_bar=False).tolist()
        return vector

    def embed_all(self, texts: list[str]) -> list[list[float]]:
        """The vectors of documents, which were made before."""
        known = dict(zip(self.stored.texts, self.stored.vectors, strict=True))
        return [known[text] for text in texts]


@contextmanager
def langchain(given: Given, index: str) -> Iterator[Ask]:
    """The retriever over a vector store, with embeddings of LangChain's."""
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    from hybrid_search.frameworks.langchain import HybridRetriever, HybridVectorStore

    class Embedder(Embeddings):
        """The model as LangChain takes it."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return given.embed_all(texts)

        def embed_query(self, text: str) -> list[float]:
            return given.embed(text)

    with HybridVectorStore(index, Embedder(), settings=given.settings) as store:
        pairs = zip(given.stored.ids, given.stored.texts, strict=True)
        store.add_documents(
            [Document(id=id_, page_content=text) for id_, text in pairs], batch_size=len(given.stored.ids)
        )
        retriever = HybridRetriever(store=store, k=peers.BEST)
        yield lambda text: [found.id for found in retriever.invoke(text)]


@contextmanager
def haystack(given: Given, index: str) -> Iterator[Ask]:
    """The retriever over a document store, with embeddings that the documents and the query bring."""
    from haystack import Document
    from hybrid_search.frameworks.haystack import HybridDocumentStore, HybridRetriever

    stored = given.stored
    store = HybridDocumentStore(index, embedding_dim=len(stored.vectors[0]), settings=given.settings)
    rows = zip(stored.ids, stored.texts, stored.vectors, strict=True)
    store.write_documents([Document(id=id_, content=text, embedding=vector) for id_, text, vector in rows])
    retriever = HybridRetriever(store, top_k=peers.BEST)
    yield lambda text: [found.id for found in retriever.run(text, query_embedding=given.embed(text))["documents"]]


ADAPTERS: dict[str, Callable[[Given, str], Any]] = {"langchain": langchain, "haystack": haystack}
OWN = {"langchain": peers.langchain, "haystack": peers.haystack, "llama-index": peers.llama_index}


def main() -> None:
    """Measure and print, one set after another."""
    options = arguments()
    from sentence_transformers import SentenceTransformer

    from hybrid_search.encode.sources import find_model

    model = SentenceTransformer(str(find_model(peers.MODEL)), device="cpu")
    with connect(EngineSettings(url=options.url)) as connection:
        for folder in options.folders:
            stored = texts_of(folder, model, options.documents)
            compare(connection, Given(options.url, stored, model), folder, options.queries)


def texts_of(folder: Path, model: Any, most: int | None) -> peers.Stored:
    """The documents of a set, each with its vector."""
    documents = list(islice(read.documents(folder, DocumentSettings()), most))
    texts = [document.text for document in documents]
    vectors = model.encode(texts, batch_size=64, show_progress_bar=False).tolist()
    return peers.Stored([document.id for document in documents], texts, vectors)


def compare(connection: Connection, given: Given, folder: Path, most: int | None) -> None:
    """One set: index for every side, ask, print, delete."""
    mark = f"benchmark-frameworks-{uuid4().hex[:8]}"
    made: list[str] = []

    def new(name: str) -> str:
        made.append(f"{mark}-{name}")
        peers.put_pipeline(connection, made[-1])
        return made[-1]

    with ExitStack() as stack:
        try:
            asks: dict[str, Ask] = {}
            for name, own in OWN.items():
                for depth in DEPTHS:
                    index = new(f"{name}-{depth}")
                    asks[f"{name}, own, {depth}"] = own(given.url, index, given.stored, given.model, depth)
                try:
                    asks[name] = stack.enter_context(ADAPTERS[name](given, new(name)))
                except (KeyError, ImportError) as error:
                    print(f"no adapter for {name} is measured: {error}")
            for index in made:
                connection.send(Request.json("POST", f"/{index}/_refresh", ignore_unavailable="true"))
            report(asks, folder, given.stored, most)
        finally:
            for index in made:
                connection.send(Request.json("DELETE", f"/{index}", ignore_unavailable="true"))
                connection.send(Request.json("DELETE", f"/_search/pipeline/{peers.pipeline_of(index)}"))


def report(asks: dict[str, Ask], folder: Path, stored: peers.Stored, most: int | None) -> None:
    """Medians and nDCG@10 of each, and of each framework's own how many times as long it takes as our adapter."""
    there = set(stored.ids)
    judged = {
        str(query): {id_: grade for id_, grade in grades.items() if id_ in there}
        for query, grades in read.qrels(folder, split="test").items()
    }
    qrels = {query: grades for query, grades in judged.items() if any(grades.values())}
    queries = list(islice((query for query in read.queries(folder) if query.id in qrels), most))
    qrels = {str(query.id): qrels[str(query.id)] for query in queries}
    took, found = peers.measured(asks, queries)
    print(f"{folder.name}: {len(stored.ids):,} documents, {len(queries)} judged queries")
    for name in asks:
        quality = measure(qrels, found[name], ["nDCG@10"]).mean["nDCG@10"]
        ours = took.get(name.partition(",")[0])
        ratio = f"{median(took[name]) / median(ours):5.2f} x" if ours else "      -"
        print(f"  {name:<22} p50 {median(took[name]):7.1f} ms  {ratio}  nDCG@10 {quality:.4f}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="BEIR folders")
    parser.add_argument("--url", required=True, help="an OpenSearch without a login")
    parser.add_argument("--documents", type=int, help="so many of the first documents alone")
    parser.add_argument("--queries", type=int, help="so many of the first judged queries alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
