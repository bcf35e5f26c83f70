"""Highlights: what of a hit is shown as the reason why it was found, and in which form."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid_search.errors import QueryError

MOST_FRAGMENTS = 100
LENGTHS = range(20, 10_001)
_MARKER = "Give a tag, such as <em>: text is escaped, so that no document can hold one. For others take the offsets."


@dataclass(frozen=True, slots=True)
class Highlight:
    """How hits are highlighted.

    Attributes:
        fragments: the most pieces of one field of a hit.
        length: characters of a piece, about; a longer sentence is cut.
        before: HTML before what is marked; the text itself is escaped.
        after: HTML behind it.
        every: all reasons of every hit, be it that words of the query were found in it as well.
        meaning: whether the encoder may be asked which sentence is nearest to the query.
    """

    fragments: int = 3
    length: int = 200
    before: str = "<mark>"
    after: str = "</mark>"
    every: bool = False
    meaning: bool = True

    def __post_init__(self) -> None:
        if not _is_whole(self.fragments) or not 1 <= self.fragments <= MOST_FRAGMENTS:
            raise _refused(f"{self.fragments!r:.40} fragments", f"Give a number from 1 to {MOST_FRAGMENTS}.")
        if not _is_whole(self.length) or self.length not in LENGTHS:
            remedy = f"Give a number of characters from {LENGTHS[0]} to {LENGTHS[-1]:,}."
            raise _refused(f"fragments of {self.length!r:.40} characters", remedy)
        for marker in (self.before, self.after):
            if not isinstance(marker, str) or not ("<" in marker and ">" in marker):
                raise _refused(f"the marker {marker!r:.40} could stand in a document", _MARKER)


def checked_highlight(given: bool | Highlight | None) -> Highlight | None:
    """How to highlight; None for not at all. QueryError for what is neither yes, no nor a :class:`Highlight`."""
    if given is None or isinstance(given, bool):
        return Highlight() if given else None
    if isinstance(given, Highlight):
        return given
    raise _refused(f"{given!r:.40} is no form of highlights", "Give True, or a Highlight.")


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _refused(what: str, remedy: str) -> QueryError:
    return QueryError(what, where="highlight", remedy=remedy)
