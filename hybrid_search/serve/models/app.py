"""The model server as an ASGI callable, behind the layer that guards the workbench too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hybrid_search.errors import HybridSearchError, ModelError, QueryError, RefusedError
from hybrid_search.serve.access import Access
from hybrid_search.serve.app import problems_of, without_telemetry
from hybrid_search.serve.layer import Layer
from hybrid_search.serve.models.batcher import FullError
from hybrid_search.serve.models.routes import models
from hybrid_search.serve.models.served import WAITING, Served, opened_models
from hybrid_search.serve.refusals import error_json, status_of
from hybrid_search.settings import Settings

DESCRIPTION = """
Encoders and rerankers over HTTP, by the paths of Text Embeddings Inference and OpenAI's /v1/embeddings.
A request that is refused is answered with `error`: its `type`, `message`, `where` and `remedy`.
"""
MAX_BODY = 32 << 20
"""Bytes of a request: 512 passages of 60,000 characters."""


@asynccontextmanager
async def model_server(settings: Settings, access: Access, *, waiting: int = WAITING) -> AsyncIterator[Layer]:
    """The application over the models of the settings; errors as for :func:`.served.opened_models`."""
    async with opened_models(settings, waiting=waiting) as served:
        yield make_model_app(served, access)


def make_model_app(served: Served, access: Access) -> Layer:
    """The application over loaded models."""
    app = FastAPI(
        title="hybrid-search models",
        version=version("hybrid-search"),
        description=DESCRIPTION.strip(),
        **without_telemetry(),
        docs_url=None,
        redoc_url=None,
    )
    app.state.served = served
    app.include_router(models)
    app.add_exception_handler(HybridSearchError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(Exception, _broken)
    return Layer(app, access, served.measures, max_body=MAX_BODY)


async def _failed(_: Request, error: Exception) -> Response:
    if not isinstance(error, HybridSearchError):
        raise error
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, FullError) else {}
    return _json(error, status_of(error), headers)


async def _broken(_: Request, error: Exception) -> Response:
    """What a model's libraries raised; the layer logs where."""
    return _json(ModelError(f"the model failed ({type(error).__name__})", remedy="The server's log says where"), 500)


async def _invalid(_: Request, error: Exception) -> Response:
    return _json(QueryError(problems_of(error), remedy="/openapi.json has the bodies"), 422)


async def _not_found(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = {404: "there is no such path", 405: "this path does not take this method"}.get(status, "the request failed")
    return _json(RefusedError(status, what, "/openapi.json has the paths."), status)


def _json(error: HybridSearchError, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(error_json(error)), status, headers, media_type="application/json")
