"""The cross-encoder, by sentence-transformers' trainer: relevant or not (binary cross-entropy), or a teacher's margins.

Measured as it is used: the first hits of the fused ranking, scored again and combined with their fused scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.finetune.dense import columns_of
from hybrid_search.encode.finetune.fit import CROSS_ENCODER, adapt, fit
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Fitted, Pair
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.kinds import kind_of
from hybrid_search.encode.loading import find_trusted, load_model
from hybrid_search.encode.sources import find_model
from hybrid_search.settings import RerankSettings

Score = Callable[[str, Sequence[str]], NDArray[np.float32]]
"""Scores of passages for a query."""


class CrossStudent:
    """A cross-encoder that is trained.

    Args:
        settings: which model and where; a bi-encoder is given a head of random weights by the seed.
        recipe: how.

    Raises:
        ModelError: the model cannot be found, loaded or trusted.
    """

    def __init__(self, settings: RerankSettings, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder, self.model = _loaded(settings, recipe.seed)
        if recipe.lora:
            adapt(self.model, recipe.lora, recipe.seed)
            for name, parameter in self.model.named_parameters():
                if "classifier" in name or "score" in name:
                    parameter.requires_grad_(True)

    def fit(self, pairs: Sequence[Pair], measured: Callable[[Score], float], watch: Watch) -> Fitted:
        """Train on pairs, in place; ``measured`` is nDCG@10 of what scores make of the validation queries."""

        def score(query: str, passages: Sequence[str]) -> NDArray[np.float32]:
            found = self.model.predict([(query, one) for one in passages], show_progress_bar=False)
            return np.asarray(found, np.float32)

        def look() -> float:
            return measured(score)

        watch.look = look
        return fit(CROSS_ENCODER, self.model, self._columns(pairs), self._loss(), watch)

    def save(self, folder: Path) -> None:
        """Write the model as the library does."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    def _columns(self, pairs: Sequence[Pair]) -> dict[str, Sequence[Any]]:
        if self.recipe.loss == "distill":
            return columns_of(pairs, self.recipe)
        rows = [(pair.query, pair.positive, 1.0) for pair in pairs]
        rows += [(pair.query, text, 0.0) for pair in pairs for text in pair.negatives]
        query, passage, label = zip(*rows, strict=True)
        return {"query": query, "passage": passage, "label": label}

    def _loss(self) -> Any:
        import torch
        from sentence_transformers.cross_encoder import losses

        if self.recipe.loss == "distill":
            return losses.MarginMSELoss(self.model)
        return losses.BinaryCrossEntropyLoss(self.model, pos_weight=torch.tensor(float(self.recipe.negatives)))


def _loaded(settings: RerankSettings, seed: int) -> tuple[Path, Any]:
    """The files of the base, and the model; of a bi-encoder, its transformer under a new head."""
    base = find_model(settings.model, allow_pickle=settings.allow_pickle, trust_remote_code=settings.trust_remote_code)
    if kind_of(base).role != "dense":
        folder = find_trusted(settings, "rerank")
        return folder, load_model("CrossEncoder", folder, settings, "rerank")
    import tempfile

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from hybrid_search.encode.loading import quiet

    with tempfile.TemporaryDirectory() as made, quiet():
        torch.manual_seed(seed)
        AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, use_safetensors=True).save_pretrained(
            made
        )
        AutoTokenizer.from_pretrained(base).save_pretrained(made)
        named = RerankSettings(model=made, device=settings.device)
        return base, load_model("CrossEncoder", Path(made), named, "rerank")
