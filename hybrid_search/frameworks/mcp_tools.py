"""What a language-model agent can do with an index: search, fetch, facets and why, small and cited.

Answers are plain JSON types. Every text is a piece of a document with its place: ``start`` and ``end`` count the
characters of the whole document, so that a quotation can be checked, and read on from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from hybrid_search.errors import QueryError
from hybrid_search.fields import filter_kinds
from hybrid_search.records import Hit, SearchResult, StoredPassage
from hybrid_search.search import AsyncSearchClient
from hybrid_search.search.snippet import snippet

SHOWN = 700
"""Characters of a passage that a search shows."""
FETCHED = 4_000
"""Characters of a document that are read at once, where the agent does not say."""
MOST_FETCHED = 20_000
MAX_VALUE = 200
"""Characters of a field's value."""
MAX_FIELDS = 16
AT_ONCE = 50
"""Passages that are asked for together."""
MOST_WHY = 8
"""Words, terms and changes of an explanation."""

Text = Annotated[str, Meta(min_length=1)]
Condition = Annotated[
    str | None,
    Meta(description='Which documents count: brand=Sony and price<100, year>=2020, or tag in (a, "b c").'),
]
DocumentId = Annotated[str, Meta(min_length=1, description="The id of a document, as a search gives it.")]


class Arguments(Struct, forbid_unknown_fields=True, frozen=True):
    """Arguments of a tool, checked against their types."""


class Search(Arguments, frozen=True):
    """What is searched for."""

    query: Annotated[Text, Meta(description="A question or key words, in plain language.")]
    k: Annotated[int, Meta(ge=1, le=20, description="How many documents.")] = 5
    offset: Annotated[int, Meta(ge=0, le=1_000, description="Documents to pass over: 5 for the second five.")] = 0
    filter: Condition = None


class Fetch(Arguments, frozen=True):
    """Which document is read, from where."""

    id: DocumentId
    start: Annotated[int, Meta(ge=0, description="The first character; `next` of the answer before.")] = 0
    length: Annotated[int, Meta(ge=1, le=MOST_FETCHED, description="How many characters.")] = FETCHED


class Facets(Arguments, frozen=True):
    """What is counted."""

    fields: Annotated[
        list[Text],
        Meta(min_length=1, max_length=10, description="brand, or ranges: price:10,50, or dates: published:month."),
    ]
    query: Annotated[str | None, Meta(description="Count what a search finds; without, all documents.")] = None
    filter: Condition = None


class Why(Arguments, frozen=True):
    """Whose rank is explained."""

    query: Annotated[Text, Meta(description="The query of the search.")]
    id: DocumentId
    k: Annotated[int, Meta(ge=1, le=20, description="How many documents the search gave.")] = 5
    filter: Condition = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what it is for, what it takes (a class of :class:`Arguments`), and what carries it out."""

    name: str
    description: str
    takes: type[Arguments]
    run: Callable[[Any], Awaitable[dict[str, Any]]]

    async def call(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The answer.

        Raises:
            QueryError: an argument is missing, unknown, of another type or out of range.
            HybridSearchError: what the search raises.
        """
        try:
            checked = msgspec.convert(dict(arguments), self.takes)
        except msgspec.ValidationError as error:
            takes = ", ".join(self.takes.__struct_fields__)
            raise QueryError(_wrong(str(error)), where=self.name, remedy=f"It takes: {takes}.") from None
        return await self.run(checked)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        named = msgspec.json.schema(self.takes)
        schema: dict[str, Any] = named["$defs"][self.takes.__name__]
        return {**schema, "additionalProperties": False}


