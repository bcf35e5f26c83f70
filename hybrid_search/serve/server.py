"""The server around the application: where it listens, what it says, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import FrameType
from urllib.parse import quote

import uvicorn

from hybrid_search.errors import SettingsError
from hybrid_search.serve.access import Access, is_loopback
from hybrid_search.serve.app import make_app
from hybrid_search.serve.layer import Layer
from hybrid_search.serve.workbench import Workbench

PORT = 8765
STOPPING = 10
"""Seconds that answers which have begun may take after the server was told to stop."""
MOST = 256
"""Requests at a time; more are refused with 503."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before anything slow is done.

    Raises:
        SettingsError: it cannot listen there.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise SettingsError(
            f"cannot listen ({error.strerror})", where=f"{host}:{port}", remedy="Name another with --host or --port"
        ) from error


def token_for(host: str, given: str | None) -> str | None:
    """The token: the one given, a new one for an address that others reach, None on loopback.

    Raises:
        SettingsError: one that can be guessed, or that no header can hold.
    """
    if given is not None:
        if len(given) < 16 or not given.isascii() or not given.isprintable() or " " in given:
            raise SettingsError(
                "is no token", where="HYBRID_SEARCH_SERVE_TOKEN", remedy="Give at least 16 letters, digits or signs"
            )
        return given
    return None if is_loopback(host) else secrets.token_urlsafe(32)


def address(listening: socket.socket, host: str, token: str | None = None) -> str:
    """The address for a browser."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104  # only compared
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{listening.getsockname()[1]}/" + ("" if token is None else f"?token={quote(token)}")


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
        server = _Server(server_config(app), started)
        with _ending(server):
            await server.serve(sockets=[listening])


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster event loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it has started once it has."""
        await super().startup(sockets)
        if self.started:
            self._on_start()


@contextlib.contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """A signal that was obeyed is not raised again when all is done, as uvicorn does it: the command ends with 0."""

    def obey(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    before = {one: signal.signal(one, obey) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
