"""A server of the tests' own that answers whatever a test wants, one function from a request to bytes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

import orjson

ROOTS = {
    "opensearch": {"version": {"distribution": "opensearch", "number": "3.6.0"}},
    "elasticsearch": {"version": {"number": "9.5.3"}},
}


@dataclass
class Strange:
    """Where it listens, and the requests that it got: head and body as text."""

    url: str
    seen: list[str] = field(default_factory=list)


Answering = Callable[[str], bytes | Iterable[bytes]]


def http(body=b"", status="200 OK", **headers):
    """The bytes of an answer; Elasticsearch's product header is always there."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"content-type": "application/json", "content-length": len(data), "x-elastic-product": "Elasticsearch"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def engine(kind: str, answering: Answering) -> Answering:
    """An engine as far as ``GET /`` goes; what else is asked, ``answering`` answers."""

    def both(request):
        asked = request.split(" ")[1].partition("?")[0]
        if asked == "/":
            return http(ROOTS[kind])
        return http({"nodes": {}}) if asked == "/_nodes/_local/plugins" else answering(request)

    return both


@contextmanager
def strange_server(answering: Answering) -> Iterator[Strange]:
    """The server, until the block ends; every connection is answered by its own thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Strange(f"http://127.0.0.1:{listener.getsockname()[1]}")
        Thread(target=_accept, args=(listener, answering, running), daemon=True).start()
        yield running


def _accept(listener, answering, running):
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            Thread(target=_serve, args=(client, answering, running), daemon=True).start()


def _serve(client, answering, running):
    with client, contextlib.suppress(OSError):
        while request := _request(client):
            running.seen.append(request)
            answer = answering(request)
            for part in [answer] if isinstance(answer, bytes) else answer:
                client.sendall(part)


def _request(client):
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := client.recv(65536)):
            return ""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0)
    while len(body) < length:
        body += client.recv(65536)
    return f"{head.decode()}\n\n{body.decode('utf-8', 'replace')}"
