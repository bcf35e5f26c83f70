"""Where tokens begin and end, for services that cannot be asked: four letters are a token, and so is a sign.

A little more than the models of today count for English, and one token for each character of scripts without spaces,
so that a passage rather ends too early than is cut by the service.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PIECE = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]|\w{1,4}|[^\w\s]")


class ApproximateSpans:
    """A :class:`~hybrid_search.encode.protocols.Tokenizer` without a vocabulary."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets ``(start, end)`` of what counts as a token."""
        return [[match.span() for match in _PIECE.finditer(text)] for text in texts]
