"""Tokenizers without torch: offsets for chunking, and ids for the encoders that do their own batching."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_search.encode.vocabulary import check_ids
from hybrid_search.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import tokenizers

log = logging.getLogger(__name__)

_WORD = re.compile(r"\S+")
_LETTERS = re.compile(r"\w+")


def load_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a model's folder, with truncation and padding off; not changed after that, so thread-safe.

    Raises:
        ModelError: the folder has no ``tokenizer.json``.
        MissingExtraError: the library ``tokenizers`` is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError("Tokenizing", "models") from error
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError("no tokenizer.json", where=str(folder), remedy="Save the model again with a fast tokenizer")
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class TokenSpans:
    """Where tokens begin and end: the :class:`~hybrid_search.encode.protocols.Tokenizer` of every encoder here."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets ``(start, end)`` of each text's tokens, special tokens left out, nothing truncated."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def tokens(self, texts: Sequence[str]) -> list[list[tuple[str, int, int]]]:
        """Vocabulary id in decimal, as sparse vectors name it, with the offsets of each of a text's tokens."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            [(str(number), start, end) for number, (start, end) in zip(one.ids, one.offsets, strict=True)]
            for one in encodings
        ]

    def vocabulary(self) -> dict[str, int]:
        """Ids of all entries."""
        return dict(self._tokenizer.get_vocab())

    def count(self, text: str) -> int:
        """Tokens of a text, special tokens left out."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class WordSpans:
    """Tokens of an encoder without a tokenizer (vectors come with the documents): runs of characters between spaces."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets ``(start, end)`` of each text's words."""
        return [[match.span() for match in _WORD.finditer(text)] for text in texts]

    def tokens(self, texts: Sequence[str]) -> list[list[tuple[str, int, int]]]:
        """Words in lower case, without punctuation around them, with their offsets."""
        return [[(match.group().lower(), *match.span()) for match in _LETTERS.finditer(text)] for text in texts]


class Cutter:
    """Token ids of texts, special tokens included, cut at a limit; says once when it had to.

    Args:
        tokenizer: neither cutting nor padding; it is copied.
        max_tokens: the limit, special tokens included.
        name: of the model, for messages.
        rows: of the model's token embeddings; None where they are not known.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, max_tokens: int, name: str, *, rows: int | None = None) -> None:
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        self._tokenizer.enable_truncation(max_tokens)
        self._max_tokens = max_tokens
        self._name = name
        self._rows = rows
        self._warned = False

    def room(self, prompt: str) -> int:
        """Tokens that are left for a text after the special tokens and a prompt."""
        return self._max_tokens - len(self._tokenizer.encode(prompt).ids)

    def probed(self, texts: Sequence[str]) -> list[list[int]]:
        """The same as :meth:`ids` of texts that are nobody's: nothing is said of those that are cut."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, at most ``max_tokens``.

        Raises:
            ModelError: a token has no embedding.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        if not self._warned and any(encoding.overflowing for encoding in encodings):
            self._warned = True
            log.warning("%s reads %d tokens: longer texts are cut there", self._name, self._max_tokens)
        ids = [encoding.ids for encoding in encodings]
        if self._rows is not None:
            check_ids(ids, self._rows, self._name)
        return ids
