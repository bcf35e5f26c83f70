"""An HTTP proxy in front of a real engine that misbehaves on bulk, or other, requests as it is told."""

from __future__ import annotations

import http.client
import itertools
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import orjson

REJECTED = {"type": "rejected_execution_exception", "reason": "rejected execution of a test"}


class Exchange(BaseHTTPRequestHandler):
    """One client connection; a fault has the request's body and may forward it, answer, or break the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer's body waits 40 ms for the client to acknowledge its head
    server: Proxy
    body: bytes

    def __getattr__(self, name: str) -> Callable[[], None]:
        """``do_GET``, ``do_POST`` ...: every method is served alike."""
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self) -> None:
        fault = self.server.next_fault() if self.server.meets in self.path else None
        if fault is reset_in_body:
            reset_in_body(self)
            return
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        (fault or pass_on)(self)

    def forward(self, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Send the request, or another body, to the engine; status, headers and body of its answer."""
        target = urlsplit(self.server.target)
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        try:
            connection.request(self.command, self.path, self.body if body is None else body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def answer(self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = None) -> None:
        """Answer the client; another ``length`` than the body's makes it wait for the rest."""
        self.send_response(status)
        for name in ("content-type", "x-elastic-product", "retry-after"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self) -> None:
        """Break the connection with RST rather than end it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """A connection that was reset has nothing left to flush."""
        if self.connection.fileno() != -1:
            super().finish()


Fault = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """No fault."""
    exchange.answer(*exchange.forward())


def request_429(exchange: Exchange) -> None:
    """The whole request is rejected; the engine never sees it."""
    body = orjson.dumps({"error": REJECTED, "status": 429})
    exchange.answer(429, {"content-type": "application/json", "retry-after": "0"}, body)


def unavailable_503(exchange: Exchange) -> None:
    """A proxy that finds no node answers with a page of its own."""
    exchange.answer(503, {"content-type": "text/html"}, b"<html>no healthy upstream</html>")


def too_large_413(exchange: Exchange) -> None:
    """A proxy that takes 5,000 bytes; without a body, as the engines answer it."""
    if len(exchange.body) > 5_000:
        exchange.answer(413, {}, b"")
    else:
        pass_on(exchange)


def reset_before(exchange: Exchange) -> None:
    """The connection breaks before the engine has seen the request."""
    exchange.reset()


def reset_in_body(exchange: Exchange) -> None:
    """The connection breaks while the body is being sent."""
    exchange.rfile.read(int(exchange.headers.get("content-length", 0)) // 2)
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """The engine has applied the body, and the connection breaks instead of an answer."""
    exchange.forward()
    exchange.reset()


def timeout_after(exchange: Exchange) -> None:
    """The engine has applied the body, and no answer comes until the client gives up, which ends the connection."""
    exchange.forward()
    exchange.connection.recv(1)
    exchange.reset()


def truncated(exchange: Exchange) -> None:
    """Half of the answer arrives, then the connection breaks."""
    status, headers, body = exchange.forward()
    exchange.answer(status, headers, body[: len(body) // 2], length=len(body))
    exchange.reset()


def corrupt(exchange: Exchange) -> None:
    """The answer has its right length and is no JSON."""
    status, headers, body = exchange.forward()
    exchange.answer(status, headers, body[: len(body) // 2] + b"\x00" * (len(body) - len(body) // 2))


def answer_of_another(exchange: Exchange) -> None:
    """The answer is that to an older request: other ids."""
    status, headers, body = exchange.forward()
    exchange.answer(status, headers, body.replace(b'"_id":"d', b'"_id":"e'))


def items_429(exchange: Exchange) -> None:
    """Every third item is rejected, as by a full thread pool of one shard; the engine applies the others."""
    lines = exchange.body.splitlines(keepends=True)
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    kept = b"".join(head + source for number, (head, source) in enumerate(pairs) if number % 3)
    status, headers, body = (
        exchange.forward(kept) if kept else (200, {"content-type": "application/json"}, b'{"items":[]}')
    )
    taken = iter(orjson.loads(body)["items"])
    items = []
    for number, (head, _) in enumerate(pairs):
        action, about = next(iter(orjson.loads(head).items()))
        rejected = {action: {"_id": about["_id"], "status": 429, "error": REJECTED}}
        items.append(next(taken) if number % 3 else rejected)
    exchange.answer(status, headers, orjson.dumps({"errors": True, "items": items}))


class Gate:
    """A fault that holds a load at a known point: ``passing`` requests go through, and all that follow are held.

    With ``applied`` the engine has applied what is held and only its answer is kept back; else it has not seen it.
    """

    def __init__(self, passing: int, *, applied: bool = False) -> None:
        self._passing = passing
        self._applied = applied
        self._drops = False
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        if not self._open.is_set() and self._is_held():
            answer = exchange.forward() if self._applied else None
            self._reached.set()
            self._open.wait()
            if self._drops:
                exchange.reset()
                return
            exchange.answer(*(answer or exchange.forward()))
        else:
            pass_on(exchange)

    def holds(self, process: subprocess.Popen[str]) -> bool:
        """Wait until a request of ``process`` is held; False when the process has ended without one."""
        while not self._reached.wait(0.02):
            if process.poll() is not None:
                return self._reached.is_set()
        return True

    def open(self) -> None:
        """Let everything through."""
        self._open.set()

    def drop(self) -> None:
        """Break the connections of all that is held, and let what follows through."""
        self._drops = True
        self._open.set()

    def _is_held(self) -> bool:
        with self._lock:
            self._passing -= 1
            return self._passing < 0


class Proxy(ThreadingHTTPServer):
    """Forwards to ``target``; ``fault`` meets requests whose path holds ``meets``.

    A :class:`Gate` meets all of them, any other fault the first two of every three.

    Attributes:
        fault: what the next requests meet.
        faults: how many requests met it.
    """

    daemon_threads = True

    def __init__(self, target: str, fault: Fault, meets: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.target = target
        self.fault = fault
        self.faults = 0
        self.meets = meets
        self._requests = itertools.count()
        self._lock = threading.Lock()

    def next_fault(self) -> Fault | None:
        with self._lock:
            if next(self._requests) % 3 == 2 and not isinstance(self.fault, Gate):
                return None
            self.faults += 1
            return self.fault

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what some faults are about; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def proxy(target: str, fault: Fault, *, meets: str = "/_bulk") -> Iterator[Proxy]:
    """A running proxy; it takes no connections after the block."""
    with Proxy(target, fault, meets) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
