"""The ASGI layer that every request passes: access, size, headers of safety, measures, and errors without secrets.

A plain ASGI callable: it costs microseconds, where a framework's middleware of request and response objects costs
more than a search by BM25.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import orjson
from prometheus_client import Gauge

from hybrid_search.errors import RefusedError
from hybrid_search.serve.access import MAX_ADDRESS, MAX_BODY, Access, headers_of
from hybrid_search.serve.refusals import error_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFETY = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Counted(Protocol):
    """What counts requests."""

    @property
    def in_flight(self) -> Gauge: ...

    def answered(self, path: str, status: int, seconds: float) -> None: ...


class Layer:
    """Lets requests in, answers what is not, and adds to every answer what keeps a browser safe.

    Args:
        app: what is served.
        access: who is let in.
        measures: what is counted.
        login: answers a page request without a token: the login page. None where there are no pages.
        max_body: bytes of a request's body.
    """

    def __init__(
        self, app: App, access: Access, measures: Counted, login: App | None = None, *, max_body: int = MAX_BODY
    ) -> None:
        self._app = app
        self._max_body = max_body
        self._access = access
        self._measures = measures
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # a web socket: there is none here
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin, statuses = time.perf_counter(), list[int]()

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message["headers"] = [*message.get("headers", ()), *SAFETY, *_keeping(scope["path"])]
            await send(message)

        with self._measures.in_flight.track_inprogress():
            try:
                await self._let_in(scope, receive, answer)
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller hears that and not what it holds
                _log(error)
                if not statuses:
                    failure = RefusedError(500, f"the server failed ({type(error).__name__})", "Its log says where.")
                    await _refuse(answer, failure)
        self._measures.answered(scope["path"], statuses[0] if statuses else 500, time.perf_counter() - begin)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        try:
            _check_size(scope, headers, self._max_body)
            self._access.check(scope["method"], scope["path"], headers)
        except RefusedError as refusal:
            is_page = refusal.status == 401 and scope["method"] == "GET" and "text/html" in headers.get("accept", "")
            if is_page and self._login is not None:
                await self._login(scope, receive, send)
            else:
                await _refuse(send, refusal)
            return
        try:
            await self._app(scope, _limited(receive, self._max_body), send)
        except RefusedError as refusal:
            await _refuse(send, refusal)


def _check_size(scope: Scope, headers: dict[str, str], max_body: int) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_ADDRESS:
        raise RefusedError(414, f"the address has more than {MAX_ADDRESS:,} bytes", "Send the query by POST.")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > max_body:
        raise _too_large(max_body)


def _too_large(max_body: int) -> RefusedError:
    return RefusedError(413, f"the body has more than {max_body:,} bytes", "Send less.")


def _limited(receive: Receive, max_body: int) -> Receive:
    """A body that tells no length is counted as it comes."""
    read = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > max_body:
            raise _too_large(max_body)
        return message

    return counted


def _keeping(path: str) -> list[tuple[bytes, bytes]]:
    """Files of the page are kept by the browser, which asks whether they have changed; answers are kept nowhere."""
    if path.endswith(".svg"):
        return [(b"cache-control", b"max-age=86400")]
    return [(b"cache-control", b"no-cache" if path.startswith("/static/") else b"no-store")]


async def _refuse(send: Send, refusal: RefusedError) -> None:
    body = orjson.dumps(error_json(refusal))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log(error: Exception) -> None:
    """The kind and the place; not the message, which may hold what somebody searched for."""
    places = traceback.extract_tb(error.__traceback__)
    where = ", ".join(f"{place.filename}:{place.lineno}" for place in places[-3:])
    log.error("%s at %s", type(error).__name__, where)
