"""Facets: what a caller asks to be counted beside the hits, and its check against an index, before anything is sent.

    search("desk lamp", facets=["brand", "price:10,50", Dates("published", "month"), MinMax("price")])

What each counts is its ``counts``: ``candidates``, the documents that the list is drawn from (fused, before the page is
cut); ``filter``, all that pass the filter; ``bm25``, all that hold a word of the query, of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as option
from datetime import UTC, date, datetime
from difflib import get_close_matches
from itertools import pairwise
from typing import ClassVar

from hybrid_search.errors import QueryError
from hybrid_search.fields import GEO, filter_kinds, moment, number
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.facets_calendar import INTERVALS, milliseconds, zone

CANDIDATES, FILTER, BM25 = "candidates", "filter", "bm25"
COUNTS = (CANDIDATES, FILTER, BM25)

MOST_FACETS = 50
MOST_VALUES = 1_000
MOST_EDGES = 100

Edge = int | float | str | date


@dataclass(frozen=True, slots=True)
class Facet:
    """Base of all facets.

    Attributes:
        field: the user's name of a keyword, number or date field.
        counts: ``candidates``, ``filter`` or ``bm25``.
        name: what the result calls it; None for the name of the field.
    """

    kind: ClassVar[str] = ""
    fits: ClassVar[tuple[str, ...]] = ()

    field: str
    counts: str = option(default=CANDIDATES, kw_only=True)
    name: str | None = option(default=None, kw_only=True)

    @property
    def called(self) -> str:
        """The key of its counts in the result."""
        return self.field if self.name is None else self.name

    def checked(self, kind: str) -> Facet:
        """Itself, with what it was given in one form; QueryError for what cannot be counted of a field of this kind."""
        del kind
        return self


@dataclass(frozen=True, slots=True)
class Terms(Facet):
    """The ``size`` values that most documents have, ties in the order of the values."""

    kind: ClassVar[str] = "terms"
    fits: ClassVar[tuple[str, ...]] = ("keyword", "number")

    size: int = 10

    def checked(self, kind: str) -> Facet:
        """Itself; QueryError for no value, or too many."""
        del kind
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 1 <= self.size <= MOST_VALUES:
            raise _refused(f"a size of {self.size!r:.40}", self, f"Give a number from 1 to {MOST_VALUES:,}.")
        return self


@dataclass(frozen=True, slots=True)
class Ranges(Facet):
    """Documents below the first edge, from each edge up to the next (which is not in it), and from the last on."""

    kind: ClassVar[str] = "ranges"
    fits: ClassVar[tuple[str, ...]] = ("number", "date")

    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.edges, Iterable) and not isinstance(self.edges, str):
            object.__setattr__(self, "edges", tuple(self.edges))

    def checked(self, kind: str) -> Facet:
        """With edges as numbers, of dates epoch milliseconds; QueryError unless they ascend."""
        if not isinstance(self.edges, tuple) or not self.edges:
            raise _refused("ranges without edges", self, 'Give at least one number: "price:10,50".')
        if len(self.edges) > MOST_EDGES:
            raise _refused(f"{len(self.edges):,} edges", self, f"Give at most {MOST_EDGES}.")
        edges = tuple(self._edge(edge, kind) for edge in self.edges)
        if any(upper <= lower for lower, upper in pairwise(edges)):
            shown = ", ".join(map(str, self.edges))
            raise _refused(f"the edges {shown:.80} do not ascend", self, "Give each once, the smallest first.")
        return replace(self, edges=edges)

    def _edge(self, edge: Edge, kind: str) -> int | float:
        try:
            return number(edge) if kind == "number" else _moment(edge)
        except (ValueError, OverflowError):
            what = "number" if kind == "number" else "date"
            raise _refused(f"the edge {edge!r:.60} is no {what}", self, _EDGES[kind]) from None


@dataclass(frozen=True, slots=True)
class Dates(Facet):
    """Documents by calendar interval, in a time zone (``Europe/Berlin``, ``+02:00``).

    ``interval`` is minute, hour, day, week (from Monday), month, quarter or year; those without any are not told.
    """

    kind: ClassVar[str] = "dates"
    fits: ClassVar[tuple[str, ...]] = ("date",)

    interval: str = "month"
    time_zone: str = "UTC"

    def checked(self, kind: str) -> Facet:
        """Itself; QueryError for an unknown interval or time zone, with the nearest."""
        del kind
        if self.interval not in INTERVALS:
            near = get_close_matches(str(self.interval), INTERVALS, n=1)
            guess = f"Did you mean {near[0]}? " if near else ""
            remedy = f"{guess}There are: {', '.join(INTERVALS)}."
            raise _refused(f"unknown interval {self.interval!r:.40}", self, remedy)
        zone(self.time_zone)
        return self


@dataclass(frozen=True, slots=True)
class MinMax(Facet):
    """The smallest and the largest value."""

    kind: ClassVar[str] = "min-max"
    fits: ClassVar[tuple[str, ...]] = ("number", "date")


_EDGES = {"number": "Write it as 9.5.", "date": "Write it as 2024-12-31."}
_FORMS = {
    "keyword": 'Give "{field}", or "{field}:20" for the 20 most frequent.',
    "number": 'Give "{field}:10,50" for ranges, "{field}:min-max" or "{field}:values".',
    "date": 'Give "{field}:month", "{field}:week@Europe/Berlin", "{field}:2020,2024" for ranges, "{field}:min-max".',
}


def checked_facets(given: Iterable[Facet | str], schema: IndexSchema, counts: str = CANDIDATES) -> tuple[Facet, ...]:
    """The facets that were asked for, those in short form read, all fit for an index of this schema.

    Those in short form count what ``counts`` says.

    Raises:
        QueryError: an unknown field (with the nearest), one of text, a facet that does not fit the field's kind, an
            unknown interval or time zone, ranges that do not ascend, a size out of range, two of one name.
    """
    if isinstance(given, str | Facet):
        given = (given,)
    facets = tuple(_checked(one, schema, counts) for one in given)
    if len(facets) > MOST_FACETS:
        raise QueryError(f"{len(facets)} facets", remedy=f"Ask for at most {MOST_FACETS}.")
    named: set[str] = set()
    for one in facets:
        if one.called in named:
            remedy = 'Give one a name: Terms("brand", name="makers"), or "makers=brand".'
            raise QueryError(f"two facets are called {one.called!r:.60}", remedy=remedy)
        named.add(one.called)
    return facets


def check_counts(counts: str, where: str) -> None:
    """Raise QueryError for what no facet counts."""
    if counts not in COUNTS:
        raise QueryError(f"it counts {counts!r:.40}", where=where, remedy=f"It may count: {', '.join(COUNTS)}.")


def _checked(given: Facet | str, schema: IndexSchema, counts: str) -> Facet:
    if not isinstance(given, Facet | str) or type(given) is Facet:
        raise QueryError(f"{given!r:.60} is no facet", remedy='Give "brand", "price:10,50" or Terms("brand").')
    facet = replace(_read(given, schema), counts=counts) if isinstance(given, str) else given
    kind = kind_of(facet.field, schema)
    if kind not in facet.fits:
        form = _FORMS[kind].format(field=facet.field)
        raise _refused(f"{facet.kind} are not for a {kind} field", facet, form)
    check_counts(facet.counts, f"facet {facet.field}")
    return facet.checked(kind)


def kind_of(name: str, schema: IndexSchema) -> str:
    """``keyword``, ``number`` or ``date``; QueryError for a field that is none of them."""
    if isinstance(name, str) and filter_kinds(schema).get(name) == GEO:
        remedy = "Filter on it: within 5km of 48.1,11.5."
        raise QueryError(f"the field {name!r} holds places, which are not counted", where="facets", remedy=remedy)
    kinds = {field: kind for field, kind in filter_kinds(schema).items() if kind != GEO}
    if isinstance(name, str) and name in kinds:
        return kinds[name]
    if name in {"text", schema.title, schema.passage_title, *(one.name for one in schema.text_fields)}:
        remedy = "Name it in documents.keyword as well, and index again: a facet counts whole values."
        raise QueryError(f"the field {name!r} is text, whose words are searched", where="facets", remedy=remedy)
    near = get_close_matches(str(name), kinds, n=1)
    known = f"Did you mean {near[0]!r}?" if near else f"It can count: {', '.join(sorted(kinds)) or 'nothing'}."
    remedy = f"{known} Another is to be named in documents.keyword, number or date."
    raise QueryError(f"the index has no field {name!r:.60} to count", where="facets", remedy=remedy)


def _read(text: str, schema: IndexSchema) -> Facet:
    """A facet from its short form: ``brand``, ``brand:20``, ``price:10,50``, ``published:month``, ``NAME=...``."""
    kinds = filter_kinds(schema)
    called, _, rest = text.partition("=")
    if not rest or text.strip() in kinds:
        called, rest = "", text
    name, how = _split(rest.strip(), kinds)
    facet = _SHORT[kind_of(name, schema)](name, how)
    return replace(facet, name=called.strip()) if called.strip() else facet


def _split(text: str, fields: Iterable[str]) -> tuple[str, str]:
    """The field, which may have colons in its name, and what is behind the colon after it."""
    known = [name for name in fields if text == name or text.startswith(f"{name}:")]
    name = max(known, key=len, default=text.partition(":")[0].strip())
    return name, text[len(name) :].lstrip().removeprefix(":").strip()


def _keyword_facet(name: str, how: str) -> Facet:
    if how and not (how.isascii() and how.isdigit()):
        raise QueryError(f"{how!r:.40} is no number of values", where=f"facet {name}", remedy=_form("keyword", name))
    return Terms(name, int(how)) if how else Terms(name)


def _number_facet(name: str, how: str) -> Facet:
    if how in {"", "min-max"}:
        return MinMax(name)
    return Terms(name) if how == "values" else Ranges(name, _edges(how, name, "number"))


def _date_facet(name: str, how: str) -> Facet:
    if how in {"", "min-max"}:
        return MinMax(name)
    if how[0].isdigit() or "," in how:
        return Ranges(name, _edges(how, name, "date"))
    interval, _, time_zone = how.partition("@")
    return Dates(name, interval.strip(), time_zone.strip() or "UTC")


def _edges(how: str, name: str, kind: str) -> tuple[Edge, ...]:
    parts = [part.strip() for part in how.split(",")]
    if not all(parts) or (kind == "number" and not parts[0].lstrip("+-.")[:1].isdigit()):
        raise QueryError(f"{how!r:.40} are no edges of ranges", where=f"facet {name}", remedy=_form(kind, name))
    return tuple(parts)


_SHORT = {"keyword": _keyword_facet, "number": _number_facet, "date": _date_facet}


def _form(kind: str, name: str) -> str:
    return _FORMS[kind].format(field=name)


def _moment(edge: Edge) -> int:
    """Epoch milliseconds of a date; of one without a time zone in UTC, of a year or month its first moment."""
    if isinstance(edge, datetime):
        return milliseconds(edge if edge.tzinfo else edge.replace(tzinfo=UTC))
    text = edge.isoformat() if isinstance(edge, date) else edge
    if isinstance(text, str) and len(text) in {4, 7}:
        text = f"{text}-01-01"[:10]
    read = moment(text)
    if isinstance(read, int):
        return read
    found = datetime.fromisoformat(read)
    return milliseconds(found if found.tzinfo else found.replace(tzinfo=UTC))


def _refused(what: str, facet: Facet, remedy: str) -> QueryError:
    return QueryError(what, where=f"facet {facet.field}", remedy=remedy)


def candidate_fields(facets: Sequence[Facet]) -> tuple[str, ...]:
    """The fields whose values the candidates must bring along."""
    return tuple(dict.fromkeys(one.field for one in facets if one.counts == CANDIDATES))


def check_words(query: Query, facets: Iterable[Facet]) -> None:
    """Raise QueryError where a facet counts what holds the words of a query that has none."""
    words = [facet.called for facet in facets if facet.counts == BM25]
    if words and not query.text.strip():
        what = "it counts what holds the words of the query, which is empty"
        raise QueryError(what, where=f"facet {words[0]}", remedy='Count "candidates" or "filter" instead.')
