"""Pages of a list that was ranked once: the hits that a cursor keeps, in their order and with their ranks and scores.

Nothing is searched or reranked again, so that no hit comes twice and none is passed over, whatever is written or
deleted meanwhile. What is shown of a hit is what is stored now. A document that is gone is said, and its rank stays
empty; one that was written again and lacks the passage that was found is shown by its first.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hybrid_search.errors import HybridSearchError
from hybrid_search.records import Query
from hybrid_search.search.collapse import SEPARATOR, Best, document_id
from hybrid_search.search.cursor import LONGEST, MOST, FrozenList, Kept, Kind, written
from hybrid_search.search.cursor_binding import bound_to
from hybrid_search.search.degradation import FETCH
from hybrid_search.search.fetch import fetch
from hybrid_search.search.fusion import Fused
from hybrid_search.search.outcomes import Found
from hybrid_search.search.places import places_again
from hybrid_search.search.rerank import Reranked, lines_below
from hybrid_search.search.retrieved import LegRun
from hybrid_search.search.stages import Course, Progress, Stored
from hybrid_search.search.steps import Step
from hybrid_search.search_warnings import SearchWarning, WarningCode

SHOWN = 5
"""Ids of deleted documents that a warning names."""


def frozen_hits(queries: Sequence[Progress], course: Course) -> Generator[Step, Any, list[Progress]]:
    """The next page of the list that the cursor keeps; a search with one has one query."""
    one, frozen = queries[0], None if course.paging is None else course.paging.frozen
    if frozen is None:
        raise ValueError("no list to go on with")
    with course.clock("fetch"):
        try:
            frozen = yield from _with_places(one.retrieved.query, frozen, course)
            page = yield from _page(frozen, course)
        except HybridSearchError as error:
            return [replace(one, error=error)]
    return [_shown(one, page, frozen)]


def _with_places(query: Query, frozen: FrozenList, course: Course) -> Generator[Step, Any, FrozenList]:
    """The list whose next page names the passages of an owner's documents that were not asked for when it was made."""
    page, rest = frozen.hits[: course.plan.k], frozen.hits[course.plan.k :]
    places = yield from places_again(query, [hit.passage_id for hit in page], course)
    if not places:
        return frozen
    return replace(
        frozen, hits=[*(replace(hit, passage_id=places.get(hit.passage_id, hit.passage_id)) for hit in page), *rest]
    )


@dataclass(slots=True)
class _Page:
    """Hits that are there, with their places in the list; those that are gone; and how far the list was read."""

    hits: dict[int, Kept]
    gone: list[Kept]
    stored: dict[str, Stored]
    end: int = 0


def _page(frozen: FrozenList, course: Course) -> Generator[Step, Any, _Page]:
    """As many hits as a page has; where some are gone, the next ones, twice as many at each attempt."""
    page, wanted = _Page({}, [], {}), course.plan.k
    while len(page.hits) < wanted and page.end < len(frozen.hits):
        batch = frozen.hits[page.end : page.end + max(wanted - len(page.hits), len(page.gone))]
        found = yield from _stored(batch, course)
        for place, hit in enumerate(batch, start=page.end):
            if len(page.hits) == wanted:
                break
            page.end = place + 1
            if hit.passage_id in found:
                instead, passage = found[hit.passage_id]
                page.hits[place] = replace(hit, passage_id=instead)
                page.stored[instead] = passage
            else:
                page.gone.append(hit)
    return page


def _stored(batch: Sequence[Kept], course: Course) -> Generator[Step, Any, dict[str, tuple[str, Stored]]]:
    """Passages by the ids that were kept, each with its own id: that of another passage of the document, if need be."""
    ids = [hit.passage_id for hit in batch]
    stored: Mapping[str, Stored] = yield from fetch([ids], course.target, course.budget)
    found = {id_: (id_, stored[id_]) for id_ in ids if id_ in stored}
    others = {id_: f"{document_id(id_)}{SEPARATOR}0" for id_ in ids if id_ not in found}
    others = {id_: first for id_, first in others.items() if first != id_}
    if others and course.plan.collapse.documents:
        stored = yield from fetch([list(others.values())], course.target, course.budget)
        found |= {id_: (first, stored[first]) for id_, first in others.items() if first in stored}
    return found


