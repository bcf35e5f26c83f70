"""The application: the workbench's routes behind the layer that guards them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from hybrid_search.engine import AsyncConnection, connect_async
from hybrid_search.errors import HybridSearchError, ModelError, QueryError, RefusedError
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import AsyncSearchClient
from hybrid_search.serve.access import Access
from hybrid_search.serve.judged import JudgedQueries
from hybrid_search.serve.judgements import Judgements
from hybrid_search.serve.layer import Layer
from hybrid_search.serve.pages import STATIC, LoginPage, pages, rendered
from hybrid_search.serve.refusals import error_json, status_of
from hybrid_search.serve.routes import api
from hybrid_search.serve.workbench import Workbench
from hybrid_search.settings import Settings

log = logging.getLogger(__name__)

DESCRIPTION = """
Hybrid search over one index: BM25, dense and sparse legs, fused, reranked and explained.
A wrong request is answered with `error`: its `type`, `message`, `where` and `remedy`.
"""


@asynccontextmanager
async def opened(
    index: str,
    settings: Settings,
    *,
    queries: Sequence[Query] | None = None,
    qrels: Qrels | None = None,
    judge: Path | None = None,
    ignore_identical: bool = False,
    connection: AsyncConnection | None = None,
    **client_options: Any,
) -> AsyncIterator[Workbench]:
    """A workbench over an index, closed at the end of the block.

    Args:
        index: an index or alias.
        settings: as for :class:`~hybrid_search.search.client.SearchClient`.
        queries: the judged queries.
        qrels: their judgements.
        judge: the folder for judgements by click.
        ignore_identical: leave out the document with the query's own id when measuring.
        connection: an open one, which the caller closes.
        client_options: models, as the client takes them.

    Raises:
        HybridSearchError: what the client raises when it opens; a folder of judgements that cannot be read.
    """
    judgements = Judgements(judge, queries or (), qrels)
    used = await connect_async(settings.engine) if connection is None else connection
    try:
        async with AsyncSearchClient(index, settings=settings, connection=used, **client_options) as client:
            await _made_ready(client, given=client_options)
            judged = JudgedQueries(client, judgements, ignore_identical=ignore_identical)
            try:
                yield Workbench(index, client, used, judgements, judged, settings.documents.title)
            finally:
                await judged.close()
    finally:
        if connection is None:
            await used.close()


async def _made_ready(client: AsyncSearchClient, *, given: Mapping[str, Any]) -> None:
    """The models that the client has loaded; where they fail, so will searches, which say so and do without."""
    try:
        if given.get("encoder") is None and given.get("reranker") is None:
            await client.prepare()
    except ModelError as error:
        log.warning("the models could not be made ready: %s", error)


def make_app(workbench: Workbench, access: Access) -> Layer:
    """The application as an ASGI callable: an open workbench, and who is let in."""
    app = FastAPI(
        title="hybrid-search",
        version=version("hybrid-search"),
        description=DESCRIPTION.strip(),
        **without_telemetry(),
        docs_url=None,
        redoc_url=None,
    )
    app.state.workbench, app.state.access = workbench, access
    app.include_router(api)
    app.include_router(pages)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HybridSearchError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_found)
    return Layer(app, access, workbench.measures, LoginPage(access))


def without_telemetry() -> dict[str, Any]:
    """Newer releases of FastAPI trace by themselves where OpenTelemetry is set up, queries of addresses included."""
    if "telemetry" not in signature(FastAPI.__init__).parameters:
        return {}
    return {"telemetry": {"tracing": False, "metrics": False, "logs": False}}


async def _failed(request: Request, error: Exception) -> Response:
    if not isinstance(error, HybridSearchError):
        raise error
    if _is_page(request):
        return rendered("error.html", status_of(error), what=str(error), code=status_of(error))
    return _json(error_json(error), status_of(error))


async def _invalid(_: Request, error: Exception) -> Response:
    return _json(error_json(QueryError(problems_of(error), remedy="/docs has the parameters")), 400)


def problems_of(error: Exception) -> str:
    """What is wrong with each parameter; not what was given, which may be long."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    return "; ".join(f"{_place(problem)}: {problem['msg']}" for problem in problems[:5]) or "the request is wrong"


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in problem["loc"][1:]) or "body"


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = {404: "there is no such page", 405: "this path does not take this method"}.get(status, "the request failed")
    if _is_page(request):
        return rendered("error.html", status, what=what, code=status)
    return _json(error_json(RefusedError(status, what, "/docs has the paths.")), status)


def _is_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