class IndexTools:
    """The tools over one open client.

    Args:
        client: open.
        title: the field that heads a document.
    """

    def __init__(self, client: AsyncSearchClient, title: str) -> None:
        self._client = client
        self._title = title

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields to filter on and to count, with their kinds."""
        return filter_kinds(self._client.searcher.target.schema)

    def all(self) -> list[Tool]:
        """Every tool."""
        named = ", ".join(f"{name} ({kind})" for name, kind in self.fields.items()) or "none"
        return [
            Tool(
                "search",
                "Find documents by meaning and by words. Each result has the passage that answers best, with the "
                "characters of the document that it is (start, end), and the id to fetch the rest by. "
                f"Fields to filter on: {named}.",
                Search,
                self.search,
            ),
            Tool(
                "fetch",
                "Read a document, or a part of it: its text from one character on, and its fields. `next` is where "
                "to read on; null at the end.",
                Fetch,
                self.fetch,
            ),
            Tool(
                "facets",
                "Count documents by the values of fields, to see what there is before searching. Each value comes "
                f"with the filter that narrows a search to it. Fields: {named}.",
                Facets,
                self.facets,
            ),
            Tool(
                "why",
                "Explain why a document is at its rank for a query, or why it is not among the results, and what "
                "would bring it in.",
                Why,
                self.why,
            ),
        ]

    async def search(self, asked: Search) -> dict[str, Any]:
        """The best documents, each with a piece of its best passage."""
        result = await self._client.search(asked.query, asked.k, offset=asked.offset, filter=asked.filter)
        shown = {"results": [self._shown(hit, asked.query) for hit in result.hits]}
        return {**shown, **_warned(result)}

    async def fetch(self, asked: Fetch) -> dict[str, Any]:
        """A part of a document's text, and its fields."""
        passages = await self._passages(asked.id, asked.start + asked.length)
        if asked.start >= (size := max(passage.end for passage in passages)):
            what = f"the text of {asked.id!r} has {size:,} characters, and none at {asked.start:,}"
            raise QueryError(what, remedy="Start at 0, or at the next of an answer.")
        text = "".join(_pieces(passages, asked.start, asked.start + asked.length))
        end = asked.start + len(text)
        fields = passages[0].fields
        return {
            "id": asked.id,
            "title": _short(fields.get(self._title)),
            "text": text,
            "start": asked.start,
            "end": end,
            "next": end if size > end else None,
            "fields": self._fields(fields),
        }

    async def facets(self, asked: Facets) -> dict[str, Any]:
        """The counts, by field."""
        everything = asked.query is None
        result = await self._client.search(
            "*" if asked.query is None else asked.query,
            1,
            filter=asked.filter,
            facets=asked.fields,
            facet_counts="filter" if everything else "candidates",
            legs=["bm25"] if everything else None,
            rerank=False,
        )
        counted = {name: _without_nothing(msgspec.to_builtins(found)) for name, found in result.facets.items()}
        return {"facets": counted, **({} if everything else _warned(result))}

    async def why(self, asked: Why) -> dict[str, Any]:
        """The verdict, and what it rests on."""
        found = await self._client.why_not(asked.query, asked.id, asked.k, filter=asked.filter)
        return {
            name: value[:MOST_WHY] if isinstance(value, list) else value
            for name, value in _without_nothing(found.as_json()).items()
        }

    def _shown(self, hit: Hit, query: str) -> dict[str, Any]:
        piece = snippet(hit.text, query, width=SHOWN)
        return {
            "rank": hit.rank,
            "id": hit.id,
            "title": _short(hit.fields.get(self._title)),
            "text": piece.text,
            "start": hit.start + piece.start,
            "end": hit.start + piece.end,
            "passage": hit.passage_id,
            "score": round(hit.score, 4),
            "found_by": {str(leg): found.rank for leg, found in hit.legs.items()},
            "fields": self._fields(hit.fields),
        }

    def _fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        others = [(name, _short(value)) for name, value in fields.items() if name != self._title]
        return dict(others[:MAX_FIELDS])

    async def _passages(self, id_: str, end: int) -> list[StoredPassage]:
        """The first passages of a document, up to the one behind a character of its text."""
        found: list[StoredPassage] = []
        while not found or (len(found) % AT_ONCE == 0 and found[-1].end <= end):
            ids = [f"{id_}#{number}" for number in range(len(found), len(found) + AT_ONCE)]
            stored = await self._client.stored(ids)
            if not stored and not found:
                raise QueryError(f"there is no document {id_!r}", remedy="Take an id that search gave.")
            if not stored:
                break
            found += [stored[one] for one in ids if one in stored]
        return found


def _wrong(said: str) -> str:
    """What msgspec says of the arguments, in the words of a call."""
    what, at, argument = said.partition(" - at `$.")
    what = what.replace("Object missing required", "the call lacks the").replace("Object ", "the call ")
    return f"{what} (argument `{argument})" if at else what


def _pieces(passages: list[StoredPassage], start: int, end: int) -> Iterator[str]:
    """The text of a document between two characters; between passages, which leave out white space, blanks."""
    at = start
    for passage in sorted(passages, key=lambda passage: passage.start):
        if passage.end > at and passage.start < end:
            yield " " * (passage.start - at)
            at = max(at, passage.start)
            yield passage.text[at - passage.start : end - passage.start]
            at = min(passage.end, end)


def _warned(result: SearchResult) -> dict[str, Any]:
    """What the answer lacks, where it lacks something."""
    return {"warnings": [str(warning) for warning in result.warnings]} if result.warnings else {}


def _without_nothing(value: Any) -> Any:
    """What is said, without what is not: agents read every word."""
    if isinstance(value, Mapping):
        said = {name: _without_nothing(one) for name, one in value.items()}
        return {name: one for name, one in said.items() if one is not None and one not in ([], {}, "")}
    return [_without_nothing(one) for one in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> Any:
    """A value in a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_short(one) for one in value[:MAX_FIELDS]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
