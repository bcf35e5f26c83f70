"""What a search does without a part that failed or was late: decided here, for every part, and said in its warnings.

====================  ================================================================================================
what is missing       the answer
====================  ================================================================================================
an encoding           the legs that read it have failed, or are late
a leg                 that of the other legs; without any, the error of the first
fusion by the server  none: the error
more of a leg         what the leg has found before
facets                without those that could not be counted
highlights            the hits without what could not be marked in time
passages that match   of an owner's documents: the first of each
passages              the next hits in place of those that are gone; none at all at the first attempt: the error
further passages      the hits without them
pinned documents      those that a leg found
reranking             the fused order; of what was scored in time, the combined one above it
====================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hybrid_search.errors import HybridSearchError
from hybrid_search.search.outcomes import Failed, Found, Late, Outcome, Skipped, T
from hybrid_search.search_warnings import SearchWarning, WarningCode

FETCH, FACETS, HIGHLIGHTS, RERANK, SERVER = "fetch", "facets", "highlights", "rerank", "server"
"""The parts of a search that are no legs, as warnings name them."""


def leg_warnings(name: str, outcome: Outcome[Any]) -> tuple[SearchWarning, ...]:
    """What is said of the leg of this name."""
    match outcome:
        case Failed(error):
            return (SearchWarning(f"the {name} leg failed: {error}", WarningCode.LEG_FAILED, name),)
        case Late(error):
            return (SearchWarning(f"the {name} leg failed: {error}", WarningCode.LEG_LATE, name),)
        case Skipped(why):
            return () if why is None else (why,)
        case Found(notes=notes):
            return notes


def unanswered(outcomes: Iterable[Outcome[Any]]) -> HybridSearchError | None:
    """The error of a query for which nothing could be searched: that of its first leg; None where a leg answered."""
    errors = [outcome.error if isinstance(outcome, Failed | Late) else None for outcome in outcomes]
    return errors[0] if errors and None not in errors else None


def unfilled(name: str, before: Found[T], lost: Failed | Late) -> Found[T]:
    """A leg that found something, and could not be asked for more: it stays as it is."""
    note = SearchWarning(
        f"the window of the {name} leg was not filled: {lost.error}", WarningCode.WINDOW_NOT_FILLED, name
    )
    return Found(before.value, (*before.notes, note))


def stopped(part: str, seconds: float) -> SearchWarning:
    """An engine that ran out of time with some hits: they count."""
    text = f"{_subject(part, 'the search')} was stopped after {seconds:g} s with what it had"
    return SearchWarning(text, WarningCode.STOPPED, part)


def without_shards(part: str, failed: int, shards: int) -> SearchWarning:
    """Shards that failed: the hits of the others count."""
    text = f"{_subject(part, '')} searched without {failed} of {shards} shards".lstrip()
    return SearchWarning(text, WarningCode.SHARDS_MISSING, part)


def unreplaced(lost: Failed | Late) -> SearchWarning:
    """Passages that are gone, and whose successors could not be fetched: the page is shorter."""
    text = f"lost passages were not replaced: {lost.error}"
    return SearchWarning(text, WarningCode.PASSAGES_NOT_REPLACED, FETCH)


def unread(lost: Failed | Late) -> SearchWarning:
    """Passages that were to complete the page, further ones of its hits above all, and could not be fetched."""
    return SearchWarning(f"not all passages were fetched: {lost.error}", WarningCode.PASSAGES_NOT_REPLACED, FETCH)


def unplaced(lost: Failed | Late) -> SearchWarning:
    """The passages of an owner's documents that were found are not known: their first ones are shown."""
    return SearchWarning(f"hits show their first passages: {lost.error}", WarningCode.PASSAGES_NOT_REPLACED, FETCH)


def gone(count: int) -> SearchWarning:
    """Passages that were found and could not be fetched: the next hits stand in their place."""
    text = f"passages found but not fetched: {count} (deleted meanwhile, or late)"
    return SearchWarning(text, WarningCode.PASSAGES_GONE, FETCH)


def unranked(lost: Failed | Late) -> SearchWarning:
    """Reranking that failed or was late: the fused order is complete without it."""
    code = WarningCode.RERANK_LATE if isinstance(lost, Late) else WarningCode.RERANK_FAILED
    return SearchWarning(f"not reranked: {lost.error}", code, RERANK)


def partly_ranked(scored: int, window: int) -> SearchWarning:
    """A reranker too slow for all of its window: the best hits are reranked, the others keep their order below."""
    return SearchWarning(
        f"reranked the first {scored} of {window} hits: there was no time for more", WarningCode.RERANK_LATE, RERANK
    )


def _subject(part: str, otherwise: str) -> str:
    return otherwise if part == SERVER else f"the {part} leg"
