"""An engine query of an expert's own in the place of the words of the BM25 leg: ``Query("lamp", bm25={"match": ...})``.

It is filtered, fused, weighed and explained as the words would be. What can be seen beforehand is refused before
anything is sent. What the engine refuses is a failure of that leg alone: the others answer, and the engine's reason is
the leg's warning; where no other leg answers, it is the error of that query, and of no other in its batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from hybrid_search.errors import QueryError
from hybrid_search.records import Query

_FORM = 'Give one clause of the query language: {"match_phrase": {"text": "desk lamp"}}'
_OF_A_SEARCH = frozenset({"size", "from", "aggs", "aggregations", "sort", "_source", "highlight", "knn", "rescore"})


def engine_query(query: Query) -> Mapping[str, Any] | None:
    """The clause of the query's own, without the ``query`` of a whole search around it; None where it has none.

    Raises:
        QueryError: it is no clause, or holds what JSON cannot say.
    """
    given = query.bm25
    if given is None:
        return None
    where = "the query of the bm25 leg"
    if isinstance(given, Mapping) and set(given) == {"query"} and isinstance(given["query"], Mapping):
        given = given["query"]
    if not isinstance(given, Mapping):
        raise QueryError(f"{given!r:.60} is no clause", where=where, remedy=_FORM)
    if "query" in given and _OF_A_SEARCH & set(given):
        others = ", ".join(sorted(_OF_A_SEARCH & set(given)))
        raise QueryError(f"a whole search, with {others}", where=where, remedy='Give what stands under "query" alone')
    if len(given) != 1:
        raise QueryError(f"{len(given)} clauses side by side", where=where, remedy=f"Combine them with bool. {_FORM}")
    try:
        orjson.dumps(given, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise QueryError(f"it holds what JSON cannot say: {error}", where=where, remedy=_FORM) from error
    return given
