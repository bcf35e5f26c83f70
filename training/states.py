"""Token states of the frozen encoder, computed once and kept on disk.

The head is trained and evaluated on the last hidden states of all-MiniLM-L6-v2, which never change: encoding every
text once turns each training step into a few small matrix products.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_search.encode.batching import batches
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.tokens import Cutter
from hybrid_search.settings import DenseSettings

TOKEN_BUDGET = 8192
HIDDEN = 384


class StateFile:
    """Texts of one set: token ids, last hidden states (float16, memory-mapped) and mean-pooled unit vectors."""

    def __init__(self, folder: Path) -> None:
        self.ids: NDArray[np.int32] = np.load(folder / "ids.npy")
        self.offsets: NDArray[np.int64] = np.load(folder / "offsets.npy")
        self.dense: NDArray[np.float32] = np.load(folder / "dense.npy")
        self.states: NDArray[np.float16] = np.load(folder / "states.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, special tokens included."""
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int] | NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Padded ``ids`` (n, t), ``states`` (n, t, hidden) float32 and boolean ``mask`` (n, t) of some texts."""
        lengths = [int(self.offsets[row + 1] - self.offsets[row]) for row in rows]
        shape = (len(lengths), max(lengths))
        ids = np.zeros(shape, np.int64)
        mask = np.zeros(shape, bool)
        states = np.zeros((*shape, self.states.shape[1]), np.float32)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            start = self.offsets[row]
            ids[place, :length] = self.ids[start : start + length]
            states[place, :length] = self.states[start : start + length]
            mask[place, :length] = True
        return torch.from_numpy(ids), torch.from_numpy(states), torch.from_numpy(mask)


class Progress:
    """Says every half minute how many tokens are done.

    Args:
        name: of the set.
        total: tokens in all.
    """

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.began = self.told = time.monotonic()

    def add(self, tokens: int) -> None:
        """Count some more tokens."""
        self.done += tokens
        now = time.monotonic()
        if now - self.told > 30:
            self.told = now
            rate = self.done / (now - self.began)
            print(f"{self.name}: {self.done:,} of {self.total:,} tokens, {rate:,.0f}/s", flush=True)


def length_batches(lengths: NDArray[np.int64], budget: int = TOKEN_BUDGET) -> Iterator[NDArray[np.int64]]:
    """Row numbers in batches of similar length, longest first, each at most ``budget`` tokens after padding."""
    for rows in batches(lengths.tolist(), budget=budget):
        yield np.array(rows)


def encode(texts: Sequence[str], folder: Path, *, max_tokens: int) -> StateFile:
    """Encode ``texts``, cut to ``max_tokens``, into ``folder``; a finished folder is read and not encoded again.

    Raises:
        TypeError: the encoder has no token states.
    """
    if (folder / "done").exists():
        return StateFile(folder)
    folder.mkdir(parents=True, exist_ok=True)
    encoder = load_dense(DenseSettings(max_tokens=max_tokens, device="cpu"))
    ids = Cutter(encoder.backbone.tokenizer, max_tokens, folder.name).ids(texts)
    ends = np.cumsum([0, *(len(row) for row in ids)])
    states = np.lib.format.open_memmap(folder / "states.npy", "w+", np.float16, (int(ends[-1]), HIDDEN))
    dense = np.zeros((len(ids), HIDDEN), np.float32)
    progress = Progress(folder.name, int(ends[-1]))
    for rows, output in encoder.forward(texts, query=False):
        if output.states is None:
            raise TypeError(f"{encoder.fingerprint.name} has no token states")
        dense[rows] = output.embeddings.numpy()
        for row, text_states, mask in zip(rows, output.states.half().numpy(), output.mask.numpy(), strict=True):
            states[ends[row] : ends[row + 1]] = text_states[mask]
        progress.add(int(output.mask.sum()))
    states.flush()
    for name, array in (("dense", dense), ("offsets", ends), ("ids", np.concatenate(ids).astype(np.int32))):
        np.save(folder / f"{name}.npy", array)
    (folder / "done").touch()
    return StateFile(folder)
