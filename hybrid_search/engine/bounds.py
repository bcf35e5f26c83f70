"""Answers within bounds, over both HTTP libraries: so many bytes, so many seconds, from the address that was asked.

urllib3 and aiohttp read whatever a server sends: an answer without end, one that unpacks to a thousand times its size,
and, urllib3, one that drips byte by byte, each in time. aiohttp follows redirects, with the request's body. Both are
wrapped where the vendors' clients hold them.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import urllib3

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.secrets import Secrets
from hybrid_search.errors import EngineError, RequestRefusedError

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Unpacked. The largest honest answers, 10,000 passages with their texts for each of three legs, stay below."""

CHUNK_BYTES = 64 * 1024
"""Packed bytes that are unpacked at a time: gzip makes at most 1,032 times as many of them."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SHOWN = 200
"""Characters of an address that a server names which go into the message."""


class AnswerTooLargeError(Exception):
    """More bytes than an answer may have; the vendors' clients wrap it in an error of their own."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What the vendors' clients look at in an answer of urllib3."""

    status: int
    headers: Any
    data: bytes


class BoundedPool:
    """A urllib3 pool that reads answers within bounds and follows no redirect."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, secrets: Secrets) -> None:
        self._pool = pool
        self._secrets = secrets
        pool.ConnectionCls = _timed(pool.ConnectionCls)

    def urlopen(self, method: str, url: str, body: bytes | None = None, **options: Any) -> ReadAnswer:
        """The answer, read whole; a timeout in seconds is for connecting and answering together."""
        if isinstance(timeout := options.get("timeout"), int | float):
            options["timeout"] = urllib3.Timeout(total=timeout)  # a number alone would be given to each
        begun = cast(
            urllib3.HTTPResponse,
            self._pool.urlopen(method, url, body, redirect=False, preload_content=False, **options),
        )
        try:
            data = _joined(begun.stream(CHUNK_BYTES, decode_content=True))
        except BaseException:
            begun.close()
            raise
        finally:
            begun.release_conn()
        return ReadAnswer(begun.status, _told(begun.headers, begun.headers.getlist("warning"), self._secrets), data)

    def close(self) -> None:
        self._pool.close()


class BoundedSession:
    """An aiohttp session that reads answers within bounds and follows no redirect."""

    def __init__(self, session: Any, secrets: Secrets) -> None:
        self._session = session
        self._secrets = secrets

    @asynccontextmanager
    async def request(self, method: str, url: Any, **options: Any) -> AsyncIterator[BoundedResponse]:
        """The answer, read whole."""
        async with self._session.request(method, url, allow_redirects=False, **options) as response:
            headers = _told(response.headers, response.headers.getall("warning", ()), self._secrets)
            yield BoundedResponse(response.status, headers, await _read(response))

    async def close(self) -> None:
        await self._session.close()


class BoundedResponse:
    """What the vendors' clients look at in an answer of aiohttp."""

    def __init__(self, status: int, headers: Any, data: bytes) -> None:
        self.status = status
        self.headers = headers
        self._data = data

    async def read(self) -> bytes:
        return self._data

    async def text(self) -> str:
        return self._data.decode("utf-8", "surrogatepass")

    async def release(self) -> None:
        """It is read already."""


def unreadable(error: BaseException | None, where: str) -> EngineError | None:
    """The error for an answer that came but cannot be read, by what the HTTP library raised; None for other causes."""
    while error is not None:
        what = _unreadable(error)
        if what is not None:
            return RequestRefusedError(what, where=where, remedy="Check the address, and any proxy before it")
        error = error.__cause__ or error.__context__
    return None


def _unreadable(error: BaseException) -> str | None:
    match type(error).__name__:
        case "AnswerTooLargeError":
            return f"the answer is larger than {MAX_ANSWER_BYTES // 1024 // 1024} MiB"
        case "UnicodeDecodeError":
            return "the answer is not that of a search engine: no UTF-8"
        case "DecodeError" | "ContentEncodingError":  # of urllib3, of aiohttp
            return "the answer is not compressed as it says"
        case _:
            return None


def of_an_engine(answer: Answer, where: str) -> Answer:
    """The answer, unless it sends the request elsewhere: no engine does, and neither body nor login are carried on.

    Raises:
        RequestRefusedError: a redirect.
    """
    if not 300 <= answer.status < 400:
        return answer
    location = answer.headers.get("location", "")[:SHOWN]
    what = f"{answer.status}: a redirect{f' to {location}' if location else ''}, which is not followed"
    raise RequestRefusedError(what, where=where, remedy="If you trust that address, give it as engine.url")


def _told(headers: Any, warnings: Sequence[str], secrets: Secrets) -> Any:
    """The headers, their warnings as they may be printed, which the vendors' clients do: visible, without secrets."""
    if not warnings:
        return headers
    changed = headers.copy()
    changed["warning"] = _CONTROL.sub(" ", secrets.removed(", ".join(warnings)))
    return changed


def _joined(parts: Iterator[bytes]) -> bytes:
    found: list[bytes] = []
    size = 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
    return b"".join(found)


async def _read(response: Any) -> bytes:
    data = bytearray()
    async for part in response.content.iter_chunked(CHUNK_BYTES):
        data += part
        if len(data) > MAX_ANSWER_BYTES:
            response.close()
            raise AnswerTooLargeError
    return bytes(data)


def _timed(connection: Any) -> Any:
    """A connection class whose answers must be there, whole, within the timeout of their request."""
    return type(f"Timed{connection.__name__}", (connection,), {"response_class": _TimedResponse})


class _TimedResponse(http.client.HTTPResponse):
    """http.client gives each piece of an answer the whole timeout anew; this gives them one timeout together."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        seconds = sock.gettimeout()
        if seconds is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_TimedSocket(raw, sock, seconds), CHUNK_BYTES)


class _TimedSocket(io.RawIOBase):
    """The receiving side of a socket until a moment."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, seconds: float) -> None:
        self._raw = raw
        self._socket = sock
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        try:
            return cast("int | None", self._raw.readinto(buffer))
        finally:
            self._socket.settimeout(self._seconds)

    def close(self) -> None:
        self._raw.close()
        super().close()
