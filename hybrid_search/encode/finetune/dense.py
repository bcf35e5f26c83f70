"""The bi-encoder, by sentence-transformers' trainer: contrastive with cached gradients, or by a teacher's margins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.finetune.fit import BI_ENCODER, adapt, fit, half_precision
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Fitted, Pair, Validation
from hybrid_search.encode.finetune.scores import dense_scores
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.folder import Prompts, read_prompts
from hybrid_search.encode.loading import find_trusted, load_model
from hybrid_search.settings import DenseSettings

QUIET: Mapping[str, Any] = {"show_progress_bar": False, "convert_to_tensor": True}
SCALE = 20.0
"""Of cosines in the softmax, as the model was made with."""


class DenseStudent:
    """A bi-encoder that is trained.

    Args:
        settings: which model, its prompts and device.
        recipe: how.

    Raises:
        ModelError: the model cannot be found, loaded or trusted, or has fewer components than a size asks for.
    """

    def __init__(self, settings: DenseSettings, recipe: Recipe) -> None:
        self.folder: Path = find_trusted(settings, "dense")
        self.recipe = recipe
        self.model: Any = load_model("SentenceTransformer", self.folder, settings, "dense")
        self.prompts: Prompts = read_prompts(
            self.folder, query=settings.query_prompt, document=settings.document_prompt
        )
        self._own_limit = self.model.max_seq_length
        if recipe.lora:
            adapt(self.model, recipe.lora, recipe.seed)

    def scores(self, queries: Sequence[str], passages: Sequence[str]) -> NDArray[np.float32]:
        """Of the model as it is, (queries, passages); passages whole."""
        self.model.max_seq_length = self._own_limit
        found = dense_scores(self._encoded(queries, self.prompts.query), self._encoded(passages, self.prompts.document))
        self.model.max_seq_length = self._limit()
        return found

    def fit(self, pairs: Sequence[Pair], validation: Validation, watch: Watch) -> Fitted:
        """Train on pairs, in place."""

        def look() -> float:
            return validation.fused(self.scores(validation.queries, validation.passages))

        watch.look = look
        self.model.max_seq_length = self._limit()
        columns = columns_of(pairs, self.recipe)
        prompts = {"query": self.prompts.query, **dict.fromkeys(list(columns)[1:], self.prompts.document)}
        prompts = {name: prompt for name, prompt in prompts.items() if prompt and name != "label"}
        sampler = apart(pairs) if self.recipe.loss == "contrastive" else None
        fitted = fit(BI_ENCODER, self.model, columns, self._loss(), watch, sampler=sampler, prompts=prompts)
        self.model.max_seq_length = self._own_limit
        return fitted

    def save(self, folder: Path) -> None:
        """Write the model as the library does, its prompts and limit as they were."""
        self.model.save_pretrained(str(folder), create_model_card=False)

    def _limit(self) -> int:
        return min(int(self._own_limit or self.recipe.max_tokens), self.recipe.max_tokens)

    def _loss(self) -> Any:
        from sentence_transformers.sentence_transformer import losses

        loss: Any
        if self.recipe.loss == "distill":
            loss = losses.MarginMSELoss(self.model)
        elif self.recipe.mini_batch >= self.recipe.texts:  # the same gradients, without the second pass
            loss = losses.MultipleNegativesRankingLoss(self.model, scale=SCALE)
        else:
            size = self.recipe.mini_batch
            loss = losses.CachedMultipleNegativesRankingLoss(self.model, scale=SCALE, mini_batch_size=size)
        if not self.recipe.dimensions:
            return loss
        return losses.MatryoshkaLoss(self.model, loss, list(self.recipe.dimensions))

    def _encoded(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        import torch

        on_cpu = self.model.device.type == "cpu"
        enabled = half_precision(on_cpu=on_cpu, torch=torch)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=enabled):
            found = self.model.encode(list(texts), prompt=prompt or None, batch_size=16 if on_cpu else 64, **QUIET)
        rows: NDArray[np.float32] = found.float().cpu().numpy()
        return rows


def columns_of(pairs: Sequence[Pair], recipe: Recipe) -> dict[str, Sequence[Any]]:
    """The data set: queries, positives, and a column for each negative; with a teacher, its margins as labels."""
    columns: dict[str, Sequence[Any]] = {
        "query": [pair.query for pair in pairs],
        "positive": [pair.positive for pair in pairs],
    }
    for number in range(recipe.negatives):
        columns[f"negative_{number + 1}"] = [pair.negatives[number] for pair in pairs]
    if recipe.loss == "distill":
        columns["label"] = [list(pair.margins) for pair in pairs]
    return columns


def apart(pairs: Sequence[Pair]) -> Any:
    """A batch sampler in which no passage of a pair is relevant to the query of another, as in-batch negatives must be.

    The order is decided by the seed and the epoch; what fits no batch of an epoch is left for the next.
    """
    from sentence_transformers.base.sampler import DefaultBatchSampler

    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        relevant.setdefault(pair.query, set()).add(pair.document)

    class Apart(DefaultBatchSampler):
        def __init__(self, dataset: Any, batch_size: int, **options: Any) -> None:
            super().__init__(range(len(pairs)), batch_size, options.get("drop_last", False))
            del dataset
            self.seed, self.epoch = int(options.get("seed") or 0), 0
            self.batches = batches_apart(pairs, relevant, self.batch_size, self.seed)

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch
            self.batches = batches_apart(pairs, relevant, self.batch_size, self.seed + epoch)

        def __iter__(self) -> Any:
            return iter(self.batches)

        def __len__(self) -> int:
            return len(self.batches)

    return Apart


def batches_apart(pairs: Sequence[Pair], relevant: Mapping[str, set[str]], size: int, seed: int) -> list[list[int]]:
    """Rows of batches: ``ceil(pairs / size)`` of them, none with two pairs of which one answers the other."""
    import random

    rows = list(range(len(pairs)))
    random.Random(seed).shuffle(rows)  # noqa: S311 - a fixed order, no secret
    count = -(-len(pairs) // size)
    batches: list[list[int]] = [[] for _ in range(count)]
    queries: list[set[str]] = [set() for _ in range(count)]
    answers: list[set[str]] = [set() for _ in range(count)]
    wanted: list[set[str]] = [set() for _ in range(count)]
    for number, row in enumerate(rows):
        pair = pairs[row]
        for place in range(count):
            n = (number + place) % count
            is_free = len(batches[n]) < size and pair.query not in queries[n] and pair.document not in wanted[n]
            if is_free and not answers[n] & relevant[pair.query]:
                batches[n].append(row)
                queries[n].add(pair.query)
                answers[n].add(pair.document)
                wanted[n] |= relevant[pair.query]
                break
    return [batch for batch in batches if len(batch) > 1]
