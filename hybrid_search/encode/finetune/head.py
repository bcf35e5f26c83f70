"""The starter's sparse head on frozen states: the corpus's own idf, and what each token weighs in it.

Nothing but some hundred numbers is trained, so it takes minutes on a processor and can hardly be overdone:

* the idf of each term becomes that of the corpus, with the shipped one as a prior worth :data:`PRIOR` passages
  (a model cannot know how common a word is in one's own documents);
* token weight, scale and bias of a text's own words are trained by a contrastive loss, in-batch and hard negatives.

The words that are near to a text stay as the encoder places them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from hybrid_search.encode.finetune.dense import batches_apart
from hybrid_search.encode.finetune.fit import TRAINED, best_of, last_checkpoint, put_back
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Fitted, Pair, Validation
from hybrid_search.encode.finetune.states import BLOCK, States
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.encode.starter import WEIGHTS, StarterEncoder, read_head
from hybrid_search.encode.starter_files import HEAD, trained_head
from hybrid_search.encode.starter_head import StarterHead, packed

PRIOR = 500
WARM_UP = 0.1
DECAY = 0.98
"""Of the moving average of the weights, which is what is looked at and kept."""

ROWS = 32
"""Texts whose vocabulary-sized rows are alive at once."""


class HeadStudent:
    """A head that is trained.

    Args:
        starter: the encoder with the head to begin with.
        recipe: how.
    """

    def __init__(self, starter: StarterEncoder, recipe: Recipe) -> None:
        self.starter = starter
        self.folder = starter.bi_encoder.folder
        self.recipe = recipe
        self.head: StarterHead = copy.deepcopy(starter.head)
        for parameter in (self.head.token_weight, self.head.idf_scale, self.head.token_bias):
            parameter.requires_grad_(True)

    def fit(self, pairs: Sequence[Pair], corpus: Sequence[str], validation: Validation, watch: Watch) -> Fitted:
        """Train on pairs; the idf is that of ``corpus``, passages as models read them."""
        folder, encoder, progress = watch.folder, self.starter.bi_encoder, watch.progress
        limit: dict[str, Any] = {"max_tokens": self.recipe.max_tokens, "progress": progress}
        queries = States(encoder, [pair.query for pair in pairs], folder / "queries.f16", query=True, **limit)
        texts = [text for pair in pairs for text in (pair.positive, *pair.negatives)]
        passages = States(encoder, texts, folder / "passages.f16", query=False, **limit)
        asked = States(encoder, validation.queries, folder / "asked.f16", query=True, **limit)
        whole: dict[str, Any] = {"max_tokens": encoder.backbone.max_tokens, "progress": progress}
        looked = States(encoder, validation.passages, folder / "looked.f16", query=False, **whole)

        def look() -> float:
            return validation.fused(self.scores(asked, looked))

        watch.look = look
        self._count(corpus, watch)
        self._steps(pairs, queries, passages, watch)
        for name in ("queries", "passages", "asked", "looked"):
            (folder / f"{name}.f16").unlink()
        return watch.fitted()

    def scores(self, queries: States, passages: States) -> NDArray[np.float32]:
        """Of the head as it is, (queries, passages)."""
        with torch.inference_mode():
            asked = torch.cat([self.head.query(*queries.batch(rows)) for rows in _blocks(len(queries))])
            found = [asked @ self.head(*passages.batch(rows)).T for rows in _blocks(len(passages))]
        scores: NDArray[np.float32] = torch.cat(found, dim=1).numpy()
        return scores

    def _count(self, corpus: Sequence[str], watch: Watch) -> None:
        """Give each term the idf of the corpus, if the validation queries are not worse by it."""
        shipped = self.head.idf.clone()
        watch.looked(0)
        tokenizer = self.starter.bi_encoder.backbone.tokenizer
        blocks = (corpus[begin : begin + BLOCK] for begin in range(0, len(corpus), BLOCK))  # what it gives is large
        ids = (one.ids for block in blocks for one in tokenizer.encode_batch(list(block)))
        with torch.no_grad():
            self.head.idf.copy_(own_idf(self.head, ids))
            watch.looked(0)
            if watch.steps[1].fused < watch.steps[0].fused:
                self.head.idf.copy_(shipped)
                watch.steps.pop()

    def save(self, folder: Path) -> None:
        """The head as a folder that ``sparse.model`` takes."""
        folder.mkdir(parents=True, exist_ok=True)
        own = trained_head(self.starter.sparse.name) if self.starter.sparse else None
        before = read_head(own or WEIGHTS)
        metadata = {**before.metadata, "training_data": "the user's own corpus; see training.json"}
        save_file(packed(self.head), folder / HEAD, metadata)

    def _steps(self, pairs: Sequence[Pair], queries: States, passages: States, watch: Watch) -> None:
        recipe, folder = self.recipe, watch.folder
        relevant: dict[str, set[str]] = {}
        for pair in pairs:
            relevant.setdefault(pair.query, set()).add(pair.document)
        batches = [
            batch
            for epoch in range(recipe.epochs)
            for batch in batches_apart(pairs, relevant, recipe.batch, recipe.seed + epoch)
        ]
        temperature = torch.nn.Parameter(torch.tensor(0.0))
        trained = [self.head.token_weight, self.head.idf_scale, self.head.token_bias, temperature]
        optimizer = torch.optim.AdamW(trained, lr=recipe.largest_rate, weight_decay=0.0)
        average = [one.detach().clone() for one in trained]
        done = self._resumed(watch, optimizer, trained, average)
        if not done:
            best_of(self.head, folder)
        for step, batch in enumerate(batches[done:], start=done + 1):
            for group in optimizer.param_groups:
                group["lr"] = recipe.largest_rate * _share(step, len(batches))
            loss = self._loss(batch, queries, passages, temperature)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type here
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            with torch.no_grad():
                for kept, one in zip(average, trained, strict=True):
                    kept.lerp_(one, 1 - min(DECAY, step / (step + 1)))
            if watch.is_due(step, len(batches)):
                self._look(step, watch, trained, average)
                _keep(watch, {"step": step, "trained": trained, "average": average}, optimizer)
                if watch.is_over():
                    break
        put_back(self.head, folder / TRAINED)

    def _loss(self, batch: Sequence[int], queries: States, passages: States, temperature: Tensor) -> Tensor:
        width = 1 + self.recipe.negatives
        rows = [row * width + place for row in batch for place in range(width)]
        asked = self.head.query(*queries.batch(batch))
        parts = [self.head(*passages.batch(rows[n : n + ROWS])) for n in range(0, len(rows), ROWS)]
        scores = asked @ torch.cat(parts).T * temperature.exp() * 0.5
        return functional.cross_entropy(scores, torch.arange(len(batch)) * width)

    def _look(self, step: int, watch: Watch, trained: Sequence[Tensor], average: Sequence[Tensor]) -> None:
        """Look with the averaged weights in the place of the last ones."""
        last = [one.detach().clone() for one in trained]
        _set(trained, average)
        if watch.looked(step):
            best_of(self.head, watch.folder)
        _set(trained, last)

    def _resumed(self, watch: Watch, optimizer: Any, trained: Sequence[Tensor], average: Sequence[Tensor]) -> int:
        """Go on from the last checkpoint; the steps that are done."""
        checkpoint = last_checkpoint(watch.folder, "step.pt")
        if checkpoint is None:
            return 0
        watch.resume(checkpoint)
        kept = torch.load(checkpoint / "step.pt", weights_only=True)
        _set(trained, kept["trained"])
        _set(average, kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        return int(kept["step"])


def own_idf(head: StarterHead, texts: Iterable[Sequence[int]]) -> Tensor:
    """``ln((n + 1) / (df + 1))`` of each term in the corpus and in ``PRIOR`` texts of the shipped frequencies."""
    conflated = head.conflated.numpy()
    frequency, count = np.zeros(len(conflated)), 0
    for ids in texts:
        frequency[np.unique(conflated[np.asarray(ids, np.int64)])] += 1
        count += 1
    shipped = head.idf.numpy()
    expected = np.where(shipped > 0, np.exp(-shipped), 0.0) * PRIOR
    found = np.log((count + PRIOR + 1) / (frequency + expected + 1))
    return torch.from_numpy(np.where(shipped > 0, np.maximum(found, 0.0), 0.0).astype(np.float32))


def _keep(watch: Watch, state: Mapping[str, Any], optimizer: Any) -> None:
    """A checkpoint, whole or not there."""
    place = watch.folder / f"checkpoint-{state['step']}"
    place.mkdir(exist_ok=True)
    watch.keep(place)
    trained = [one.detach() for one in state["trained"]]
    torch.save({**state, "trained": trained, "optimizer": optimizer.state_dict()}, place / "step.new")
    (place / "step.new").replace(place / "step.pt")


def _set(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)


def _share(step: int, steps: int) -> float:
    """Of the largest rate: a linear warm-up, then half a cosine."""
    warm = max(1, round(WARM_UP * steps))
    if step <= warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _blocks(count: int) -> list[list[int]]:
    return [list(range(begin, min(begin + ROWS, count))) for begin in range(0, count, ROWS)]
