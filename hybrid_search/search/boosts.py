"""Boosts on the fused scores, pinned documents on top, buried ones at the end: between fusion and fetch.

    score = fused * (1 + weight * worth) * ...

It acts on the fused score, so that it decides which hits are fetched and reranked; a reranker's score is combined with
the boosted one (:mod:`hybrid_search.search.rerank`). Hits of equal score are in the order of their factors, so that
those whose fused score is 0, as the last of a window may be, are still told apart. Pinned and buried documents are
neither reranked nor moved otherwise: what is pinned stands first, in the order given, also where no leg found it - as
long as it is in the index and passes the filter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from hybrid_search.boosts import NOW, Boost, Fresh, parse_boost
from hybrid_search.errors import QueryError
from hybrid_search.fields import filter_kinds, moment, shown
from hybrid_search.records import IndexSchema, Placed
from hybrid_search.search.fusion import Fused
from hybrid_search.search.request import SearchRequest
from hybrid_search.settings import SearchSettings

Values = Mapping[str, Sequence[Any]]
"""Of one hit, by the user's names of fields."""

MAX_PLACED = 100
"""Ids that may be pinned, and that may be buried."""

_FIRST = {4: "-01-01", 7: "-01"}
"""What makes a day of a date of so many characters."""


@dataclass(frozen=True, slots=True)
class Boosts:
    """What is done to the fused ranking: rules, each with its origin in epoch milliseconds, and ids that are placed."""

    rules: tuple[tuple[Boost, float], ...] = ()
    pinned: tuple[str, ...] = ()
    buried: frozenset[str] = frozenset()

    def factors(self, values: Values) -> dict[str, float]:
        """The factor of each rule by its name, for a document of these values."""
        return {
            rule.name: 1 + rule.weight * rule.worth(values.get(rule.field, ()), origin) for rule, origin in self.rules
        }


def boosted_fields(request: SearchRequest, settings: SearchSettings) -> tuple[str, ...]:
    """The fields that the boosts read."""
    return tuple(boost.field for boost in _given(request, settings))


