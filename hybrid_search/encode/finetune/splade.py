"""A SPLADE model, by sentence-transformers' trainer: SpladeLoss, whose regularisers keep vectors sparse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.finetune.dense import apart, columns_of
from hybrid_search.encode.finetune.fit import SPARSE_ENCODER, adapt, fit
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Fitted, Pair, Validation
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.loading import find_trusted, load_model
from hybrid_search.settings import SparseSettings

DOCUMENT_PRESSURE, QUERY_PRESSURE = 3e-5, 5e-5
"""Weights of FLOPS (Paria et al. 2020, arXiv:2004.05665), as in the library's own recipes for MS MARCO."""


class SpladeStudent:
    """A SPLADE model that is trained.

    Args:
        settings: which model and where.
        recipe: how.

    Raises:
        ModelError: the model cannot be found, loaded or trusted.
    """

    def __init__(self, settings: SparseSettings, recipe: Recipe) -> None:
        self.folder: Path = find_trusted(settings, "sparse")
        self.recipe = recipe
        self.model: Any = load_model("SparseEncoder", self.folder, settings, "sparse")
        self._own_limit = self.model.max_seq_length
        if recipe.lora:
            adapt(self.model, recipe.lora, recipe.seed)

    def scores(self, queries: Sequence[str], passages: Sequence[str]) -> NDArray[np.float32]:
        """Dot products by the model as it is, (queries, passages)."""
        import torch

        quiet: dict[str, Any] = {"show_progress_bar": False, "batch_size": 16, "convert_to_sparse_tensor": True}
        with torch.inference_mode():
            asked = self.model.encode_query(list(queries), **quiet)
            found = self.model.encode_document(list(passages), **quiet)
            scores: NDArray[np.float32] = torch.sparse.mm(found, asked.to_dense().T).T.float().cpu().numpy()
        return scores

    def fit(self, pairs: Sequence[Pair], validation: Validation, watch: Watch) -> Fitted:
        """Train on pairs, in place."""

        def look() -> float:
            self.model.max_seq_length = self._own_limit
            found = validation.fused(self.scores(validation.queries, validation.passages))
            self.model.max_seq_length = self._limit()
            return found

        watch.look = look
        self.model.max_seq_length = self._limit()
        sampler = apart(pairs) if self.recipe.loss == "contrastive" else None
        columns = columns_of(pairs, self.recipe)
        fitted = fit(SPARSE_ENCODER, self.model, columns, self._loss(), watch, sampler=sampler)
        self.model.max_seq_length = self._own_limit
        return fitted

    def save(self, folder: Path) -> None:
        """Write the model as the library does."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    def _limit(self) -> int:
        return min(int(self._own_limit or self.recipe.max_tokens), self.recipe.max_tokens)

    def _loss(self) -> Any:
        from sentence_transformers.sparse_encoder import losses

        pressure: dict[str, Any] = {
            "document_regularizer_weight": DOCUMENT_PRESSURE,
            "query_regularizer_weight": QUERY_PRESSURE,
        }
        if self.recipe.loss == "distill":
            return losses.SpladeLoss(self.model, losses.SparseMarginMSELoss(self.model), **pressure)
        contrastive = losses.SparseMultipleNegativesRankingLoss(self.model)
        size = min(self.recipe.mini_batch, self.recipe.batch)
        return losses.CachedSpladeLoss(self.model, contrastive, mini_batch_size=size, **pressure)
