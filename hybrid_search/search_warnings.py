"""What a search says beside its hits: warnings for people, with codes for programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class WarningCode(StrEnum):
    """What a warning of a search is about, for programs: the words may change, the codes do not.

    Those up to ``RERANK_LATE`` say that a part of the search is missing from the answer or is not whole.
    """

    LEG_FAILED = "leg-failed"
    LEG_LATE = "leg-late"
    STOPPED = "stopped"
    SHARDS_MISSING = "shards-missing"
    WINDOW_NOT_FILLED = "window-not-filled"
    PASSAGES_GONE = "passages-gone"
    PASSAGES_NOT_REPLACED = "passages-not-replaced"
    PINS_LEFT_OUT = "pins-left-out"
    FACETS_FAILED = "facets-failed"
    HIGHLIGHTS_FAILED = "highlights-failed"
    RERANK_FAILED = "rerank-failed"
    RERANK_LATE = "rerank-late"
    QUERY_CUT = "query-cut"
    NO_KNOWN_TERM = "no-known-term"
    NOTHING_FOUND = "nothing-found"
    FEW_DOCUMENTS = "few-documents"
    LIST_CUT = "list-cut"
    PINNED_NOT_FOUND = "pinned-not-found"
    VECTORS_INCOMPLETE = "vectors-incomplete"

    @property
    def degrades(self) -> bool:
        """Whether the answer lacks something that was asked for."""
        codes = list(WarningCode)
        return codes.index(self) <= codes.index(WarningCode.RERANK_LATE)


class SearchWarning(str):
    """A warning as text for people, with its ``code`` and the ``part`` that it is about for programs.

    ``part`` is the name of a leg, ``server``, ``fetch``, ``pins``, ``facets``, ``highlights`` or ``rerank``; None where
    it is about the whole search.
    """

    __slots__ = ("code", "part")
    code: WarningCode
    part: str | None

    def __new__(cls, text: str, code: WarningCode, part: str | None = None) -> Self:
        warning = super().__new__(cls, text)
        warning.code, warning.part = code, part
        return warning

    def __getnewargs__(self) -> tuple[str, WarningCode, str | None]:  # type: ignore[override]
        """What copies and pickles are made of."""
        return str(self), self.code, self.part
