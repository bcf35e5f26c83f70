"""The starter sparse head: SPLADE-shaped vectors from the last hidden states of a frozen bi-encoder.

A text's vector is the elementwise maximum of two paths over its token states ``h``:

* **copied**: the weight of the text's own tokens, ``log1p(relu(u.h + a idf + c))``, maximum over a token's positions,
  times BM25's saturation of its frequency. SPLADE's maximum pooling (Formal et al. 2021, arXiv:2109.10086) forgets
  how often a word occurs; with one small head on a frozen encoder that is the largest single loss.
* **expanded**: each state becomes a unit vector in the space of the encoder's own word embeddings, and its cosine
  with every whole word, scaled and shifted, is that word's logit; ``log1p(relu(maximum over states))``. Only whole
  words are targets and only content tokens and [CLS] are sources: pieces and function words are noise in both roles.

The decoder is tied to the encoder's embeddings, so that the head is 0.3 million parameters and fits in a wheel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# BM25's k1 and b, and the average length in tokens that stands for a corpus the head does not know.
K1, B, AVERAGE_TOKENS = 0.9, 0.4, 200.0
# What a word that is added to a query weighs of what it would weigh in a passage. A query has few words of its own,
# and training pairs are closer than real ones. NFCorpus dev / SciFact train, nDCG@10: 0 .3068 / .6639, .5 .3158 /
# .6717, .6 .3170 / .6684, .7 .3162 / .6703, 1 .3140 / .6665. Of seven heads tried, six gained on both sets.
QUERY_EXPANSION = 0.6
# Source states per text: the heaviest tokens. More cost time and, measured on development queries, gain nothing.
MAX_SOURCES = 64
# Rows of the product of states and words that are alive at once; keeps it in the processor's cache.
WORDS_PER_BLOCK = 128
_STOP_WORDS = (
    "a about all also an and any are as at be been but by can could did do does for from had has have he her him his "
    "how i if in into is it its may me more most my no not of on one or other our out over she should so some such "
    "than that the their them then there these they this to under up us was we were what when where which who whom "
    "whose why will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_COPIED = re.compile(r"(##)?[a-z0-9]+")
_SOURCE = re.compile(r"(##)?[a-z]{2,}")
_TARGET = re.compile(r"[a-z]{3,}")


def copied_tokens(vocabulary: Sequence[str]) -> Tensor:
    """Boolean (v,): the tokens that may stand for themselves in a vector, letters and digits only."""
    return torch.tensor([bool(_COPIED.fullmatch(token)) for token in vocabulary])


def source_tokens(vocabulary: Sequence[str]) -> Tensor:
    """Boolean (v,): the tokens whose states are expanded, content words and [CLS]."""
    return torch.tensor(
        [word == "[CLS]" or (bool(_SOURCE.fullmatch(word)) and word not in STOP_WORDS) for word in vocabulary]
    )


def target_words(vocabulary: Sequence[str], document_frequency: Sequence[float], minimum: int) -> Tensor:
    """Ids of the whole content words that at least ``minimum`` training texts hold: what an expansion may add."""
    return torch.tensor(
        [
            number
            for number, token in enumerate(vocabulary)
            if _TARGET.fullmatch(token) and token not in STOP_WORDS and document_frequency[number] >= minimum
        ]
    )


def saturation(ids: Tensor, mask: Tensor) -> Tensor:
    """BM25's ``tf (k1 + 1) / (tf + k1 (1 - b + b length / average))`` of the token at each place, (n, t)."""
    frequency = ((ids[:, :, None] == ids[:, None, :]) & mask[:, None, :]).sum(2)
    length = mask.sum(1, keepdim=True) / AVERAGE_TOKENS
    return frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * length))


