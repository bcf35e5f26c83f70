"""The starter sparse head: SPLADE-shaped vectors from one forward pass of a frozen bi-encoder.

A text's vector has two parts:

* **its own words**: ``log1p(relu(u.h + a idf + c))`` of each token's state ``h``, maximum over a token's positions,
  times BM25's saturation of its frequency. SPLADE's maximum pooling (Formal et al. 2021, arXiv:2109.10086) forgets
  how often a word occurs; with one small head on a frozen encoder that is the largest single loss. Words of one stem
  are one term, the most frequent of them (study, studies, studied): a small head is not left to learn morphology.
* **near words**: the bi-encoder places every word of the vocabulary among the sentences, as a text of one word. The
  words nearest to the text's own dense vector are added with weight ``gain log1p(12 cosine)``. Nothing but the encoder
  decides them: words learned from little text (token states to words, in-batch contrastive training) added nothing
  to these (training/README.md).

The vectors of all words would be 7 MB; :class:`WordMap` finds them from the encoder's own word embeddings in 0.7 MB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# BM25's k1 and b, and the average length in tokens that stands for a corpus the head does not know.
K1, B, AVERAGE_TOKENS = 0.9, 0.4, 200.0
# Inner layer of the word map: what fits in 1 MB.
WIDTH = 768
# How fast the weight of a near word grows with its cosine.
STEEPNESS = 12.0
_STOP_WORDS = (
    "a about all also an and any are as at be been but by can could did do does for from had has have he her him his "
    "how i if in into is it its may me more most my no not of on one or other our out over she should so some such "
    "than that the their them then there these they this to under up us was we were what when where which who whom "
    "whose why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_COPIED = re.compile(r"(##)?[a-z0-9]+")
_TARGET = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True, slots=True)
class Near:
    """Which near words a text gets: the nearest ``words``, their weight times ``gain``."""

    words: int
    gain: float


# Chosen on the queries of NFCorpus dev and train and SciFact train, where nDCG@10 with 20 to 60 words and with gains
# from .8 to 1.2 differs by less than .005.
# A query has few words of its own, and near ones soon drown them.
PASSAGE, QUERY = Near(words=30, gain=1.0), Near(words=8, gain=0.2)
# How much of a near word's weight one of the text's own words gets on top: what the text is about weighs more.
OWN = 0.2


def copied_tokens(vocabulary: Sequence[str]) -> Tensor:
    """Boolean (v,): the tokens that may stand for themselves in a vector, letters and digits only."""
    return torch.tensor([bool(_COPIED.fullmatch(token)) for token in vocabulary])


def target_words(
    vocabulary: Sequence[str], document_frequency: Sequence[float], conflated: Sequence[int], minimum: int
) -> Tensor:
    """Ids of the whole content words that at least ``minimum`` training texts hold: what may be added to a text.

    Of the words of one stem only the one that stands for all of them (``conflated[n] == n``).
    """
    return torch.tensor(
        [
            number
            for number, token in enumerate(vocabulary)
            if conflated[number] == number
            and document_frequency[number] >= minimum
            and _TARGET.fullmatch(token)
            and token not in STOP_WORDS
        ]
    )


def centred(embeddings: Tensor, copied: Tensor) -> Tensor:
    """Unit vectors (v, hidden) without the mean of all ``copied`` tokens, a direction that every cosine would share."""
    return functional.normalize(embeddings - embeddings[copied].mean(0, keepdim=True), dim=1)


def saturation(ids: Tensor, mask: Tensor) -> Tensor:
    """BM25's ``tf (k1 + 1) / (tf + k1 (1 - b + b length / average))`` of the token at each place, (n, t)."""
    frequency = ((ids[:, :, None] == ids[:, None, :]) & mask[:, None, :]).sum(2)
    length = mask.sum(1, keepdim=True) / AVERAGE_TOKENS
    return frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length))


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """The dense vectors of texts (n, hidden): unit length, the mean of their states (n, t, hidden)."""
    return functional.normalize((states * mask[..., None]).sum(1), dim=1)


