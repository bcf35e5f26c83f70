"""What people type into a search box, read as they mean it (``syntax="simple"``); no text is an error.

    "two words"      in this order, in every hit
    -word, -"a b"    in no hit
    field:value      a filter on a keyword, number or date field of the index; -field:value for what it is not
    field:begin*     one on keywords that begin so; field:<20, field:>=2024 on numbers and dates
    title:word       in this text field, where the index searches it on its own; title:"two words", title:begin*
    begin*           words that begin so
    word~            the word or one that is like it: one letter apart from three letters on, two from six on

What is none of these is text: a quote without its partner, a dash in a word, a colon behind what is no field. Words in
quotes and words to leave out hold for passages, in every leg. Encoders and rerankers read the text without the signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import QueryError
from hybrid_search.filters import Eq, Filter, Prefix, Range, clause
from hybrid_search.records import IndexSchema
from hybrid_search.search.scored_text import InPath, best_of, in_any

SYNTAXES = ("text", "simple")
"""As it is, or read for signs."""

SIGNS = 32
"""Most words with a sign that are read; what follows is text. A person types fewer, and each is a clause or many."""

_TERM = re.compile(
    r"""(?<!\S)(?P<no>-)?(?:(?P<field>[^\s":]+):)?(?:"(?P<phrase>[^"\w]*\w[^"]*)"|(?P<word>[^\s"]+))(?!\S)|\S+"""
)
_BEGINNING = re.compile(r"(\w{2,})\*")
_LIKE = re.compile(r"(\w{3,})~")
_BOUND = re.compile(r"([<>]=?)(.+)")
_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A text as it was read.

    Attributes:
        text: what encoders and rerankers read.
        words: what BM25 searches for as words.
        scored: further clauses of BM25.
        required: clauses that every passage must pass, in every leg.
        excluded: clauses that none may.
    """

    text: str
    words: str
    scored: tuple[dict[str, Any], ...] = ()
    required: tuple[dict[str, Any], ...] = ()
    excluded: tuple[dict[str, Any], ...] = ()

    @property
    def filter(self) -> dict[str, Any] | None:
        """The clause for every leg; None where all passages pass."""
        parts = {"filter": list(self.required), "must_not": list(self.excluded)}
        given = {name: clauses for name, clauses in parts.items() if clauses}
        return {"bool": given} if given else None


@dataclass(slots=True)
class _Reading:
    """What was read so far."""

    text: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    scored: list[dict[str, Any]] = field(default_factory=list)
    required: list[dict[str, Any]] = field(default_factory=list)
    excluded: list[dict[str, Any]] = field(default_factory=list)
    values: list[str] = field(default_factory=list)

    def plain(self, text: str) -> None:
        self.text.append(text)
        self.words.append(text)


def read_query(text: str, schema: IndexSchema, *, now: int | None = None) -> ReadQuery:
    """``text`` as people mean it, for an index of this schema; ``now`` in dates is a moment in epoch milliseconds.

    A text that says only what to leave out, or only values of fields, is searched for as it is, without its signs.
    """
    reading, signs = _Reading(), 0
    for term in _TERM.finditer(text):
        said = _sign(term, schema, now) if signs < SIGNS else None
        if said is None:
            reading.plain(term.group())
        else:
            signs += 1
            said(reading)
    if not reading.text:
        reading.plain(" ".join(reading.values) or re.sub(r'[-":*~]', " ", text))
    return ReadQuery(
        " ".join(reading.text),
        " ".join(reading.words),
        tuple(reading.scored),
        tuple(reading.required),
        tuple(reading.excluded),
    )


def _sign(term: re.Match[str], schema: IndexSchema, now: int | None) -> Callable[[_Reading], None] | None:
    """What a term adds to what was read; None where it is text."""
    no, name, phrase, word = (term.group(part) for part in ("no", "field", "phrase", "word"))
    if phrase is None and word is None:
        return None
    if name is not None:
        return _named(term, schema, now)
    if no:
        if phrase is None and not re.search(r"\w", word):
            return None
        wanted = in_any(schema, _phrase(phrase) if phrase is not None else _words(word))
        return lambda reading: reading.excluded.append(wanted)
    if phrase is not None:
        return lambda reading: _quoted(reading, phrase, schema)
    return _beginning(word, schema) or _like(word, schema)


