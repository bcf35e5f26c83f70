"""The server around the application: what it says, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import uvicorn

from hybrid_search.serve.access import Access
from hybrid_search.serve.app import make_app
from hybrid_search.serve.layer import Layer
from hybrid_search.serve.listening import serve_until_signal
from hybrid_search.serve.workbench import Workbench

STOPPING = 10
"""Seconds that answers which have begun may take after the server was told to stop."""
MOST = 256
"""Requests at a time; more are refused with 503."""


def serve(
    opening: AbstractAsyncContextManager[Workbench],
    access: Access,
    listening: socket.socket,
    *,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal ends it; answers that have begun are finished.

    Nothing is logged of a request: queries are somebody's words.

    Args:
        opening: the workbench (:func:`~hybrid_search.serve.app.opened`); closed at the end.
        access: who is let in.
        listening: where; closed at the end.
        started: called once requests are answered.

    Raises:
        HybridSearchError: the workbench cannot be opened.
    """
    serve_app(_workbench_app(opening, access), listening, started=started)


def serve_app(
    opening: AbstractAsyncContextManager[Layer],
    listening: socket.socket,
    *,
    started: Callable[[], None] = lambda: None,
) -> None:
    """The same for any application behind the layer; ``opening`` is closed at the end."""
    with contextlib.closing(listening), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(opening, listening, started))


@contextlib.asynccontextmanager
async def _workbench_app(opening: AbstractAsyncContextManager[Workbench], access: Access) -> AsyncIterator[Layer]:
    async with opening as workbench:
        yield make_app(workbench, access)


def server_config(app: Layer) -> uvicorn.Config:
    """How the application is served: nothing of a request is logged, and not what serves it is said.

    Whoever gives uvicorn's loggers a handler would have the addresses of requests, with their queries.
    """
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its tracebacks may hold what was searched for
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=MOST,
        timeout_graceful_shutdown=STOPPING,
        timeout_keep_alive=30,
        proxy_headers=False,
    )


async def _serve(
    opening: AbstractAsyncContextManager[Layer], listening: socket.socket, started: Callable[[], None]
) -> None:
    async with opening as app:
        await serve_until_signal(server_config(app), listening, started)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster event loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