class StarterHead(nn.Module):
    """Maps token states (n, t, hidden) to sparse vectors (n, vocabulary).

    Args:
        embeddings: the encoder's word embeddings (vocabulary, hidden); not part of the head's own weights.
        vocabulary: the tokens, by id.
        idf: inverse document frequency of each token (vocabulary,), natural logarithm.
        targets: ids of the words that may be added.
    """

    def __init__(self, embeddings: Tensor, vocabulary: Sequence[str], idf: Tensor, targets: Tensor) -> None:
        super().__init__()
        hidden = embeddings.shape[1]
        copied = copied_tokens(vocabulary)
        # The mean of all embeddings is a direction that every cosine would share.
        centred = functional.normalize(embeddings - embeddings[copied].mean(0, keepdim=True), dim=1)
        self.register_buffer("idf", idf * copied)
        self.register_buffer("targets", targets)
        self.register_buffer("copied", copied, persistent=False)
        self.register_buffer("sources", source_tokens(vocabulary), persistent=False)
        self.register_buffer("embeddings", centred, persistent=False)
        self.register_buffer("words", centred[targets].contiguous(), persistent=False)
        self.token_weight = nn.Parameter(torch.zeros(hidden))
        self.idf_scale = nn.Parameter(torch.tensor(1.0))
        self.token_bias = nn.Parameter(torch.tensor(0.0))
        self.linear = nn.Linear(hidden, hidden)
        self.skip = nn.Linear(hidden, hidden, bias=False)
        nn.init.eye_(self.skip.weight)
        self.norm = nn.LayerNorm(hidden)
        self.scale = nn.Parameter(torch.tensor(12.0))
        # At the start a cosine of 0.45 is the threshold, higher for frequent words.
        self.bias = nn.Parameter(-12.0 * 0.45 + 0.25 * (self.idf[targets] - 8.0))

    idf: Tensor
    targets: Tensor
    copied: Tensor
    sources: Tensor
    embeddings: Tensor
    words: Tensor

    @property
    def vocabulary_size(self) -> int:
        return len(self.idf)

    def logits(self, ids: Tensor, states: Tensor) -> Tensor:
        """Importance of each token in its place (n, t), before the rectifier."""
        return states @ self.token_weight + self.idf_scale * self.idf[ids] + self.token_bias

    def copy(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Vectors (n, vocabulary) of the texts' own tokens, with saturated frequency."""
        weights = torch.log1p(functional.relu(self.logits(ids, states))) * (mask & self.copied[ids])
        empty = states.new_zeros(len(ids), self.vocabulary_size)
        return empty.scatter_reduce(1, ids, weights * saturation(ids, mask), "amax")

    def source_states(self, ids: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (n, m, hidden) in word space of the heaviest source tokens, and which are real (n, m)."""
        usable = mask & self.sources[ids]
        with torch.no_grad():
            # [CLS] speaks for the whole text: its idf of zero must not drop it.
            rank = torch.where(ids == ids[:, :1], torch.inf, self.logits(ids, states))
            rank = rank.masked_fill(~usable, -torch.inf)
            count = min(MAX_SOURCES, int(usable.sum(1).max()))
            chosen = rank.topk(count, dim=1).indices
        picked = torch.gather(states, 1, chosen[..., None].expand(-1, -1, states.shape[2]))
        return self.to_word_space(picked), torch.gather(usable, 1, chosen)

    def to_word_space(self, states: Tensor) -> Tensor:
        """States (..., hidden) as unit vectors among the word embeddings."""
        return functional.normalize(self.norm(functional.gelu(self.linear(states)) + self.skip(states)), dim=-1)

    @torch.no_grad()
    def best_cosines(self, sources: Tensor, real: Tensor) -> Tensor:
        """Maximum cosine of each target word with a text's sources (n, targets)."""
        filled = torch.where(real[..., None], sources, sources[:, :1])  # [CLS] is always first and real
        texts, count, hidden = filled.shape
        rows = filled.reshape(-1, hidden)
        best = rows.new_empty(texts, len(self.words))
        for start in range(0, len(self.words), WORDS_PER_BLOCK):
            block = rows @ self.words[start : start + WORDS_PER_BLOCK].T
            best[:, start : start + WORDS_PER_BLOCK] = block.view(texts, count, -1).amax(1)
        return best

    def expand(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Vectors (n, vocabulary) of the words that the texts' states are near to, exact and without gradient."""
        best = self.best_cosines(*self.source_states(ids, states, mask))
        weights = torch.log1p(functional.relu(best * self.scale + self.bias))
        return states.new_zeros(len(ids), self.vocabulary_size).index_copy(1, self.targets, weights)

    def expand_top(self, ids: Tensor, states: Tensor, mask: Tensor, count: int) -> Tensor:
        """As :meth:`expand`, but with gradient and of the ``count`` best words only: what makes training cheap."""
        sources, real = self.source_states(ids, states, mask)
        best = (self.best_cosines(sources, real) * self.scale + self.bias).topk(count, dim=1).indices
        cosines = torch.bmm(sources, self.words[best].transpose(1, 2)).masked_fill(~real[..., None], -1.0).amax(1)
        weights = torch.log1p(functional.relu(cosines * self.scale + self.bias[best]))
        return states.new_zeros(len(ids), self.vocabulary_size).scatter(1, self.targets[best], weights)

    def forward(self, ids: Tensor, states: Tensor, mask: Tensor, *, train_words: int | None = None) -> Tensor:
        """Sparse vectors of passages (n, vocabulary), not negative; ``train_words`` given: only so many are added."""
        if train_words is None:
            added = self.expand(ids, states, mask)
        else:
            added = self.expand_top(ids, states, mask, train_words)
        return torch.maximum(self.copy(ids, states, mask), added)

    def query(self, ids: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Sparse vectors of queries (n, vocabulary): as of passages, with less weight for the words that are added."""
        return torch.maximum(self.copy(ids, states, mask), QUERY_EXPANSION * self.expand(ids, states, mask))

    def inference_free(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Query vectors (n, vocabulary) without a forward pass: the idf of each token that occurs."""
        weights = self.idf[ids] * mask
        return weights.new_zeros(len(ids), self.vocabulary_size).scatter_reduce(1, ids, weights, "amax")


def load_head(tensors: Mapping[str, Tensor], embeddings: Tensor, vocabulary: Sequence[str]) -> StarterHead:
    """The head from the tensors of a safetensors file, in float32 and ready for inference.

    Raises:
        RuntimeError: the tensors are not those of this head (torch names what is missing or has another shape).
    """
    tensors = {name: tensor.float() for name, tensor in tensors.items() if name != "targets"} | {
        "targets": tensors["targets"].long()
    }
    head = StarterHead(embeddings, vocabulary, tensors["idf"], tensors["targets"])
    head.load_state_dict(tensors)
    return head.eval().requires_grad_(requires_grad=False)
