"""Trains the starter head: its word map on the encoder's vectors of words, its token weights on cached states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hybrid_search.encode.starter_head import StarterHead
from training.states import StateFile


@dataclass(frozen=True)
class Recipe:
    """Every number of the training run.

    ``teacher_share``: weight of the encoder's own similarities in the targets, the rest is the natural pair.
    ``max_sim_share``: how much of these is MaxSim over token states rather than the cosine of the pooled vectors.
    ``group``: texts near to each other that enter a batch together, as each other's hard negatives.
    ``document_flops``, ``query_flops``: sparsity pressure (Paria et al. 2020, arXiv:2004.05665).
    ``inference_free``: weight of the loss over queries that are bags of idf weights.
    ``map_...``: steps, batch, learning rate and weight decay of the word map.
    """

    seed: int = 0
    steps: int = 400
    batch: int = 64
    group: int = 16
    rate: float = 2e-3
    teacher_share: float = 0.8
    teacher_scale: float = 20.0
    max_sim_share: float = 0.5
    document_flops: float = 0.015
    query_flops: float = 0.12
    inference_free: float = 0.3
    average_decay: float = 0.98
    map_steps: int = 3000
    map_batch: int = 512
    map_rate: float = 3e-3
    map_decay: float = 0.05


def fit_word_map(head: StarterHead, vectors: Tensor, recipe: Recipe) -> float:
    """Teach the word map where the encoder places each target as a text; the mean cosine reached.

    Args:
        head: trained in place, its words are placed.
        vectors: unit vectors of the targets (targets, hidden).
        recipe: the numbers that begin with ``map_``.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(head.word_map.parameters(), lr=recipe.map_rate, weight_decay=recipe.map_decay)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, recipe.map_steps)
    for _ in range(recipe.map_steps):
        rows = torch.randint(len(vectors), (recipe.map_batch,), generator=generator)
        loss = 1 - (head.word_map(head.embeddings[rows]) * vectors[rows]).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    head.place_words()
    return float((head.words * vectors).sum(1).mean())


def clustered_order(dense: NDArray[np.float32], size: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """A random order of the rows in which runs of about ``size`` are near to each other (random projection tree)."""

    def split(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        if len(rows) <= size:
            return [rows]
        one, other = chance.choice(rows, 2, replace=False)
        rows = rows[np.argsort(dense[rows] @ (dense[one] - dense[other]))]
        middle = len(rows) // 2
        return split(rows[:middle]) + split(rows[middle:])

    groups = split(chance.permutation(len(dense)))
    return np.concatenate([groups[n] for n in chance.permutation(len(groups))])


def batches(dense: NDArray[np.float32], recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Endless batches of row numbers, a new order each epoch."""
    chance = np.random.default_rng(recipe.seed + 1)
    while True:
        order = clustered_order(dense, recipe.group, chance)
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            yield order[start : start + recipe.batch]


def max_sim(queries: tuple[Tensor, Tensor], passages: tuple[Tensor, Tensor]) -> Tensor:
    """Mean over query tokens of the maximum cosine over passage tokens, (n, m), of (states, mask) of each side."""
    (query_states, query_mask), (states, mask) = queries, passages
    query_units = functional.normalize(query_states, dim=-1) * query_mask[..., None]
    units = functional.normalize(states, dim=-1) * mask[..., None]
    n, m = len(query_units), len(units)
    cosines = query_units.flatten(0, 1) @ units.flatten(0, 1).T
    return cosines.view(n, -1, m, units.shape[1]).amax(3).sum(1) / query_mask.sum(1, keepdim=True)


def soft_cross_entropy(scores: Tensor, teacher: Tensor, natural: float) -> Tensor:
    """Cross-entropy of each row against ``natural`` parts the diagonal and the rest the teacher's softmax."""
    target = (1 - natural) * torch.softmax(teacher, 1) + natural * torch.eye(len(scores))
    return -(target * torch.log_softmax(scores, 1)).sum(1).mean()


def flops(vectors: Tensor) -> Tensor:
    """Sum of squared mean activations: the expected cost of scoring a random pair."""
    return (vectors.mean(0) ** 2).sum()


@dataclass(frozen=True)
class Texts:
    """Queries and passages, row by row: row n of one belongs to row n of the other."""

    queries: StateFile
    passages: StateFile


def step_loss(
    head: StarterHead, temperature: Tensor, texts: Texts, rows: NDArray[np.int64], *, recipe: Recipe, pressure: float
) -> Tensor:
    """The loss of one batch; ``pressure`` from 0 to 1 lets sparsity in slowly."""
    query_batch, passage_batch = texts.queries.batch(rows), texts.passages.batch(rows)
    query, passage = head.query(*query_batch), head(*passage_batch)
    teacher = torch.from_numpy(recipe.teacher_scale * texts.queries.dense[rows] @ texts.passages.dense[rows].T)
    if recipe.max_sim_share > 0:
        with torch.no_grad():
            late = recipe.teacher_scale * max_sim(query_batch[1:], passage_batch[1:])
            teacher = (1 - recipe.max_sim_share) * teacher + recipe.max_sim_share * late
    natural = 1 - recipe.teacher_share
    scores = query @ passage.T * temperature.exp()
    loss = soft_cross_entropy(scores, teacher, natural) + 0.5 * soft_cross_entropy(scores.T, teacher.T, natural)
    if recipe.inference_free > 0:
        bags = head.inference_free(query_batch[0], query_batch[2])
        loss = loss + recipe.inference_free * soft_cross_entropy(bags @ passage.T * temperature.exp(), teacher, natural)
    return loss + pressure * (recipe.document_flops * flops(passage) + recipe.query_flops * flops(query))


AfterStep = Callable[[int, float, StarterHead], None]


def train(head: StarterHead, texts: Texts, recipe: Recipe, after_step: AfterStep) -> None:
    """Train the token weights in place; ``after_step(step, loss, average)`` is called after every step, from 1.

    ``average`` is the exponential moving average of the weights: what is evaluated and kept, because single steps on
    little text differ more in retrieval than in their loss.
    """
    temperature = torch.nn.Parameter(torch.tensor(0.0))
    scalars = [head.idf_scale, head.token_bias, temperature]
    optimizer = torch.optim.AdamW(
        [{"params": [head.token_weight], "lr": recipe.rate}, {"params": scalars, "lr": 5 * recipe.rate}],
        weight_decay=0.0,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 30) * (1 - 0.95 * step / recipe.steps)
    )
    averaged = AveragedModel(head, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))
    source = batches(texts.passages.dense, recipe)
    for step in range(recipe.steps):
        pressure = min(1.0, step / recipe.steps / 0.4) ** 2
        loss = step_loss(head, temperature, texts, next(source), recipe=recipe, pressure=pressure)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([head.token_weight, *scalars], 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(head)
        after_step(step + 1, float(loss.detach()), averaged.module)
