"""The cross-encoder reranker: query and passage read together, one score (arXiv:1901.04085, SBERT 1908.10084)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.batching import CPU_SIZES, GPU_SIZES, USUAL, TokenBudget, once, packed
from hybrid_search.encode.loading import NOT_FINITE, fast_tokenizer, find_trusted, load_model, probe
from hybrid_search.encode.tokens import TokenSpans
from hybrid_search.errors import ModelError
from hybrid_search.settings import EncodeSettings, RerankSettings
from hybrid_search.settings.models import AUTO

if TYPE_CHECKING:
    from torch import device

TOKENS_PER_PAIR = 256
"""Tokens in one pass for each pair of ``batch_size``."""

CPU_TOKENS, GPU_TOKENS = 64, 512
"""The same where the settings leave the size open: activations that stay in the cache, or fill the device."""


class CrossReranker:
    """Scores of a ``sentence_transformers.CrossEncoder`` on the model's own scale (logits or probabilities).

    Pairs longer than the model reads are cut by its tokenizer. Tokens are made here, each text once, where the model
    then gives what the library gives; else calls take turns, because the library changes its tokenizer's settings from
    call to call.

    Args:
        folder: a model that may be loaded.
        settings: device and batch size (pairs of 256 tokens in one forward pass).
        encode: backend and precision.

    Raises:
        ModelError: the model gives several labels instead of one score.
    """

    def __init__(self, folder: Path, settings: RerankSettings, encode: EncodeSettings) -> None:
        from hybrid_search.encode.backends.graft import graft
        from hybrid_search.encode.first_token import only_first_token
        from hybrid_search.encode.onednn import use_onednn
        from hybrid_search.encode.pairs import PROBES, pair_model

        self._model = load_model("CrossEncoder", folder, settings, "rerank")
        use_onednn(self._model)
        self._turn = threading.Lock()
        self.budget = _budget(settings.batch_size, self._model.device)
        tokenizer = fast_tokenizer(self._model, folder)
        self._spans = TokenSpans(tokenizer)
        self.name = settings.model
        labels = self._model.num_labels
        if labels != 1:
            remedy = "A reranker needs a model with one"
            raise ModelError(f"it classifies into {labels} labels", where=self.name, remedy=remedy)
        only_first_token(self._model, lambda: np.asarray(self._predicted(PROBES), dtype=np.float32))
        self.networks = graft(self._model, lambda: probe(self._model, "rerank"), encode, folder)
        self._pairs = pair_model(self._model, tokenizer, self._predicted)

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape (n,), float32, in the order of ``passages``.

        Raises:
            ModelError: they are not finite.
        """
        return self.score_pairs([(query, passage) for passage in passages])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Scores of pairs of many queries, batched together by their length, equal ones once; (n,), float32, in order.

        Raises:
            ModelError: they are not finite.
        """
        different, places = once(pairs)
        scores = np.empty(len(different), dtype=np.float32)
        lengths, forward = self._prepared(different)
        for rows, found in packed(lengths, self.budget, forward):
            scores[rows] = found
        if not np.isfinite(scores).all():
            raise ModelError("it gave scores that are not finite", where=self.name, remedy=NOT_FINITE)
        return scores if different is pairs else scores[places]

    def _prepared(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[int], Any]:
        """The length of each pair in tokens, and the pass over some of them."""
        ours = self._pairs
        if ours is None or not pairs:
            texts = list(dict.fromkeys(text for pair in pairs for text in pair))
            count = {text: len(spans) for text, spans in zip(texts, self._spans.spans(texts), strict=True)}
            lengths = [count[query] + count[passage] for query, passage in pairs]
            return lengths, lambda rows: self._predicted([pairs[row] for row in rows])
        encodings = ours.tokenized(pairs)
        return [len(one) for one in encodings], lambda rows: ours([encodings[row] for row in rows]).cpu().numpy()

    def _predicted(self, pairs: Sequence[tuple[str, str]]) -> Any:
        with self._turn:
            return self._model.predict(list(pairs), batch_size=len(pairs), show_progress_bar=False)


def _budget(batch_size: int, where: device) -> TokenBudget:
    from hybrid_search.encode.devices import synchronize

    if batch_size != USUAL:
        return TokenBudget(batch_size * TOKENS_PER_PAIR, (1.0,))
    tokens, sizes = (CPU_TOKENS, CPU_SIZES) if where.type == "cpu" else (GPU_TOKENS, GPU_SIZES)
    return TokenBudget(USUAL * tokens, sizes, wait=lambda: synchronize(where))


def load_cross(settings: RerankSettings, encode: EncodeSettings = AUTO) -> CrossReranker:
    """The cross-encoder that the settings name.

    Raises:
        ModelError: not found, not to be trusted without being told to, not a scorer, or not to be run by this backend.
        MissingExtraError: sentence-transformers, or a backend that is named, is not installed.
    """
    return CrossReranker(find_trusted(settings, "rerank"), settings, encode)
