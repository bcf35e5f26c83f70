"""OpenAI's ``/v1/embeddings``, which many servers speak: dense vectors by the model's name, no tokenizer, no roles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.protocols import QueryLimit, Tokenizer
from hybrid_search.encode.remote import answers
from hybrid_search.encode.remote.answers import PROBE_TEXT
from hybrid_search.encode.remote.approximate import ApproximateSpans
from hybrid_search.encode.remote.post import Service
from hybrid_search.errors import ModelError
from hybrid_search.settings import DENSE_MODEL, DenseSettings

MAX_TOKENS = 512
"""Of a passage where the settings do not say: what most models read well, not what they take."""


class NamedDense(ABC):
    """What services have in common that are asked for a model by its name: a probe, and tokens that are guessed.

    Raises:
        ModelError: the settings name no model.
    """

    def __init__(self, service: Service, settings: DenseSettings) -> None:
        if settings.model == DENSE_MODEL:
            raise service.refused("it must be told the model", "Set dense.model to the name that the service knows")
        self._service = service
        self._settings = settings
        self._prompts = {True: settings.query_prompt or "", False: settings.document_prompt or ""}
        self._dimension: int | None = None
        self.tokenizer: Tokenizer = ApproximateSpans()
        self.max_tokens = settings.max_tokens or MAX_TOKENS
        self.query_limit: QueryLimit | None = QueryLimit(self.max_tokens, self.tokenizer)
        vector = self.encode_documents([PROBE_TEXT])[0]
        self._dimension = int(vector.size)
        self.fingerprint = answers.fingerprint_of_probe(settings, name=settings.model, vector=vector, said={})

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of passages, shape (n, dimension)."""
        return self._encode(texts, query=False)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries, shape (n, dimension)."""
        return self._encode(texts, query=True)

    @abstractmethod
    def asked(self, batch: Sequence[str], *, query: bool) -> Any:
        """The rows that the service answers for texts with their prompts."""

    def _encode(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        prompt = self._prompts[query]

        def vectors(batch: Sequence[str]) -> list[NDArray[np.float32]]:
            rows = self.asked([prompt + text for text in batch], query=query)
            return list(answers.dense_rows(self._service, rows, self._dimension))

        asked = self._service.post_all(texts, vectors)
        return np.vstack(asked) if asked else np.empty((0, self._dimension or 0), np.float32)

    def unread(self, error: Exception) -> ModelError:
        """The error for an answer that is not this service's."""
        del error
        return self._service.refused("its answer is not understood", "Check dense.service")


class OpenAiDense(NamedDense):
    """Vectors by ``/embeddings`` under a base that ends in ``/v1``."""

    def asked(self, batch: Sequence[str], *, query: bool) -> Any:
        """The rows in the order of the texts; queries and passages are told apart by their prompts alone."""
        del query
        # The interface refuses an empty text; one space means nothing either.
        body: dict[str, Any] = {"model": self._settings.model, "input": [text or " " for text in batch]}
        if self._settings.dimension is not None:
            body["dimensions"] = self._settings.dimension
        answer = self._service.post("/embeddings", body)
        try:
            return [row["embedding"] for row in sorted(answer["data"], key=lambda row: int(row["index"]))]
        except (TypeError, KeyError, ValueError) as error:
            raise self.unread(error) from None
