"""Texts and their marks: what an engine has marked, sentences, pieces around marks, and HTML of them.

All offsets are in characters (code points), as Python counts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from hybrid_search.search.highlight import Highlight

Span = tuple[int, int]

_SENTENCE = re.compile(r"\S.*?(?:[.!?][\"'”’)\]]*(?=\s)|[。！？](?!」)|$|\n\s*\n)", re.DOTALL)


def marked_spans(text: str, begin: str, end: str) -> tuple[str, list[Span]]:
    """A text without the signs ``begin`` and ``end`` that stand around what is marked, and where that is."""
    plain, spans, at = [], list[Span](), 0
    for number, part in enumerate(text.split(begin)):
        inside, _, outside = part.partition(end) if number else ("", "", part)
        if inside:
            spans.append((at, at + len(inside)))
        plain += [inside, outside]
        at += len(inside) + len(outside)
    return "".join(plain), spans


def sentences(text: str) -> list[Span]:
    """Where sentences begin and end, without the blanks around them; of a text without any, none."""
    found = (match.span() for match in _SENTENCE.finditer(text))
    return [(start, start + len(text[start:end].rstrip())) for start, end in found]


def pieces(text: str, marks: Sequence[Span], form: Highlight) -> list[tuple[Span, list[Span]]]:
    """The pieces of a text that hold most marks, in their order, each with its marks.

    A piece is a sentence with the ones after it, while all of them fit into ``form.length`` characters; of a longer
    sentence, what is around its first mark.
    """
    joined = _joined(sentences(text), form.length)
    cut_out = [piece for sentence in joined for piece in _fitting(text, sentence, marks, form)]
    held = [(piece, [mark for mark in marks if piece[0] <= mark[0] and mark[1] <= piece[1]]) for piece in cut_out]
    best = sorted((one for one in held if one[1]), key=lambda one: (-_different(text, one[1]), one[0]))
    return sorted(best[: form.fragments])


def _different(text: str, marks: Sequence[Span]) -> int:
    return len({text[start:end].lower() for start, end in marks})


def _joined(spans: Iterable[Span], length: int) -> list[Span]:
    """Neighbouring sentences as one, while they fit."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and end - joined[-1][0] <= length:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _fitting(text: str, span: Span, marks: Sequence[Span], form: Highlight) -> list[Span]:
    """The span itself, or pieces of it that begin with a few words before a mark and end at a blank."""
    start, end = span
    if end - start <= form.length:
        return [span]
    found, at = list[Span](), start
    for first, last in marks:
        if not (at <= first and last <= end):
            continue
        begin = max(at, first - form.length // 4)
        if begin > start and (blank := text.find(" ", begin, first)) >= 0:
            begin = blank + 1
        stop = min(end, max(last, begin + form.length))
        if stop < end and (blank := text.rfind(" ", last, stop + 1)) >= 0:
            stop = blank
        found.append((begin, stop))
        at = stop
    return found


def cut(text: str, span: Span, length: int) -> Span:
    """The beginning of a span, to a blank, where it is longer than ``length``."""
    start, end = span
    if end - start <= length:
        return span
    blank = text.rfind(" ", start + 1, start + length + 1)
    return start, blank if blank > start else start + length


def html(text: str, span: Span, marks: Iterable[Span], form: Highlight) -> str:
    """A piece of a text, escaped, with what is marked between the markers, which nothing in the text can be."""
    parts, at = list[str](), span[0]
    for start, end in marks:
        parts += [escape(text[at:start]), form.before, escape(text[start:end]), form.after]
        at = end
    return "".join([*parts, escape(text[at : span[1]])])