class WordMap(nn.Module):
    """From centred word embeddings (n, hidden) to the unit vectors that the words have as texts of their own."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.scale = hidden**0.5  # components of unit variance
        self.inner = nn.Linear(hidden, width)
        self.outer = nn.Linear(width, hidden)
        self.skip = nn.Linear(hidden, hidden, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        scaled = embeddings * self.scale
        return functional.normalize(self.outer(functional.gelu(self.inner(scaled))) + self.skip(scaled), dim=-1)


class StarterHead(nn.Module):
    """Maps token states (n, t, hidden) to sparse vectors (n, vocabulary).

    Args:
        embeddings: the encoder's word embeddings (vocabulary, hidden); not part of the head's own weights.
        vocabulary: the tokens, by id.
        idf: inverse document frequency of each token (vocabulary,), natural logarithm.
        conflated: for each token (vocabulary,) the id it is counted as: its own, or that of a word of the same stem.
        targets: ids of the words that may be added.
        width: of the word map's inner layer.
    """

    def __init__(
        self,
        embeddings: Tensor,
        vocabulary: Sequence[str],
        *,
        idf: Tensor,
        conflated: Tensor,
        targets: Tensor,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        hidden = embeddings.shape[1]
        copied = copied_tokens(vocabulary)
        self.register_buffer("idf", idf * copied)
        self.register_buffer("conflated", conflated)
        self.register_buffer("targets", targets)
        self.register_buffer("copied", copied, persistent=False)
        self.register_buffer("embeddings", centred(embeddings, copied)[targets], persistent=False)
        self.register_buffer("words", torch.zeros(len(targets), hidden), persistent=False)
        self.token_weight = nn.Parameter(torch.zeros(hidden))
        self.idf_scale = nn.Parameter(torch.tensor(1.0))
        self.token_bias = nn.Parameter(torch.tensor(0.0))
        self.word_map = WordMap(hidden, width)

    idf: Tensor
    conflated: Tensor
    targets: Tensor
    copied: Tensor
    embeddings: Tensor
    words: Tensor

    @property
    def vocabulary_size(self) -> int:
        return len(self.idf)

    @torch.no_grad()
    def place_words(self) -> None:
        """Compute the vectors of all targets; to be called whenever the word map has changed."""
        self.words.copy_(self.word_map(self.embeddings))

    def copy(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Vectors (n, vocabulary) of the texts' own words, with saturated frequency."""
        terms = self.conflated[ids]
        logits = states @ self.token_weight + self.idf_scale * self.idf[terms] + self.token_bias
        weights = torch.log1p(functional.relu(logits)) * (mask & self.copied[ids])
        empty = states.new_zeros(len(ids), self.vocabulary_size)
        return empty.scatter_reduce(1, terms, weights * saturation(terms, mask), "amax")

    @torch.no_grad()
    def near(self, states: Tensor, mask: Tensor, form: Near) -> Tensor:
        """Vectors (n, vocabulary) of the words that are nearest to the texts."""
        cosines = pooled(states, mask) @ self.words.T
        best, places = cosines.topk(min(form.words, len(self.words)), dim=1)
        weights = form.gain * torch.log1p(STEEPNESS * functional.relu(best))
        return states.new_zeros(len(states), self.vocabulary_size).scatter(1, self.targets[places], weights)

    def _vectors(self, ids: Tensor, states: Tensor, mask: Tensor, form: Near) -> Tensor:
        own = self.copy(ids, states, mask)
        # A text without a word of this vocabulary is noise to the encoder, and so is what is near to it.
        known = (own > 0).any(1, keepdim=True)
        near = self.near(states, mask, form) * known
        return torch.where(own > 0, own + OWN * near, near)

    def forward(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Sparse vectors of passages (n, vocabulary), not negative."""
        return self._vectors(ids, states, mask, PASSAGE)

    def query(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Sparse vectors of queries (n, vocabulary): as of passages, with fewer and lighter near words."""
        return self._vectors(ids, states, mask, QUERY)

    def inference_free(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Query vectors (n, vocabulary) without a forward pass: the idf of each word that occurs."""
        terms = self.conflated[ids]
        weights = self.idf[terms] * mask
        return weights.new_zeros(len(ids), self.vocabulary_size).scatter_reduce(1, terms, weights, "amax")


# Buffers of ids; all others are numbers in floating point.
TABLES = ("conflated", "targets")
# In the file a matrix is 8-bit integers, and under its name with this suffix what one unit of each row is worth.
UNIT = ".unit"


def packed(head: StarterHead) -> dict[str, Tensor]:
    """The head as tensors of a small file: matrices in 8 bits, ids in 16, other numbers in 16-bit floating point."""
    tensors = {}
    for name, tensor in head.state_dict().items():
        if name in TABLES:
            tensors[name] = tensor.to(torch.int16)  # the vocabulary has fewer than 2^15 tokens
        elif tensor.dim() == 2:
            unit = (tensor.abs().amax(1) / 127).clamp(min=1e-8)
            tensors[name] = (tensor / unit[:, None]).round().to(torch.int8)
            tensors[name + UNIT] = unit  # in 32 bits: a small one would be nothing in 16
        else:
            tensors[name] = tensor.half()
    return tensors


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The head's state from the tensors of its file."""
    state = {
        name: tensor.long() if name in TABLES else tensor.float()
        for name, tensor in tensors.items()
        if not name.endswith(UNIT)
    }
    return {name: t * tensors[name + UNIT][:, None] if name + UNIT in tensors else t for name, t in state.items()}


def load_head(tensors: Mapping[str, Tensor], embeddings: Tensor, vocabulary: Sequence[str]) -> StarterHead:
    """The head from the tensors of a safetensors file, in float32 and ready for inference.

    Raises:
        KeyError: a table is missing.
        RuntimeError: the tensors are not those of this head (torch names what is missing or has another shape).
    """
    state = unpacked(tensors)
    tables = {name: state[name] for name in ("idf", *TABLES)}
    head = StarterHead(embeddings, vocabulary, **tables, width=len(state["word_map.inner.bias"]))
    head.load_state_dict(state)
    head.place_words()
    return head.eval().requires_grad_(requires_grad=False)
