"""PyTerrier: an index of ours and our rerankers as transformers, for ``>>``, ``%``, ``+`` and ``pt.Experiment``.

    hybrid = HybridRetriever("scifact", url="http://localhost:9200")
    pipeline = hybrid % 50 >> HybridReranker.of("cross-encoder/ms-marco-MiniLM-L6-v2")
    pt.Experiment([hybrid, pipeline], topics, qrels, ["nDCG@10", "R@100"])

No Java is started: PyTerrier starts it for Terrier's own transformers.
"""

# ruff: noqa: E402  # a framework that is missing or too old is named before its imports fail
from __future__ import annotations

from hybrid_search.frameworks import need

need("pyterrier")

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]  # some have stubs of it
import pyterrier as pt

from hybrid_search.encode import load_reranker
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import Connection
from hybrid_search.errors import ModelError
from hybrid_search.evaluate.runs import falling
from hybrid_search.records import Hit, Query
from hybrid_search.search import SearchClient
from hybrid_search.search.plan import wide_enough
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import RerankSettings, Settings

FOUND = ["docno", "score", "rank", "text"]
"""Columns that a search adds."""
NO_PAGE: dict[str, Any] = {"help_url": None}
"""Of a drawing: without it, PyTerrier looks for these classes on its own site each time."""
VECTOR = "query_vec"
"""Column of the vectors of queries, where they come with them."""


class HybridRetriever(pt.Transformer):
    """Searches an index: a frame of ``qid`` and ``query`` becomes one of ranked ``docno``, with the text found of each.

    Scores fall from rank to rank, by their last digit where they are even, so that every measure reads the ranking as
    it is. A column ``query_vec`` is taken instead of encoding. ``retriever % 10`` asks for ten, of the same ranking.

    Args:
        index: an index or alias that hybrid-search made, or a client that is open, which the caller closes.
        k: documents of each query.
        fields: fields of the documents that become columns.
        url: the cluster; as are ``settings``, ``encoder``, ``reranker`` and ``connection``, of
            :class:`~hybrid_search.search.SearchClient`.
        options: of a search (:class:`~hybrid_search.search.request.SearchRequest`): ``legs``, ``fusion``, ``rerank``.

    Raises:
        IndexMissingError: no such index.
        QueryError: an option that no search has.
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        index: str | SearchClient,
        *,
        k: int = 100,
        fields: Sequence[str] = (),
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        connection: Connection | None = None,
        **options: Any,
    ) -> None:
        SearchRequest.of(k, **options).check()
        self.k = k
        self.fields = tuple(fields)
        self.options = options
        self._owns_client = isinstance(index, str)
        if isinstance(index, str):
            models: dict[str, Any] = {"encoder": encoder, "reranker": reranker}
            index = SearchClient(index, url=url, settings=settings, connection=connection, **models)
        self.client = index

    def transform_inputs(self) -> list[list[str]]:
        """Columns that it takes."""
        return [["qid", "query"]]

    def transform_outputs(self, columns: list[str]) -> list[str]:
        """Columns that it gives for these; those of documents found before are left out."""
        pt.validate.columns(columns, includes=["qid", "query"], context=self)
        return [*pt.model.query_columns(pd.DataFrame(columns=columns)), *FOUND, *self.fields]

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The hits of every query, in the order of the queries, each query once.

        Raises:
            QueryError: a query that is wrong, by its text.
            EngineError: a query could not be searched.
        """
        columns = self.transform_outputs(list(inp.columns))
        queries = inp[[name for name in columns if name in inp.columns and name not in FOUND]].drop_duplicates("qid")
        records = queries.to_dict("records")
        asked = [_query(record) for record in records]
        found = self.client.search_many(asked, self.k, **self.options) if asked else []
        pairs = zip(records, found, strict=True)
        rows = [{**record, **row} for record, result in pairs for row in self._rows(result.hits)]
        return pd.DataFrame(rows, columns=columns)

    def fuse_rank_cutoff(self, k: int) -> HybridRetriever:
        """A retriever of the first ``k`` of the same ranking: fused from what this one's legs find, not from less."""
        if k >= self.k:
            return self
        usual = wide_enough(self.client.searcher.settings.search.window, self.k)
        window = self.options.get("window") or usual
        return HybridRetriever(self.client, k=k, fields=self.fields, **{**self.options, "window": window})

    def schematic(self, *, input_columns: list[str] | None = None) -> dict[str, Any]:
        """How a drawing of a pipeline shows it."""
        del input_columns
        index = self.client.searcher.target.index
        return {"label": "Hybrid search", "name": index, "settings": {"k": self.k, **self.options}, **NO_PAGE}

    def subtransformers(self) -> dict[str, Any]:
        """None: PyTerrier would take an empty tuple of fields for a list of them."""
        return {}

    def close(self) -> None:
        """Close the client, unless the caller gave it."""
        if self._owns_client:
            self.client.close()

    def __repr__(self) -> str:
        return f"HybridRetriever({self.client.searcher.target.index!r}, k={self.k})"

    def _rows(self, hits: Sequence[Hit]) -> Iterator[Mapping[str, Any]]:
        scores = falling([hit.score for hit in hits])
        for rank, (hit, score) in enumerate(zip(hits, scores, strict=True), pt.model.FIRST_RANK):
            found = {"docno": hit.id, "score": float(score), "rank": rank, "text": hit.text}
            yield found | {name: hit.fields.get(name) for name in self.fields}


