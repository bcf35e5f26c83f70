"""Why a search found nothing, for whoever looks at an empty page."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import quote

from hybrid_search.engine import layout
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import Leg, Query
from hybrid_search.search.asking import Budget, Target, send
from hybrid_search.search.steps import Step

LOOKED_AT = 1000
"""Characters of the query whose words are looked at."""

NO_WORD = "the query holds no word to search for: punctuation and stop words alone find nothing"


def why_nothing(query: Query, leg: Leg | None, target: Target, budget: Budget) -> Generator[Step, Any, str | None]:
    """The reason why ``leg`` found nothing for ``query``; None where none is known.

    Every passage has a vector, so the dense leg finds whatever passes the filter; BM25 needs a word, and the analyzer
    of the index says whether the query has one.
    """
    passages = "no passage" if query.filter is None else "no passage that passes the filter"
    if leg is Leg.DENSE:
        return "the index is empty" if query.filter is None else "no passage passes the filter"
    if leg is not Leg.BM25:
        return None
    body = {"field": layout.TEXT, "text": query.text[:LOOKED_AT]}
    try:
        path = f"/{quote(target.index, safe='')}/_analyze"
        answer = yield from send(Request.json("POST", path, body), target, budget)
    except EngineError:
        return None
    if not isinstance(answer, Mapping) or "tokens" not in answer:
        return None
    return f"{passages} holds a word of the query" if answer["tokens"] else NO_WORD
