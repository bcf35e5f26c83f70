"""The two students: a sparse encoder and a cross-encoder, both MiniLM with adapters on all layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from hybrid_search.encode.starter_head import StarterHead
from training.gpu.lora import adapt

MAX_TOKENS = 256


class SparseStudent(nn.Module):
    """The starter head on token states that may change; scores are dot products of sparse vectors.

    Args:
        folder: the encoder's files.
        head: the trained starter head to go on from.
    """

    def __init__(self, folder: Path, head: StarterHead) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.transformer = AutoModel.from_pretrained(folder)
        adapt(self.transformer)
        self.head = head.requires_grad_(requires_grad=True)
        self.scale = nn.Parameter(torch.tensor(0.0))

    def vectors(self, texts: Sequence[str], encode: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Sparse vectors (n, vocabulary) with gradient; ``encode`` is the head, or its ``query``."""
        batch = self.tokenizer(
            list(texts), truncation=True, max_length=MAX_TOKENS, padding=True, return_tensors="pt"
        ).to(self.scale.device)
        states = self.transformer(**batch).last_hidden_state.float()
        return encode(batch["input_ids"], states, batch["attention_mask"].bool())

    def forward(self, queries: Sequence[str], passages: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Scores (n, length) of each query's list, and the sparsity loss."""
        query = self.vectors(queries, self.head.query)
        passage = self.vectors([text for own in passages for text in own], self.head)
        scores = torch.einsum("qv,qlv->ql", query, passage.view(len(queries), -1, passage.shape[1]))
        flops = 0.12 * (query.mean(0) ** 2).sum() + 0.02 * (passage.mean(0) ** 2).sum()
        return scores * self.scale.exp(), flops


class CrossStudent(nn.Module):
    """Query and passage read together; the score is a linear function of the first token's state.

    Args:
        folder: the encoder's files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.transformer = AutoModel.from_pretrained(folder)
        adapt(self.transformer)
        hidden = self.transformer.config.hidden_size
        self.score = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, queries: Sequence[str], passages: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Scores (n, length) of each query's list, and a sparsity loss of zero."""
        pairs = [(query, text) for query, own in zip(queries, passages, strict=True) for text in own]
        batch = self.tokenizer(
            [query for query, _ in pairs],
            [text for _, text in pairs],
            truncation="only_second",
            max_length=MAX_TOKENS,
            padding=True,
            return_tensors="pt",
        ).to(self.score[0].weight.device)
        states = self.transformer(**batch).last_hidden_state[:, 0].float()
        return self.score(states).view(len(queries), -1), states.new_zeros(())
