"""The HTTP API: each path is a call of the client, and its answer the client's as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from hybrid_search.search.as_json import result_json
from hybrid_search.serve.answers import explained_json
from hybrid_search.serve.asked import Asked, AskedByAddress, AskedWhyNot, AskedWhyNotByAddress, Id, Ranking, Text
from hybrid_search.serve.workbench import Workbench, is_healthy

api = APIRouter()

SEARCHING: list[str | Enum] = ["Searching"]
JUDGING: list[str | Enum] = ["Judging"]
OPERATING: list[str | Enum] = ["Operating"]
UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"description": "It does not."}}

Answer = dict[str, Any]
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The query or an option is wrong; `error.remedy` says what to do."},
    503: {"description": "The engine cannot be reached or is overloaded; `error.message` says what failed."},
    504: {"description": "The engine did not answer in time."},
}


class Judgement(BaseModel):
    """A grade of a document for a query."""

    model_config = ConfigDict(extra="forbid")

    query: Text = Field(description="The query, as text.")
    id: Id = Field(description="The document.")
    grade: int | None = Field(None, ge=0, le=3, description="0 to 3; null takes the judgement back.")


class JudgedQuery(BaseModel):
    """A query whose judgements are wanted."""

    model_config = ConfigDict(extra="forbid")

    query: Text = Field(description="The query, as text.")


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


def _of(request: Request) -> Workbench:
    workbench: Workbench = request.app.state.workbench
    return workbench


def _twice(path: str, summary: str) -> Callable[[Callable[[Workbench, Asked], Awaitable[Answer]]], None]:
    """The path by POST, with the query in the body, and by GET, with the query in the address."""

    def register(answer: Callable[[Workbench, Asked], Awaitable[Answer]]) -> None:
        name = path.strip("/")

        async def by_body(request: Request, asked: Asked) -> Response:
            return _json(await answer(_of(request), asked.within(request.headers)))

        async def by_address(request: Request, asked: Annotated[AskedByAddress, Query()]) -> Response:
            return _json(await answer(_of(request), asked.as_body().within(request.headers)))

        options: dict[str, Any] = {"tags": SEARCHING, "summary": summary, "description": answer.__doc__}
        options |= {"responses": {200: {"model": Answer}, **ERRORS}}
        api.post(path, operation_id=name, **options)(by_body)
        api.get(path, operation_id=f"{name}_by_address", **options)(by_address)

    return register


@_twice("/search", "Search the index")
async def _search(workbench: Workbench, asked: Asked) -> Answer:
    """The hits of one page, each with its rank, score and contribution in every leg, and the warnings of the search."""
    return result_json(await workbench.search(asked))


@_twice("/explain", "Search, and say in words why each hit stands where it does")
async def _explain(workbench: Workbench, asked: Asked) -> Answer:
    """As /search; every hit has an `explanation`, a list of lines."""
    return explained_json(await workbench.search(asked))


@_twice("/runs", "What each leg finds, for fusions of one's own")
async def _runs(workbench: Workbench, asked: Asked) -> Answer:
    """The whole window of every leg, with scores, and the passages and documents in them. Weights do not matter."""
    return await workbench.runs(asked)


@_twice("/facets", "Count what there is of each value")
async def _facets(workbench: Workbench, asked: Asked) -> Answer:
    """The facets alone, without hits. Where none are named, those of the keyword fields of the index."""
    return await workbench.facets(asked)


@api.get("/thumbnail", operation_id="thumbnail", tags=SEARCHING, summary="The picture of a document", responses=ERRORS)
async def thumbnail(request: Request, id_: Annotated[Id, Query(alias="id")]) -> Response:
    """A small JPEG of its first image; nothing (204) where it has none."""
    data = await _of(request).thumbnail(id_)
    return Response(data, media_type="image/jpeg") if data else Response(status_code=204)


WHY_NOT: dict[str, Any] = {"tags": SEARCHING, "summary": "Why a document is not among the hits", "responses": ERRORS}


@api.post("/why-not", operation_id="why_not", **WHY_NOT)
async def why_not(request: Request, asked: AskedWhyNot) -> Response:
    """Its place in every leg, the filter, the words that meet, and the smallest changes that would bring it in."""
    return _json(await _of(request).why_not(asked.within(request.headers), asked.id))


@api.get("/why-not", operation_id="why_not_by_address", **WHY_NOT)
async def why_not_by_address(request: Request, asked: Annotated[AskedWhyNotByAddress, Query()]) -> Response:
    """Its place in every leg, the filter, the words that meet, and the smallest changes that would bring it in."""
    return _json(await _of(request).why_not(asked.as_body().within(request.headers), asked.id))


@api.post("/judged", tags=JUDGING, summary="The judged queries, the worst answered first", responses=ERRORS)
async def judged(request: Request, ranking: Ranking) -> Response:
    """nDCG@10 of each judged query by the fusion that is given.

    Queries are retrieved in the background: while `retrieved` is less than `total`, ask again.
    """
    workbench = _of(request)
    return _json(await workbench.judged.measured(ranking.fused_by(workbench.searcher)))


@api.post("/judgements/of", tags=JUDGING, summary="The grades of a query's documents")
async def judgements(request: Request, judged: JudgedQuery) -> Response:
    """By document id."""
    return _json({"grades": dict(_of(request).judgements.of(judged.query))})


@api.post("/judgements", tags=JUDGING, summary="Judge a document", responses=ERRORS)
def judge(request: Request, judgement: Judgement) -> Response:
    """The grade is on disk before this is answered; `before` is what to send to undo it."""
    before = _of(request).judgements.judge(judgement.query, judgement.id, judgement.grade)
    return _json({"before": before, "grade": judgement.grade})


@api.get("/healthz", tags=OPERATING, summary="Whether the index answers", responses=UNHEALTHY)
async def healthz(request: Request) -> Response:
    """For probes; it needs no token and tells nothing of the index."""
    error = await is_healthy(_of(request))
    body = {"status": "ok"} if error is None else {"status": "failing", "error": type(error).__name__}
    return _json(body, 200 if error is None else 503)


@api.get("/metrics", tags=OPERATING, summary="Measures in the text format of Prometheus")
async def metrics(request: Request) -> Response:
    """Requests, seconds, steps and warnings; no query and no document."""
    return Response(_of(request).measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
