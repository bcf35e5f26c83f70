"""Whether a model has a tokenizer, and whether it is the one of its weights.

Without a tokenizer's files, transformers makes one with a vocabulary of its five special tokens: every text is unknown
words, and any two texts are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybrid_search.errors import ModelError

if TYPE_CHECKING:
    import tokenizers

TOKENIZER_PATTERNS = ("tokenizer.json", "vocab.*", "*vocab.txt", "*.model", "*.tiktoken", "tekken.json", "*.bpe")

FILLED = 0.9
"""Least share of a model's vocabulary that its tokenizer knows. Matrices are padded to a multiple of 64 or 128: Qwen3's
tokenizer fills .998 of its rows, DeBERTa-v3's .999."""


def check_tokenizer_files(folder: Path) -> None:
    """Refuse a model without a tokenizer.

    Raises:
        ModelError: no file of a tokenizer is in its folder or in those of its modules.
    """
    if any(True for pattern in TOKENIZER_PATTERNS for _ in folder.rglob(pattern)):
        return
    raise ModelError(
        "it has no tokenizer, so that every word would be unknown",
        where=str(folder),
        remedy="Put tokenizer.json beside its config.json (the tokenizer's save_pretrained writes it)",
    )


def check_vocabulary(model: Any, where: str) -> None:
    """Refuse a tokenizer that is not the model's, for every network of a loaded model that has one.

    Raises:
        ModelError: as :func:`check_sizes`.
    """
    for tokenizer, rows in _pairs(model):
        check_sizes(tokenizer, rows, where)


def rows_of(model: Any) -> int | None:
    """Token embeddings of a loaded model, the fewest of several networks; None where they are not known."""
    return min((rows for _, rows in _pairs(model)), default=None)


def check_sizes(tokenizer: tokenizers.Tokenizer, rows: int, where: str) -> None:
    """Refuse a tokenizer that knows much less than a model's vocabulary, or more.

    Special tokens beyond the matrix are let pass where plain text cannot be split into them: multimodal tokenizers have
    marks for images that the text model has no row for.

    Args:
        tokenizer: of the model's files.
        rows: of the model's matrix of token embeddings.
        where: for the message.

    Raises:
        ModelError: with both sizes.
    """
    plain = tokenizer.get_vocab(with_added_tokens=False)
    added = tokenizer.get_added_tokens_decoder()
    reached = [*plain.values(), *(number for number, token in added.items() if not token.special)]
    largest = max(reached, default=-1)
    if largest >= rows:
        _refuse(f"its tokenizer gives ids up to {largest:,}, its weights have {rows:,} token embeddings", where)
    known = len(plain.keys() | {token.content for token in added.values()})
    if known < FILLED * rows:
        _refuse(f"its tokenizer knows {known:,} tokens, its weights have {rows:,}", where)


def check_ids(ids: Sequence[Sequence[int]], rows: int, where: str) -> None:
    """Raise ModelError for a token id without an embedding: on a GPU it would end the process."""
    largest = max((max(numbers, default=0) for numbers in ids), default=0)
    if largest >= rows:
        _refuse(f"a text holds the special token {largest:,}, its weights have {rows:,} token embeddings", where)


def _refuse(what: str, where: str) -> None:
    remedy = "Fetch the model again: its tokenizer and its weights are of two models"
    raise ModelError(what, where=where, remedy=remedy)


def _pairs(model: Any) -> Iterator[tuple[tokenizers.Tokenizer, int]]:
    """Tokenizers with the number of embeddings that they index."""
    import tokenizers

    for module in model.modules():
        own = getattr(module, "tokenizer", None)
        fast = own if isinstance(own, tokenizers.Tokenizer) else getattr(own, "backend_tokenizer", None)
        rows = _rows(module)
        if isinstance(fast, tokenizers.Tokenizer) and rows is not None:
            yield fast, rows


def _rows(module: Any) -> int | None:
    """Rows of a module's token embeddings: a transformer's, or a table's; None where it has none."""
    network = getattr(module, "auto_model", None)
    if network is not None and hasattr(network, "get_input_embeddings"):
        weight = getattr(_text_embeddings(network), "weight", None)
    else:
        embedding = getattr(module, "embedding", None)
        weight = (
            module.weight if type(module).__name__ == "SparseStaticEmbedding" else getattr(embedding, "weight", None)
        )
    return None if weight is None else int(weight.shape[0])


def _text_embeddings(network: Any) -> Any:
    """The matrix of token embeddings; that of the text tower where a network has towers (CLIP, SigLIP)."""
    return getattr(network, "text_model", network).get_input_embeddings()
