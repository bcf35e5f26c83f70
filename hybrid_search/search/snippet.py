"""The sentence of a passage that shows best why it was found, with the words of the query marked.

For people's eyes only: nothing here changes a ranking. Words are compared without case and common English endings;
the engine's analyzer may match more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|$|\n\s*\n)", re.DOTALL)
_ENDINGS = ("ings", "ing", "ers", "ies", "ed", "es", "er", "ly", "s", "e", "y")
_SHORTEST_STEM = 3
_COMMON = """
a about an and are as at be but by can could did do does for from had has have how i if in into is it its may me my no
not of on or our should so than that the their then there these they this those to was we were what when where which
who whom whose why will with would you your
"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """``text`` is ``passage[start:end]``; ``marks`` are ``(start, end)`` of the query's words within ``text``."""

    text: str
    start: int
    end: int
    marks: Sequence[tuple[int, int]]


def snippet(passage: str, query: str, *, width: int = 200) -> Snippet:
    """The sentence with the most different words of the query, the first of equals, in at most ``width`` characters.

    Neighbouring sentences are added while they fit, those after it first.
    """
    wanted = {_stem(word) for _, _, word in _words(query)} - _stems(_COMMON, 0, len(_COMMON))
    sentences = [match.span() for match in _SENTENCE.finditer(passage)] or [(0, len(passage))]
    best = max(range(len(sentences)), key=lambda n: len(wanted & _stems(passage, *sentences[n])))
    start, end = _with_neighbours(sentences, best, width)
    if end - start > width:
        start, end = _window(passage, wanted, start, end, width)
    end = start + len(passage[start:end].rstrip())
    marks = [(s, e) for s, e, word in _words(passage[start:end]) if _stem(word) in wanted]
    return Snippet(passage[start:end], start, end, marks)


def _with_neighbours(sentences: Sequence[tuple[int, int]], best: int, width: int) -> tuple[int, int]:
    start, end = sentences[best]
    for _, later in sentences[best + 1 :]:
        if later - start > width:
            break
        end = later
    for earlier, _ in reversed(sentences[:best]):
        if end - earlier > width:
            break
        start = earlier
    return start, end


def _window(passage: str, wanted: set[str], start: int, end: int, width: int) -> tuple[int, int]:
    """The ``width`` characters from the start of a word that hold the most different words of the query."""
    starts = [start + s for s, _, _ in _words(passage[start:end]) if start + s + width <= end] or [start]
    begin = max(starts, key=lambda s: len(wanted & _stems(passage, s, s + width)))
    if begin != start and not wanted & _stems(passage, begin, begin + width):
        begin = start
    cut = passage.rfind(" ", begin, begin + width + 1)
    return begin, cut if cut > begin and begin + width < end else min(begin + width, end)


def _words(text: str) -> Iterator[tuple[int, int, str]]:
    return ((match.start(), match.end(), match.group()) for match in _WORD.finditer(text))


def _stems(text: str, start: int, end: int) -> set[str]:
    return {_stem(word) for _, _, word in _words(text[start:end])}


def _stem(word: str) -> str:
    lower = word.lower()
    for ending in _ENDINGS:
        if lower.endswith(ending) and len(lower) - len(ending) >= _SHORTEST_STEM:
            return lower[: -len(ending)]
    return lower
