"""Where a server of this package listens, how it stops, and the token that its callers show."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from urllib.parse import quote

import uvicorn

from hybrid_search.errors import SettingsError
from hybrid_search.serve.access import is_loopback

TOKEN_VARIABLE = "HYBRID_SEARCH_SERVE_TOKEN"  # noqa: S105  # the name of it


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


def token_for(host: str, given: str | None, variable: str = TOKEN_VARIABLE) -> str | None:
    """The token: the one given, a new one for an address that others reach, None on loopback.

    Raises:
        SettingsError: one that can be guessed, or that no header can hold.
    """
    if given is not None:
        if len(given) < 16 or not given.isascii() or not given.isprintable() or " " in given:
            raise SettingsError("is no token", where=variable, remedy="Give at least 16 letters, digits or signs")
        return given
    return None if is_loopback(host) else secrets.token_urlsafe(32)


def address(listening: socket.socket, host: str, token: str | None = None) -> str:
    """The address for a browser."""
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104  # only compared
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{listening.getsockname()[1]}/" + ("" if token is None else f"?token={quote(token)}")


async def serve_until_signal(config: uvicorn.Config, listening: socket.socket, started: Callable[[], None]) -> None:
    """Serve an application until a signal ends it; ``started`` is called once requests are answered."""
    server = _Server(config, started)
    with _ending(server):
        await server.serve(sockets=[listening])


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
