"""BEIR 2: the whole hybrid search as a ``BaseSearch`` that ``EvaluateRetrieval`` measures.

    with HybridIndex("scifact") as index:
        retriever = EvaluateRetrieval(index)
        results = retriever.retrieve(corpus, queries)
        ndcg, _map, recall, precision = retriever.evaluate(qrels, results, retriever.k_values)

BEIR asks for 1,000 documents; given are those within the window of the settings (``search.window``), in the ranking
that a user gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from hybrid_search.errors import MissingExtraError, SourceError
from hybrid_search.frameworks.collection import Collections, Scores
from hybrid_search.private_files import make_folder, open_new

try:
    from beir.retrieval.search.base import BaseSearch  # type: ignore[import-untyped]  # ships no types
except ImportError as error:
    raise MissingExtraError("The adapter for BEIR", "beir") from error

Corpus = Mapping[str, Mapping[str, str]]
"""``title`` and ``text`` by document id."""


class HybridIndex(BaseSearch):  # type: ignore[misc]  # a class without types
    """The whole search over one collection, which is loaded into an index; what is there already is not encoded again.

    Args:
        index: the name of the index.
        options: of :class:`~hybrid_search.frameworks.collection.Collections`: ``url``, ``settings``, ``encoder``,
            ``reranker``, ``connection``, ``load``.

    Raises:
        ModelError: a model cannot be found, loaded or trusted.
        EngineError: the cluster cannot be reached.
    """

    def __init__(self, index: str, **options: Any) -> None:
        self._collections = Collections(index, **options)

    def search(self, corpus: Corpus, queries: Mapping[str, str], top_k: int, *_: Any, **__: Any) -> Scores:
        """Scores by query and document, of at most ``top_k`` documents for each query.

        Raises:
            RecordError: a document that no engine takes.
            EngineError: the cluster cannot be reached, or a query was not answered in full.
        """
        self._load(corpus)
        return self._collections.rank(queries, top_k)

    def encode(
        self,
        corpus: Corpus,
        queries: Mapping[str, str],
        encode_output_path: str = "./embeddings/",
        overwrite: bool = False,  # noqa: ARG002  # BEIR's; the file of the queries is always written
        query_filename: str = "queries.pkl",
        **_: Any,
    ) -> None:
        """Load the collection; the queries' texts are kept as JSON for :meth:`search_from_files`, vectors in the index.

        Raises:
            RecordError: a document that no engine takes.
            EngineError: the cluster cannot be reached, or refuses.
        """
        self._load(corpus)
        make_folder(Path(encode_output_path))
        with open_new(Path(encode_output_path) / query_filename) as file:
            file.write(msgspec.json.encode(dict(queries)).decode())

    def search_from_files(
        self, query_embeddings_file: str, corpus_embeddings_files: Sequence[str], top_k: int, **_: Any
    ) -> Scores:
        """Scores for the queries that :meth:`encode` kept; ``corpus_embeddings_files`` is empty, and not looked at.

        Raises:
            SourceError: the file was not written by :meth:`encode`.
            QueryError: nothing was encoded by this object.
            EngineError: a query was not answered in full.
        """
        del corpus_embeddings_files
        try:
            kept = msgspec.json.decode(Path(query_embeddings_file).read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError) as error:
            what = f"holds no queries that encode() wrote: {error}"
            raise SourceError(what, where=query_embeddings_file, remedy="Call encode_and_retrieve") from error
        return self._collections.rank(kept, top_k)

    def close(self) -> None:
        """Close the connection; the index stays."""
        self._collections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, corpus: Corpus) -> None:
        self._collections.open({"id": id_, **row} for id_, row in corpus.items())
