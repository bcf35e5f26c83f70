"""The cross-encoder reranker: query and passage read together, one score (arXiv:1901.04085, SBERT 1908.10084)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.batching import batches
from hybrid_search.encode.loading import NOT_FINITE, fast_tokenizer, find_trusted, load_model, probe
from hybrid_search.encode.tokens import TokenSpans
from hybrid_search.errors import ModelError
from hybrid_search.settings import EncodeSettings, RerankSettings
from hybrid_search.settings.models import AUTO

TOKENS_PER_PAIR = 256


class CrossReranker:
    """Scores of a ``sentence_transformers.CrossEncoder`` on the model's own scale (logits or probabilities).

    Pairs longer than the model reads are cut by its tokenizer. Calls take turns, because the library changes its
    tokenizer's settings from call to call.

    Args:
        folder: a model that may be loaded.
        settings: device and batch size (pairs of 256 tokens in one forward pass).
        encode: backend and precision.

    Raises:
        ModelError: the model gives several labels instead of one score.
    """

    def __init__(self, folder: Path, settings: RerankSettings, encode: EncodeSettings) -> None:
        from hybrid_search.encode.backends.graft import graft

        self._model = load_model("CrossEncoder", folder, settings, "rerank")
        self._turn = threading.Lock()
        self._budget = settings.batch_size * TOKENS_PER_PAIR
        self._spans = TokenSpans(fast_tokenizer(self._model, folder))
        self.name = settings.model
        labels = self._model.num_labels
        if labels != 1:
            remedy = "A reranker needs a model with one"
            raise ModelError(f"it classifies into {labels} labels", where=self.name, remedy=remedy)
        self.networks = graft(self._model, lambda: probe(self._model, "rerank"), encode, folder)

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape (n,), float32, in the order of ``passages``.

        Raises:
            ModelError: they are not finite.
        """
        scores = np.empty(len(passages), dtype=np.float32)
        start = self._spans.count(query)
        lengths = [start + len(spans) for spans in self._spans.spans(passages)]
        for rows in batches(lengths, budget=self._budget):
            pairs = [(query, passages[row]) for row in rows]
            with self._turn:
                scores[rows] = self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
        if not np.isfinite(scores).all():
            raise ModelError("it gave scores that are not finite", where=self.name, remedy=NOT_FINITE)
        return scores


def load_cross(settings: RerankSettings, encode: EncodeSettings = AUTO) -> CrossReranker:
    """The cross-encoder that the settings name.

    Raises:
        ModelError: not found, not to be trusted without being told to, or not a scorer.
        MissingExtraError: sentence-transformers is not installed.
    """
    return CrossReranker(find_trusted(settings, "rerank"), settings, encode)
