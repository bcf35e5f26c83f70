"""Token states of the frozen encoder, computed once for each text and kept on disk, 16 bits each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hybrid_search.encode.dense import DenseEncoder
from hybrid_search.encode.finetune.records import OnProgress
from hybrid_search.errors import ModelError

Batch = tuple[Tensor, Tensor, Tensor]
"""Padded ``ids`` (n, t), ``states`` (n, t, hidden) float32 and boolean ``mask`` (n, t)."""

BLOCK = 256


class States:
    """States of texts by their place; different texts are encoded once.

    Args:
        encoder: the frozen bi-encoder.
        texts: any; equal ones share their states.
        file: where the states are kept; written anew.
        max_tokens: of a text, special ones included; the rest is left out.
        query: whether these are queries.
        progress: told how far it is.
    """

    def __init__(
        self,
        encoder: DenseEncoder,
        texts: Sequence[str],
        file: Path,
        *,
        max_tokens: int,
        query: bool,
        progress: OnProgress,
    ) -> None:
        different = list(dict.fromkeys(texts))
        place = {text: number for number, text in enumerate(different)}
        self._places = [place[text] for text in texts]
        self._ids: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(different)
        self._starts = [0] * len(different)
        written = 0
        with file.open("wb") as opened, torch.inference_mode():
            for begin in range(0, len(different), BLOCK):
                for rows, output in encoder.forward(different[begin : begin + BLOCK], query=query):
                    if output.states is None:
                        raise ModelError("this model has no token states", where=encoder.fingerprint.name)
                    for row, ids, states, mask in zip(rows, output.ids, output.states, output.mask, strict=True):
                        kept = states[mask][:max_tokens].half().cpu().numpy()
                        self._ids[begin + row] = ids[mask][:max_tokens].cpu().numpy()
                        self._starts[begin + row] = written
                        opened.write(kept.tobytes())
                        written += len(kept)
                progress("encode", min(begin + BLOCK, len(different)), len(different))
        hidden = encoder.backbone.dimension
        self._states = np.memmap(file, np.float16, "r", shape=(max(written, 1), hidden)) if written else None
        self._hidden = hidden

    def __len__(self) -> int:
        return len(self._places)

    def ids(self) -> list[NDArray[np.int64]]:
        """Token ids of the different texts."""
        return self._ids

    def batch(self, rows: Sequence[int]) -> Batch:
        """Some texts, padded."""
        places = [self._places[row] for row in rows]
        longest = max((len(self._ids[place]) for place in places), default=0)
        ids = np.zeros((len(places), longest), np.int64)
        mask = np.zeros((len(places), longest), bool)
        states = np.zeros((len(places), longest, self._hidden), np.float32)
        for row, place in enumerate(places):
            length = len(self._ids[place])
            ids[row, :length], mask[row, :length] = self._ids[place], True
            if self._states is not None:
                states[row, :length] = self._states[self._starts[place] : self._starts[place] + length]
        return torch.from_numpy(ids), torch.from_numpy(states), torch.from_numpy(mask)
