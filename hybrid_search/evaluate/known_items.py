"""Queries made from an index's own documents: what a search for a known item is asked, where nobody has judged.

Each query is the title of a document, or its first sentence where it has no title, and that document is the only
relevant one (Azzopardi, de Rijke, Balog: Building Simulated Queries for Known-Item Topics, SIGIR 2007). Its words stand
in the document as it is indexed, as a rule, and cannot be taken out of an index that is there. So such queries flatter
whatever matches words. How large a share of their words does stand in the text is measured, and goes with every figure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hybrid_search.engine import Connection, layout
from hybrid_search.engine.attached import refuse_attached
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import InputError
from hybrid_search.evaluate.tuning.choice import FEWEST
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.asking import Target
from hybrid_search.search.table import title_in

MOST = 5_000
SEED = 20070723
SPARE = 2
"""Documents that are read for each query, for some have neither title nor text, or share their title."""

LONGEST = 200
"""Characters of a first sentence."""

_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)|(.+?)[。！？]", re.DOTALL)  # as Chinese and Japanese end theirs
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class KnownItems:
    """The queries, each with the one document that it was made from.

    Attributes:
        queries: the id of each is that of its document.
        titles: how many of them are titles; the others are first sentences.
        words_in_text: of the words of a query, the share that stands in the text of its document, on average.
    """

    queries: Sequence[Query]
    titles: int
    words_in_text: float

    @property
    def qrels(self) -> Qrels:
        """One relevant document for each query."""
        return {str(query.id): {str(query.id): 1} for query in self.queries}


def known_items(client: SearchClient, connection: Connection, count: int, *, seed: int = SEED) -> KnownItems:
    """Queries of ``count`` documents, drawn at random; those that several of the drawn ones would share are left out.

    Args:
        client: of the index.
        connection: to its cluster.
        count: how many, from 10 to 5,000; there are fewer where the index has not so many.
        seed: of the drawing.

    Raises:
        InputError: a count out of range, or fewer than ten documents that a query can be made of.
        EngineError: the index cannot be read.
    """
    if not FEWEST <= count <= MOST:
        raise InputError(f"{count} known items", remedy=f"Give a number from {FEWEST} to {MOST:,}")
    target = client.searcher.target
    refuse_attached(target.schema, target.where, "known items are drawn from passages of our own")
    answer = connection.send(
        Request.json("POST", f"/{quote(target.index, safe='')}/_search", _drawn(SPARE * count, seed))
    )
    made = list(_made([hit["_source"] for hit in answer["hits"]["hits"]], target))
    often = Counter(_words(one.query.text) for one in made)
    kept = [one for one in made if often[_words(one.query.text)] == 1][:count]
    if len(kept) < FEWEST:
        raise InputError(
            f"a query can be made of {len(kept)} of {len(answer['hits']['hits'])} documents",
            where=target.where,
            remedy="Documents need a title, or a text, that no other has",
        )
    shares = [one.words_in_text for one in kept]
    return KnownItems([one.query for one in kept], sum(one.is_title for one in kept), sum(shares) / len(kept))


def _drawn(size: int, seed: int) -> dict[str, Any]:
    """First passages in an order by chance, the same for the same documents of an index."""
    by_chance = {"random_score": {"seed": seed, "field": layout.DOC_ID}, "boost_mode": "replace"}
    first = {"bool": {"filter": [{"term": {layout.PASSAGE: 0}}]}}
    return {
        "query": {"function_score": {"query": first, **by_chance}},
        "size": min(size, layout.RESULT_WINDOW),
        "_source": list(layout.STORED),
    }


@dataclass(frozen=True, slots=True)
class _Made:
    query: Query
    is_title: bool
    words_in_text: float


def _made(sources: Sequence[Mapping[str, Any]], target: Target) -> Iterator[_Made]:
    for source in sources:
        id_, text = source.get(layout.DOC_ID), str(source.get(layout.TEXT) or "")
        title = title_in(source.get(layout.FIELDS) or {}, target.schema.title)
        asked = title or first_sentence(text)
        words = _words(asked)
        if isinstance(id_, str) and words:
            held = set(_words(text))
            yield _Made(Query(asked, id=id_), title is not None, sum(word in held for word in words) / len(words))


def first_sentence(text: str) -> str:
    """Up to the first full stop, of a first line that is not empty; at most 200 characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    found = _SENTENCE.match(line)
    return ((found[1] or found[2]) if found else line)[:LONGEST].strip()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(text))
