"""A reverse proxy before a real node that asks for TLS and credentials, as the engines' security plugins would."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Semaphore, Thread
from urllib.parse import urlsplit

import orjson

PASSED_BACK = ("content-type", "x-elastic-product", "warning")
REFUSAL = {"type": "security_exception", "reason": "unable to authenticate user for REST request"}


@dataclass
class Proxy:
    """Where it listens, whom it lets in (``Authorization`` values; None: everybody), and what it saw.

    It answers nothing while ``answers`` is clear; ``arrived`` counts requests up.
    """

    behind: str
    allowed: frozenset[str] | None = None
    url: str = ""
    connections: int = 0
    seen: list[dict[str, str]] = field(default_factory=list)
    arrived: Semaphore = field(default_factory=lambda: Semaphore(0))
    answers: Event = field(default_factory=Event)


@contextmanager
def proxy(behind: str, *, tls: ssl.SSLContext | None = None, allowed: frozenset[str] | None = None) -> Iterator[Proxy]:
    """A running proxy on a free port of the loopback interface."""
    state = Proxy(behind, allowed)
    state.answers.set()

    class Handler(Forwarder):
        proxy = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if tls is not None:
        scheme = "https"
        # The handshake is left to the connection's own thread: one that fails must not stop the others.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.url = f"{scheme}://127.0.0.1:{server.server_port}"
    server.handle_error = lambda *_: None  # a client that does not trust the certificate hangs up: that is the test
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Forwarder(BaseHTTPRequestHandler):
    """Checks, forwards and answers one request after another on one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer's body waits 40 ms for the client to acknowledge its head
    proxy: Proxy

    def setup(self):
        super().setup()
        self.proxy.connections += 1

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.proxy.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.proxy.arrived.release()
        self.proxy.answers.wait()
        if not self.is_allowed(body):
            self.reply(401, {"content-type": "application/json"}, orjson.dumps({"error": REFUSAL, "status": 401}))
            return
        node = urlsplit(self.proxy.behind)
        passed = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "authorization"}}
        with closing(http.client.HTTPConnection(node.hostname, node.port, timeout=60)) as upstream:
            upstream.request(self.command, self.path, body or None, passed | {"accept-encoding": "identity"})
            response = upstream.getresponse()
            answered = response.read()
        kept = {name: response.headers[name] for name in PASSED_BACK if response.headers[name]}
        self.reply(response.status, kept, answered)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - the base class's names

    def is_allowed(self, body: bytes) -> bool:
        given = self.headers.get("authorization", "")
        if given.startswith("AWS4-HMAC-SHA256 "):
            return self.headers.get("x-amz-content-sha256") == hashlib.sha256(body).hexdigest()
        return self.proxy.allowed is None or given in self.proxy.allowed

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Nothing on the console."""
