"""Pairs of query and passage for a cross-encoder, each text tokenized once however many pairs it is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import tokenizers

PARTS: Mapping[str, str] = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""What a model takes, and where an encoding has it."""

PROBES = [("a", "b"), ("how long", "a " * 700), ("b " * 400, "a " * 400), ("", "short")]
"""Pairs on which tokens of our own must give the library's scores: cut ones among them, on either side."""

AGREE = 1e-5
UNLIMITED = 1e9
"""Tokenizers without a limit say some larger number."""


class PairModel:
    """The forward pass of a ``CrossEncoder`` over tokens that were made here; safe to share between threads.

    Args:
        model: the loaded model.
        tokenizer: its tokenizer, neither cutting nor padding; it is copied.

    Raises:
        ValueError: the model takes something that an encoding of a pair has not.
    """

    def __init__(self, model: Any, tokenizer: tokenizers.Tokenizer) -> None:
        self._model = model
        sample: Mapping[str, Any] = model.preprocess([PROBES[0]])
        self._others = {name: value for name, value in sample.items() if not isinstance(value, Tensor)}
        self._parts = {name: PARTS.get(name, "") for name, value in sample.items() if isinstance(value, Tensor)}
        if not all(self._parts.values()):
            raise ValueError(", ".join(self._parts))
        own = model.tokenizer
        self._left = own.padding_side == "left"
        self._pads = {"input_ids": own.pad_token_id or 0, "token_type_ids": own.pad_token_type_id}
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        limit = model.max_seq_length if hasattr(model, "max_seq_length") else model.max_length  # 5.1 has the latter
        if limit is not None and limit < UNLIMITED:
            self._tokenizer.enable_truncation(int(limit))
        self._plain = tokenizer

    def tokenized(self, pairs: Sequence[tuple[str, str]]) -> list[tokenizers.Encoding]:
        """The encoding of each pair, cut at the model's length."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        whole = dict(zip(texts, self._plain.encode_batch(texts, add_special_tokens=False), strict=True))
        return [self._tokenizer.post_process(whole[query], whole[passage]) for query, passage in pairs]

    @torch.inference_mode()
    def __call__(self, encodings: Sequence[tokenizers.Encoding]) -> Tensor:
        """Scores of shape (n,) by the model's own activation, on its device."""
        longest = max(len(one) for one in encodings)
        features = {name: self._padded(encodings, name, longest) for name in self._parts}
        scores = self._model({**self._others, **features})["scores"].float()
        return self._model.activation_fn(scores).reshape(len(encodings))  # type: ignore[no-any-return]  # a tensor

    def _padded(self, encodings: Sequence[tokenizers.Encoding], name: str, longest: int) -> Tensor:
        padded = np.full((len(encodings), longest), self._pads.get(name, 0), np.int64)
        for row, encoding in enumerate(encodings):
            values = getattr(encoding, self._parts[name])
            padded[row, slice(longest - len(values), None) if self._left else slice(len(values))] = values
        return torch.from_numpy(padded).to(self._model.device)


def pair_model(model: Any, tokenizer: tokenizers.Tokenizer, predict: Callable[[Any], Any]) -> PairModel | None:
    """The model over tokens of our own, where it gives what the library gives; None where it does not.

    Args:
        model: the loaded model.
        tokenizer: its tokenizer, neither cutting nor padding.
        predict: scores of pairs by the library.
    """
    try:
        ours = PairModel(model, tokenizer)
        found = ours(ours.tokenized(PROBES)).cpu().numpy()
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):  # another release, another architecture
        return None
    wanted = np.asarray(predict(PROBES), dtype=np.float32).reshape(-1)
    agrees = found.shape == wanted.shape and bool(np.allclose(found, wanted, atol=AGREE, rtol=AGREE))
    return ours if agrees else None
