"""How often each token occurs in the training texts: its idf, and which words an expansion may add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray

TOKENS_OF_A_TEXT = 128  # as many as count: a longer text would hold every frequent word
BLOCK = 2000
TARGET_MINIMUM = 12  # texts that must hold a word before its logit can be learned


def tokens_by_id(tokenizer: tokenizers.Tokenizer) -> list[str]:
    """The vocabulary as a list."""
    by_id = {number: token for token, number in tokenizer.get_vocab().items()}
    return [by_id[number] for number in range(len(by_id))]


def document_frequency(texts: Sequence[str], tokenizer: tokenizers.Tokenizer) -> NDArray[np.int64]:
    """How many texts hold each token, shape (vocabulary,)."""
    frequency = np.zeros(tokenizer.get_vocab_size(), np.int64)
    for start in range(0, len(texts), BLOCK):
        for encoding in tokenizer.encode_batch(list(texts[start : start + BLOCK])):
            frequency[np.unique(encoding.ids[:TOKENS_OF_A_TEXT])] += 1
    return frequency


def inverse(frequency: NDArray[np.int64], texts: int) -> NDArray[np.float32]:
    """``ln((n + 1) / (df + 1))``."""
    return np.log((texts + 1) / (frequency + 1)).astype(np.float32)


def whole_texts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Query and passage of each pair as one text."""
    return [f"{query} {passage}" for query, passage in pairs]
