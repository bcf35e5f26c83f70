"""What models read before a passage: the title of its document, at most a share of what they read.

A passage from the middle of a paper says "the patients"; its title says whose. Encoders read both, the offsets of the
passage and the text that is shown are those of the passage alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_search.encode.protocols import Tokenizer

TITLE_SHARE = 4
"""A title takes at most this part of a passage's tokens: the passage is what is to be found."""

SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class Head:
    """A title as it stands before passages, and the tokens that it takes there with what separates it.

    Attributes:
        text: as much of the title as is read.
        tokens: of it.
        title: all of it.
    """

    text: str = ""
    tokens: int = 0
    title: str = ""

    def before(self, text: str, start: int) -> str:
        """What stands before the passage of ``text`` from ``start`` on: nothing where it begins with the title."""
        return "" if text.startswith(self.title, start) else self.text

    def over(self, passage: str) -> str:
        """A passage as models read it below the head."""
        return f"{self.text}{SEPARATOR}{passage}" if self.text else passage


NO_HEAD = Head()


def heads_of(titles: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> list[Head]:
    """The head of each title, tokenized in one call; one that is empty, or has no room, is none."""
    most = max_tokens // TITLE_SHARE
    cut = [title.strip() for title in titles]
    shown = [title + SEPARATOR for title in cut]
    return [
        _head(title, spans, most, tokenizer) if title and most else NO_HEAD
        for title, spans in zip(cut, tokenizer.spans(shown), strict=True)
    ]


def _head(title: str, spans: Sequence[tuple[int, int]], most: int, tokenizer: Tokenizer) -> Head:
    if len(spans) <= most:
        return Head(title, len(spans), title)
    text = title[: spans[most][0]].rstrip()
    if (space := max(text.rfind(" "), text.rfind(SEPARATOR))) > 0 and not title[len(text) : len(text) + 1].isspace():
        text = text[:space].rstrip()
    return Head(text, len(tokenizer.spans([text + SEPARATOR])[0]), title) if text else NO_HEAD
