"""Cohere's ``/v2/embed`` and ``/v2/rerank``: queries and passages are told apart, scores are between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.remote import answers
from hybrid_search.encode.remote.openai import NamedDense
from hybrid_search.encode.remote.post import Service
from hybrid_search.settings import NO_MODEL, RerankSettings


class CohereDense(NamedDense):
    """Vectors by ``/v2/embed``."""

    def asked(self, batch: Sequence[str], *, query: bool) -> Any:
        """The rows in the order of the texts."""
        body: dict[str, Any] = {
            "model": self._settings.model,
            "texts": list(batch),
            "input_type": "search_query" if query else "search_document",
            "embedding_types": ["float"],
        }
        if self._settings.dimension is not None:
            body["output_dimension"] = self._settings.dimension
        answer = self._service.post("/v2/embed", body)
        try:
            return answer["embeddings"]["float"]
        except (TypeError, KeyError) as error:
            raise self.unread(error) from None


class CohereReranker:
    """Relevance by ``/v2/rerank``; a :class:`~hybrid_search.encode.protocols.Reranker`.

    Raises:
        ModelError: the settings name no model.
    """

    def __init__(self, service: Service, settings: RerankSettings) -> None:
        if settings.model == NO_MODEL:
            raise service.refused("it must be told the model", "Set rerank.model to the name that the service knows")
        self._service = service
        self.name = settings.model

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape (n,), in the order of ``passages``."""
        scored = self._service.post_all(passages, lambda batch: list(self._asked(query, batch)))
        return np.asarray(scored, dtype=np.float32)

    def _asked(self, query: str, batch: Sequence[str]) -> NDArray[np.float32]:
        body = {"model": self.name, "query": query, "documents": list(batch), "top_n": len(batch)}
        answer = self._service.post("/v2/rerank", body)
        rows = answer.get("results") if isinstance(answer, dict) else None
        return answers.ranked_scores(self._service, rows, len(batch), "relevance_score")
