"""Documents like one: what is looked up first is of the same time as the search that follows; and one page of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from search_fakes import SCHEMA, bodies, connection, engine, found
from test_search_procedure import RUNS

from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.errors import CursorError, QueryError
from hybrid_search.search.asking import Target
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.similar import more_like
from hybrid_search.search.steps import run
from hybrid_search.search.why_not import why_not
from hybrid_search.settings import Settings

TIMEOUT, SLOW = 30.0, 0.05
HELD = {"text": "q", "start": 0, "end": 1, "fields": {}, "embedding": [1.0, 0.0], "terms": {"q": 1.0}}


def slow(held: bool) -> Callable[[Request], Answer]:
    """An engine that takes a moment for the passages of a document."""
    answers = engine(RUNS)

    def respond(request: Request) -> Answer:
        if "doc_id" not in str(bodies(request)[0]["query"]):
            return answers(request)
        time.sleep(SLOW)
        return Answer(200, {"responses": [found([{"_id": "z#0", "_score": 1.0, "_source": HELD}] if held else [])]})

    return respond


@pytest.mark.parametrize("held", [True, False], ids=["found", "not in the index"])
def test_one_deadline_holds_for_all_of_it(held) -> None:
    """Each request has what those before it have left: 30 s in all, not 30 s for each of two."""
    asked = connection(slow(held))
    searcher = Searcher(Target("docs", OpenSearchDialect((3, 6, 0)), SCHEMA), Settings(), None, None)
    steps = more_like(searcher, "z", SearchRequest.of(2, timeout=TIMEOUT, legs=["bm25"]))
    with nullcontext() if held else pytest.raises(QueryError, match="no document has the id"):
        run(steps, lambda step: asked.send(step.request))
    first, second, *_ = [request.timeout for request in asked.transport.requests]
    assert second <= first - SLOW


@pytest.mark.parametrize(
    "ask",
    [
        lambda searcher, request: more_like(searcher, "z", request),
        lambda searcher, request: why_not(searcher, "q", "z", request),
    ],
    ids=["more_like", "why_not"],
)
def test_a_cursor_is_refused_where_there_is_one_page(ask) -> None:
    """Whoever pages by it would read the first page for ever."""
    searcher = Searcher(Target("docs", OpenSearchDialect((3, 6, 0)), SCHEMA), Settings(), None, None)
    with pytest.raises(CursorError, match="only searches go on with one"):
        run(ask(searcher, SearchRequest.of(2, cursor="x", legs=["bm25"])), lambda step: pytest.fail(str(step)))
