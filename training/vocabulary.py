"""How often each token occurs in the training texts, and which tokens are one term: idf, stems, targets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import snowballstemmer
import tokenizers
from numpy.typing import NDArray

from hybrid_search.encode.starter_head import STOP_WORDS

TOKENS_OF_A_TEXT = 128  # as many as count: a longer text would hold every frequent word
BLOCK = 2000
TARGET_MINIMUM = 12  # texts that must hold a word before it may be added: rarer ones are names and noise
# Chosen on NFCorpus dev / SciFact train, nDCG@10 of a bag of idf weights: no stems .2881 / .6435, all stems .2957 /
# .6447, from .2 .2960 / .6469, .3 .2968 / .6470, .4 .2964 / .6475, .5 .2973 / .6433.
SAME_WORD = 0.4
_WORD = re.compile(r"[a-z]{3,}")


def tokens_by_id(tokenizer: tokenizers.Tokenizer) -> list[str]:
    """The vocabulary as a list."""
    by_id = {number: token for token, number in tokenizer.get_vocab().items()}
    return [by_id[number] for number in range(len(by_id))]


def token_sets(texts: Sequence[str], tokenizer: tokenizers.Tokenizer) -> list[NDArray[np.int64]]:
    """The different tokens of each text, in ascending order."""
    sets = []
    for start in range(0, len(texts), BLOCK):
        encoded = tokenizer.encode_batch(list(texts[start : start + BLOCK]))
        sets += [np.unique(encoding.ids[:TOKENS_OF_A_TEXT]) for encoding in encoded]
    return sets


def document_frequency(sets: Iterable[NDArray[np.int64]], conflated: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many texts hold each term, shape (vocabulary,); ``conflated`` says which term a token is counted as."""
    frequency = np.zeros(len(conflated), np.int64)
    for tokens in sets:
        frequency[np.unique(conflated[tokens])] += 1
    return frequency


def conflation(
    tokens: Sequence[str], frequency: NDArray[np.int64], embeddings: NDArray[np.float32]
) -> NDArray[np.int64]:
    """For each token the id it is counted as: the most frequent word of its stem, or itself, shape (vocabulary,).

    Stems are Snowball's English ones (Porter2). They also join words of different meaning (important and imports,
    organ and organization); those the encoder's embeddings tell apart, so a word whose cosine with the most frequent
    one is below :data:`SAME_WORD` stays out of the group and begins another.

    Args:
        tokens: the vocabulary.
        frequency: texts that hold each token (vocabulary,).
        embeddings: centred unit vectors of the tokens (vocabulary, hidden).
    """
    stemmer = snowballstemmer.stemmer("english")
    stems = defaultdict(list)
    for number in np.argsort(-frequency, kind="stable"):
        token = tokens[number]
        if _WORD.fullmatch(token) and token not in STOP_WORDS:
            stems[stemmer.stemWord(token)].append(number)
    counted_as = np.arange(len(tokens))
    for words in stems.values():
        left = np.array(words)
        while len(left):
            same = embeddings[left] @ embeddings[left[0]] >= SAME_WORD
            same[0] = True
            counted_as[left[same]] = left[0]
            left = left[~same]
    return counted_as


def groups(conflated: NDArray[np.int64], targets: Sequence[int]) -> list[list[int]]:
    """For each target all tokens that are counted as it."""
    members = defaultdict(list)
    for token, counted_as in enumerate(conflated.tolist()):
        members[counted_as].append(token)
    return [members[target] for target in targets]


def inverse(frequency: NDArray[np.int64], texts: int) -> NDArray[np.float32]:
    """``ln((n + 1) / (df + 1))``."""
    return np.log((texts + 1) / (frequency + 1)).astype(np.float32)


def whole_texts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Query and passage of each pair as one text."""
    return [f"{query} {passage}" for query, passage in pairs]