def _named(term: re.Match[str], schema: IndexSchema, now: int | None) -> Callable[[_Reading], None] | None:
    """What ``field:value`` adds: a filter where the index filters on the field, else words of that text."""
    no, name, phrase = bool(term["no"]), term["field"], term["phrase"]
    value = term["word"] if phrase is None else phrase
    passing = _compared(name, value, schema, now, quoted=phrase is not None)
    if passing is not None:
        return lambda reading: _filtered(reading, passing, value, no=no)
    return _alone(name, value, schema, phrase=phrase is not None, no=no)


def _compared(name: str, value: str, schema: IndexSchema, now: int | None, *, quoted: bool) -> dict[str, Any] | None:
    """The filter clause; None where the index has no such field, or the field no such value."""
    try:
        return clause(Eq(name, value) if quoted else _comparison(name, value, schema), schema, now=now)
    except QueryError:
        return None


def _comparison(name: str, value: str, schema: IndexSchema) -> Filter:
    """A beginning, a bound, or a value, by the kind of the field."""
    if name in schema.keyword_fields:
        begin = value.removesuffix("*")
        return Prefix(name, begin) if begin and begin != value else Eq(name, value)
    if found := _BOUND.fullmatch(value):
        return Range(name, **{_BOUNDS[found[1]]: found[2]})
    return Eq(name, value)


def _filtered(reading: _Reading, passing: dict[str, Any], value: str, *, no: bool) -> None:
    (reading.excluded if no else reading.required).append(passing)
    if not no:
        reading.values.append(value.lstrip("<>=").rstrip("*"))


def _alone(name: str, value: str, schema: IndexSchema, *, phrase: bool, no: bool) -> Callable[[_Reading], None] | None:
    """The words of one text field; None where the index has no such field, or the value no word."""
    paths = [path.path for path in layout.text_paths(schema) if path.name == name != layout.TEXT]
    if not paths or not re.search(r"\w", value):
        return None
    begin = None if phrase else _BEGINNING.fullmatch(value)
    said = _phrase(value) if phrase else _words(value) if begin is None else _prefix(begin[1])
    wanted = best_of([said(path) for path in paths])
    if no:
        return lambda reading: reading.excluded.append(wanted)

    def read(reading: _Reading) -> None:
        reading.text.append(value)
        reading.scored.append(wanted)
        reading.required.append(wanted)

    return read


def _quoted(reading: _Reading, phrase: str, schema: IndexSchema) -> None:
    reading.text.append(phrase)
    reading.scored.append(in_any(schema, _phrase(phrase)))
    reading.required.append(in_any(schema, _required(phrase)))


def _beginning(word: str, schema: IndexSchema) -> Callable[[_Reading], None] | None:
    found = _BEGINNING.fullmatch(word)
    return None if found is None else lambda reading: _scored(reading, found[1], in_any(schema, _prefix(found[1])))


def _like(word: str, schema: IndexSchema) -> Callable[[_Reading], None] | None:
    found = _LIKE.fullmatch(word)
    return None if found is None else lambda reading: _scored(reading, found[1], in_any(schema, _fuzzy(found[1])))


def _scored(reading: _Reading, word: str, wanted: dict[str, Any]) -> None:
    reading.text.append(word)
    reading.scored.append(wanted)


def _words(text: str) -> InPath:
    return lambda path: {"match": {path: {"query": text, "operator": "and"}}}


def _phrase(text: str) -> InPath:
    return lambda path: {"match_phrase": {path: {"query": text, "zero_terms_query": "none"}}}


def _required(text: str) -> InPath:
    """A phrase of stop words alone, of which the analyzer leaves none, passes what that analyzer has read."""

    def clause_in(path: str) -> dict[str, Any]:
        phrase = {"match_phrase": {path: {"query": text, "zero_terms_query": "all"}}}
        return phrase if path == layout.TEXT else {"bool": {"filter": [phrase, {"exists": {"field": path}}]}}

    return clause_in


def _prefix(begin: str) -> InPath:
    return lambda path: {"prefix": {path: {"value": begin.lower()}}}


def _fuzzy(word: str) -> InPath:
    return lambda path: {"match": {path: {"query": word, "fuzziness": "AUTO", "prefix_length": 1}}}