def _shown(one: Progress, page: _Page, frozen: FrozenList) -> Progress:
    """The page as the stages of a search would leave it."""
    best = {hit.passage_id: Best(hit.passage_id, hit.passage_id, hit.score) for hit in page.hits.values()}
    fused = [
        Fused(hit.passage_id, hit.score, {}, unboosted=None if hit.fused == hit.score else hit.fused)
        for hit in page.hits.values()
    ]
    notes = [] if not page.gone else [_gone(page.gone)]
    if page.end == len(frozen.hits) and frozen.is_cut:
        text = f"the list goes on, but its cursor held no more than its {LONGEST:,} characters: narrow the search"
        notes.append(SearchWarning(text, WarningCode.LIST_CUT))
    return replace(
        one,
        retrieved=replace(one.retrieved, by_server=Found(LegRun(best))),
        fused=fused,
        stored=page.stored,
        ranked=[Reranked(hit, hit.score, None) for hit in fused],
        ranks=[frozen.rank + place for place in page.hits],
        rest=frozen.hits[page.end :],
    ).noting(*notes)


def _gone(gone: Sequence[Kept]) -> SearchWarning:
    named = ", ".join(document_id(hit.passage_id) for hit in gone[:SHOWN])
    more = "" if len(gone) <= SHOWN else f" and {len(gone) - SHOWN} more"
    text = f"deleted since the list was made: {named}{more}"
    return SearchWarning(text, WarningCode.PASSAGES_GONE, FETCH)


class RestOfList:
    """What comes behind a page; the cursor is written when it is first asked for, for most searches have one page.

    A copy, and what is pickled, has the cursor and not the key.
    """

    def __init__(self, one: Progress, asked: Query, course: Course, kind: Kind) -> None:
        """``asked`` is the query without vectors that were encoded for it."""
        self._progress = replace(one, stored={}, reopened={})
        self._asked, self._kind = asked, kind
        self._paging, self._plan, self._schema = course.paging, course.plan, course.target.schema

    def cursor(self) -> str | None:
        """The text of it; None where nothing comes."""
        return self._text

    @cached_property
    def _text(self) -> str | None:
        paging = self._paging
        if paging is None:
            return None
        rest = self._first_rest() if paging.frozen is None else self._next_rest(paging.frozen)
        if not rest.hits:
            return None
        return written(rest, bound_to(self._asked, paging.request, self._schema), paging.seal, now=time.time())

    def _next_rest(self, frozen: FrozenList) -> FrozenList:
        rest = self._progress.rest
        return replace(frozen, hits=rest, rank=frozen.rank + len(frozen.hits) - len(rest))

    def _first_rest(self) -> FrozenList:
        """Hits that were fetched, and behind them those that were not."""
        one, plan = self._progress, self._plan
        end = plan.offset + plan.k
        weight = 0.0 if plan.reranking is None else plan.reranking.weight
        hits = [*one.ranked[end:], *lines_below(one.ranked, one.beyond[:MOST], weight)]
        kept = [Kept(one.retrieved.best(hit.hit).passage_id, hit.score, hit.hit.fused) for hit in hits[:MOST]]
        is_cut = max(0, len(one.ranked) - end) + len(one.beyond) > len(kept)
        return FrozenList(kept, end + 1, self._kind, is_cut)

    def __reduce__(self) -> tuple[type[WrittenCursor], tuple[str | None]]:
        return WrittenCursor, (self.cursor(),)


class WrittenCursor:
    """A cursor that is there already."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def cursor(self) -> str | None:
        """The text of it."""
        return self._text
