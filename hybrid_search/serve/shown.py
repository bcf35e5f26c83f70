"""What a list shows of a document: its title, its fields, and the piece of a passage by which it was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hybrid_search.found import Highlighted
from hybrid_search.records import StoredPassage
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.snippet import snippet

SNIPPET = 260
"""Characters of a passage that a list shows."""
MAX_VALUE = 200
"""Characters of a field's value that a list shows."""
MAX_FIELDS = 24
MAX_VALUES = 20
TEXT = "text"
"""What highlights call the text of a document."""


def documents_json(retrieved: Retrieved, stored: Mapping[str, StoredPassage], title: str) -> dict[str, dict[str, Any]]:
    """The title and the fields of each document of which a passage is there."""
    shown: dict[str, dict[str, Any]] = {}
    for run in [*retrieved.runs.values(), retrieved.added.hits]:
        for best in run.values():
            if best.id not in shown and (passage := stored.get(best.passage_id)) is not None:
                fields = {name: _short(value) for name, value in passage.fields.items() if name != title}
                shown[best.id] = {
                    "title": _short(passage.fields.get(title)),
                    "fields": dict(list(fields.items())[:MAX_FIELDS]),
                }
    return shown


def passage_json(passage: StoredPassage, query: str, title: str, piece: Highlighted | None) -> dict[str, Any]:
    """What a list shows of a passage: the piece that was highlighted, else the sentence with most words of the query.

    A text that begins with the title of its document goes on behind it. Parts are ``(text, is marked)``: a browser
    counts characters otherwise.
    """
    body = _behind_title(passage, title)
    if piece is not None and piece.end - passage.start > body:
        begin, end = max(piece.start - passage.start, body), piece.end - passage.start
        marks: Iterable[tuple[int, int]] = (
            (start - passage.start, stop - passage.start) for start, stop in piece.marks
        )
    else:
        best = snippet(passage.text[body:], query, width=SNIPPET)
        begin, end = body + best.start, body + best.end
        marks = ((begin + start, begin + stop) for start, stop in best.marks)
    return {
        "parts": _parts(passage.text, begin, end, marks),
        "is_begun": begin > body,
        "goes_on": end < len(passage.text),
    }


def _behind_title(passage: StoredPassage, title: str) -> int:
    """Where the text of a passage begins behind the title of its document."""
    text, heading = passage.text, passage.fields.get(title)
    if not isinstance(heading, str) or not heading or not text.startswith(heading) or len(text) == len(heading):
        return 0
    return len(text) - len(text[len(heading) :].lstrip(" .:\n\t"))


def _parts(text: str, begin: int, end: int, marks: Iterable[tuple[int, int]]) -> list[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    for start, stop in marks:
        if begin <= start < stop <= end:
            parts += [(text[begin:start], False), (text[start:stop], True)]
            begin = stop
    return [(part, marked) for part, marked in [*parts, (text[begin:end], False)] if part]


def _short(value: Any) -> Any:
    """A value as a list shows it: nothing longer than a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_short(one) for one in value[:MAX_VALUES]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
