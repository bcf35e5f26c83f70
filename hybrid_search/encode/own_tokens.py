"""What a model of sentence-transformers takes, made of tokens that are there already: no text is tokenized twice.

How long texts are has to be known before they are batched, so that they are tokenized before the library sees them.
What the library would make of the same texts is compared on :data:`PROBES`; where a number differs, it tokenizes again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hybrid_search.encode.tokens import Cutter

PROBES = (
    "a",
    "How long is the longest one?",
    " spaces before, \ttabs and\n\n lines; behind:  ",
    "Straße, naïve CAFÉ, 漢字かな, עברית, 🙂👩‍👩‍👧, e\u0301 \x00 \u200b end",
    "",
    "words without an end " * 200,
)
"""Texts on which tokenizers differ: cases, spaces, scripts, joined signs, nothing, and more than a model reads."""

MOST_NAMED = 64
"""Added tokens that are tried: some vocabularies have hundreds that are never used."""

MASKS = ("attention_mask",)
TYPES = ("token_type_ids",)


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """The input of one route with one prompt, made of token ids.

    Attributes:
        names: of its tensors.
        others: what else it has, whatever the texts.
        pad: the id of padding.
        left: whether padding stands before the tokens.
    """

    names: tuple[str, ...]
    others: Mapping[str, Any]
    pad: int
    left: bool

    def features(self, ids: Sequence[Sequence[int]], device: torch.device) -> dict[str, Any]:
        """Tensors of shape (texts, tokens) on the device, and the rest."""
        longest = max((len(row) for row in ids), default=0)
        tokens = torch.full((len(ids), longest), self.pad)
        mask = torch.zeros_like(tokens)
        for row, numbers in enumerate(ids):
            place = slice(longest - len(numbers), None) if self.left else slice(len(numbers))
            tokens[row, place] = torch.tensor(numbers, dtype=torch.long)
            mask[row, place] = 1
        made = {name: mask if name in MASKS else tokens for name in self.names if name not in TYPES}
        made |= {name: torch.zeros_like(tokens) for name in self.names if name in TYPES}
        return {**self.others, **{name: tensor.to(device, non_blocking=True) for name, tensor in made.items()}}


def own_tokens(model: Any, cut: Cutter, *, prompt: str, query: bool) -> OwnTokens | None:
    """How to make a model's input of token ids; None where the library would make another.

    Args:
        model: a loaded ``SentenceTransformer`` or ``SparseEncoder``.
        cut: makes the ids, of a prompt and a text together.
        prompt: that all texts begin with.
        query: which route they take.
    """
    try:
        probes = probes_of(model.tokenizer)
        theirs: Mapping[str, Any] = model.preprocess(probes, prompt=prompt or None, task=task_of(query=query))
        ids = cut.probed([prompt + text for text in probes])
        names = tuple(name for name, value in theirs.items() if isinstance(value, Tensor))
        if set(names) - {"input_ids", *MASKS, *TYPES} or "input_ids" not in names:
            return None
        own = model.tokenizer
        others = {name: value for name, value in theirs.items() if name not in names}
        made = OwnTokens(names, others, int(own.pad_token_id or 0), own.padding_side == "left")
        ours = made.features(ids, torch.device("cpu"))
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):  # another release, another kind of input
        return None
    return made if all(torch.equal(ours[name], theirs[name].cpu()) for name in names) else None


def probes_of(tokenizer: Any) -> list[str]:
    """The probes, and texts that hold what the tokenizer knows by name: it may be text, or the token itself."""
    named = list(dict.fromkeys([*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]))[:MOST_NAMED]
    return [*PROBES, f"between {' '.join(named)} words", "".join(f"a{name}b" for name in named)]


def task_of(*, query: bool) -> str:
    """The name that the library has for a route."""
    return "query" if query else "document"
