"""Highlights in a terminal: pieces of a hit with what is marked in bold, each kind but words named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hybrid_search.found import Highlighted
from hybrid_search.printed import one_line, visible
from hybrid_search.records import Hit

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {"words": "not dim bold green", "terms": "not dim bold magenta", "meaning": "not dim bold cyan"}


def highlights_view(hit: Hit, title: str) -> Text:
    """The pieces of a hit in their order, without the title where the first begins with it: that stands above them."""
    from rich.text import Text

    lines = [_line(one, title) for one in hit.highlights]
    return Text("\n").join(lines)


def _line(one: Highlighted, title: str) -> Text:
    from rich.text import Text

    skipped = len(title) if one.text.startswith(title) and one.text[len(title) :].strip() else 0
    line = Text(style="dim")
    if one.kind != "words" or one.field != "text":
        line.append(f"{one.kind if one.kind != 'words' else one_line(one.field)}: ", style="italic")
    for part, is_marked in _parts(one, skipped):
        line.append(visible(part).replace("\n", " "), STYLES[one.kind] if is_marked else "")
    if one.terms:
        named = ", ".join(f"{one_line(term)} {product:.2f}" for term, product in list(one.terms.items())[:4])
        line.append(f" ({named})", style="dim")
    elif one.score is not None:
        line.append(f" ({one.score:.3f})", style="dim")
    return line


def _parts(one: Highlighted, skipped: int) -> Iterator[tuple[str, bool]]:
    """The text in parts that are marked and that are not, from the character ``skipped`` on."""
    at = skipped
    for start, end in ((start - one.start, end - one.start) for start, end in one.marks):
        if end <= at:
            continue
        yield one.text[at : max(at, start)].lstrip() if at == skipped else one.text[at:start], False
        yield one.text[max(at, start) : end], True
        at = end
    yield one.text[at:].lstrip() if at == skipped else one.text[at:], False