class HybridReranker(pt.Transformer):
    """Scores ``text`` against ``query`` and ranks each query's documents anew.

    Args:
        reranker: what scores.
    """

    def __init__(self, reranker: Reranker) -> None:
        self.reranker = reranker

    @classmethod
    def of(cls, model: str, **options: Any) -> HybridReranker:
        """The cross-encoder of this name or path; ``options`` are those of the settings' ``[rerank]``.

        Raises:
            ModelError: it cannot be found, loaded or trusted.
        """
        loaded = load_reranker(Settings(rerank=RerankSettings(model=model, **options)), None)
        if loaded is None:
            raise ModelError(f"{model!r} is no reranker", remedy="Name a cross-encoder")
        return cls(loaded)

    def transform_inputs(self) -> list[list[str]]:
        """Columns that it takes."""
        return [["qid", "query", "docno", "text"]]

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """The same documents in their new order, with new scores and ranks."""
        pt.validate.columns(inp, includes=["qid", "query", "docno", "text"], context=self)
        names = [name for name in inp.columns if name not in {"score", "rank"}]
        ranked = [self._ranked(group[names]) for _, group in inp.groupby("qid", sort=False)]
        return pd.concat(ranked, ignore_index=True) if ranked else pd.DataFrame(columns=[*names, "score", "rank"])

    def schematic(self, *, input_columns: list[str] | None = None) -> dict[str, Any]:
        """How a drawing of a pipeline shows it."""
        del input_columns
        return {"label": "Reranker", "name": self.reranker.name, **NO_PAGE}

    def __repr__(self) -> str:
        return f"HybridReranker({self.reranker.name!r})"

    def _ranked(self, group: pd.DataFrame) -> pd.DataFrame:
        """The documents of one query, those of even scores in the order in which they came."""
        scores = np.asarray(self.reranker.score(str(group["query"].iloc[0]), [str(text) for text in group["text"]]))
        order = np.argsort(-scores, kind="stable")
        ranked = group.iloc[order].reset_index(drop=True)
        ranked["score"] = [float(score) for score in falling([float(score) for score in scores[order]])]
        ranked["rank"] = range(pt.model.FIRST_RANK, pt.model.FIRST_RANK + len(ranked))
        return ranked


def _query(record: Mapping[Any, Any]) -> Query:
    vector = record.get(VECTOR)
    dense = None if vector is None else np.asarray(vector, dtype=np.float32)
    return Query(str(record["query"]), dense, id=str(record["qid"]))


def topics(queries: Mapping[str, str]) -> pd.DataFrame:
    """Queries by id as the frame that ``pt.Experiment`` takes."""
    return pd.DataFrame([*queries.items()], columns=["qid", "query"])


def judgements(qrels: Mapping[str, Mapping[str, int]]) -> pd.DataFrame:
    """Grades by query id and document id (:func:`hybrid_search.read.judge`), as ``pt.Experiment`` takes them."""
    rows: Iterable[tuple[str, str, int]] = (
        (query_id, document_id, grade) for query_id, grades in qrels.items() for document_id, grade in grades.items()
    )
    return pd.DataFrame(rows, columns=["qid", "docno", "label"])