def plan_boosts(request: SearchRequest, settings: SearchSettings, schema: IndexSchema) -> Boosts:
    """The boosts of a search: those of the request, else of the settings; checked against the index.

    Raises:
        QueryError: an unknown field, a field of another kind, a boost twice, a date that cannot be read, an id that is
            none, or that is pinned and buried, too many ids.
    """
    now = time.time() * 1000
    rules = _given(request, settings)
    for rule in rules:
        check_field(rule.field, schema, rule.name, of=rule.of)
    names = [rule.name for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise QueryError(f"the boost {twice} is given twice", remedy="Give each field one boost of a kind.")
    pinned, buried = placed_ids(request, settings)
    return Boosts(tuple((rule, _origin(rule, now)) for rule in rules), pinned, frozenset(buried))


def placed_ids(request: SearchRequest, settings: SearchSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids that are pinned, and those that are buried; QueryError as :func:`plan_boosts` says."""
    pinned = _ids(settings.pin if request.pin is None else request.pin, "pin")
    buried = _ids(settings.bury if request.bury is None else request.bury, "bury")
    if both := next((id_ for id_ in pinned if id_ in buried), None):
        raise QueryError(f"{both!r} is pinned and buried", remedy="Leave it out of one of them.")
    return pinned, buried


def check_field(name: str, schema: IndexSchema, where: str, *, of: str | None = None) -> None:
    """Refuse a field whose values the index does not have, or that are of another kind; the nearest is named."""
    kinds = filter_kinds(schema)
    fitting = [field for field, kind in kinds.items() if of in (None, kind)]
    if name in fitting:
        return
    near = get_close_matches(name, fitting, n=1, cutoff=0.0)
    what = f"the field {name!r} is no {of}, but a {kinds[name]}" if name in kinds else f"unknown field {name!r}"
    some = "a value" if of is None else f"a {of}"
    remedy = f"Did you mean {near[0]}? " if near else ""
    remedy += f"With {some}: {', '.join(fitting)}." if fitting else f"The index has no field with {some} to filter on."
    raise QueryError(what, where=where, remedy=remedy)


def _given(request: SearchRequest, settings: SearchSettings) -> list[Boost]:
    given: Iterable[str | Boost] = settings.boosts if request.boosts is None else request.boosts
    return [_boost(one) for one in given]


def _boost(given: Any) -> Boost:
    if isinstance(given, Boost):
        return given
    if isinstance(given, str):
        return parse_boost(given)
    raise QueryError(f"{given!r} is no boost", remedy="Give Fresh, Log1p, Saturation, or a text: fresh:published,30d.")


def _ids(given: Iterable[str], what: str) -> tuple[str, ...]:
    ids = tuple(given)
    if wrong := [id_ for id_ in ids if not isinstance(id_, str) or not id_]:
        raise QueryError(f"{wrong[0]!r} is no id", where=what, remedy="Give ids of documents.")
    if len(ids) > MAX_PLACED:
        raise QueryError(f"{len(ids):,} ids", where=what, remedy=f"Give at most {MAX_PLACED}.")
    if len(set(ids)) < len(ids):
        raise QueryError("an id is given twice", where=what, remedy="Give each once.")
    return ids


def _origin(rule: Boost, now: float) -> float:
    """Epoch milliseconds; a date without a time is its midnight, one without a zone is UTC."""
    if not isinstance(rule, Fresh) or rule.origin == NOW:
        return now
    try:
        date = moment(rule.origin)
        if isinstance(date, str):
            read = datetime.fromisoformat(date + _FIRST.get(len(date), ""))
            date = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        where = f"boost {rule.name}"
        raise QueryError(
            f"the origin {shown(rule.origin)} is no date", where=where, remedy="Give now or 2024-05-17."
        ) from error
    return float(date)


def boosted(
    fused: Sequence[Fused], boosts: Boosts, values: Mapping[str, Values], documents: Mapping[str, str]
) -> list[Fused]:
    """A fused ranking in its new order.

    Args:
        fused: of one query; ``placed`` is kept where it says that no leg found the hit.
        boosts: what is done to it.
        values: what the hits brought along, by their ids.
        documents: the documents of the hits, by their ids.
    """
    order = {id_: place for place, id_ in enumerate(boosts.pinned)}
    hits = [_boosted(hit, boosts.factors(values.get(hit.id, {}))) for hit in fused]
    hits = [hit._replace(placed=hit.placed or _place(documents[hit.id], boosts)) for hit in hits]
    hits.sort(key=lambda hit: (-hit.score, -math.prod(hit.boosts.values()), hit.id))
    above, between, below = parted(hits)
    return [*sorted(above, key=lambda hit: order[documents[hit.id]]), *between, *below]


def parted(hits: Iterable[Fused]) -> tuple[list[Fused], list[Fused], list[Fused]]:
    """What is pinned, what is neither, and what is buried, each in the order of ``hits``."""
    parts: tuple[list[Fused], list[Fused], list[Fused]] = ([], [], [])
    for hit in hits:
        parts[1 if hit.placed is None else 2 if hit.placed is Placed.BURIED else 0].append(hit)
    return parts


def _boosted(hit: Fused, factors: Mapping[str, float]) -> Fused:
    """A score below 0, which a leg of somebody's own may give where it is not fused, is divided: it rises too."""
    factor = math.prod(factors.values())
    score = hit.score * factor if hit.score >= 0 else hit.score / factor
    return hit._replace(score=score, boosts=factors, unboosted=hit.score)


def _place(document: str, boosts: Boosts) -> Placed | None:
    if document in boosts.pinned:
        return Placed.PINNED
    return Placed.BURIED if document in boosts.buried else None
