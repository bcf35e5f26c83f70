"""Object stores on the loopback: S3 by moto, Google's by a server of a few lines, and a wire that breaks."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "documents-of-a-test"
SECRET = "the-secret-of-a-test"  # noqa: S105  # of no account
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key-of-a-test", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Bucket:
    """A bucket that a test fills."""

    url: str
    client: Any

    def put(self, key: str, data: bytes, *, is_public: bool = False) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data, ACL="public-read" if is_public else "private")

    def put_folder(self, folder: Path, prefix: str) -> None:
        """All files of a folder below a prefix."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def s3() -> Iterator[str]:
    """The address of a store."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@contextmanager
def bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, and an environment that names its store."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket=BUCKET)
        try:
            yield Bucket(url, client)
        finally:
            for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                client.delete_object(Bucket=BUCKET, Key=one["Key"])
            client.delete_bucket(Bucket=BUCKET)


@dataclass
class Wire:
    """Passes bytes on; the first ``cuts`` connections are reset when they have brought ``most`` bytes back."""

    url: str
    cuts: int
    most: int
    cut: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def wire(target: str, *, cuts: int, most: int) -> Iterator[Wire]:
    """A wire to a server; it takes no connections after the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    found = Wire(f"http://127.0.0.1:{listening.getsockname()[1]}", cuts, most)
    thread = threading.Thread(target=_accept, args=(listening, urlsplit(target), found), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()


def _accept(listening: socket.socket, target: Any, wire: Wire) -> None:
    with suppress(OSError):
        while True:
            near, _ = listening.accept()
            far = socket.create_connection((target.hostname, target.port))
            with wire.lock:
                is_cut, wire.cut = wire.cut < wire.cuts, min(wire.cuts, wire.cut + 1)
            threading.Thread(target=_pass, args=(near, far, None), daemon=True).start()
            threading.Thread(target=_pass, args=(far, near, wire.most if is_cut else None), daemon=True).start()


def _pass(source: socket.socket, goal: socket.socket, most: int | None) -> None:
    """Bytes from one to the other; after ``most`` of them both are closed."""
    passed = 0
    with suppress(OSError), source, goal:
        while data := source.recv(1 << 16):
            passed += len(data)
            if most is not None and passed > most:
                for one in (source, goal):
                    one.shutdown(socket.SHUT_RDWR)
                return
            goal.sendall(data)


class _Google(BaseHTTPRequestHandler):
    """What is asked of Google's JSON interface to read: lists, what is known of an object, and ranges of it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        objects: dict[str, bytes] = self.server.objects  # type: ignore[attr-defined]
        place = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(place.query).items()}
        found = re.search(r"/b/([^/]+)/o(?:/(.+))?$", place.path)
        if found is None or found[1] != BUCKET:
            self.answer(404, json.dumps({"error": {"code": 404, "message": "no such bucket"}}).encode())
        elif found[2] is None:
            prefix = asked.get("prefix", "")
            kept = [about(name, objects[name]) for name in sorted(objects) if name.startswith(prefix)]
            self.answer(200, json.dumps({"kind": "storage#objects", "items": kept}).encode())
        else:
            self.one(unquote(found[2]), asked, objects)

    def one(self, name: str, asked: dict[str, str], objects: dict[str, bytes]) -> None:
        data = objects.get(name)
        if data is None or asked.get("generation", about(name, data)["generation"]) != about(name, data)["generation"]:
            self.answer(404, json.dumps({"error": {"code": 404, "message": f"No such object: {name}"}}).encode())
        elif asked.get("alt") == "media" or "/download/" in self.path:
            wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("range", "bytes=0-"))
            begin, end = int(wanted[1]), int(wanted[2] or len(data) - 1) + 1
            self.answer(206 if "range" in self.headers else 200, data[begin:end])
        else:
            self.answer(200, json.dumps(about(name, data)).encode())

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def about(name: str, data: bytes) -> dict[str, str]:
    """What Google says of an object; its generation changes with the content."""
    generation = str(int.from_bytes(hashlib.blake2b(data, digest_size=6).digest()))
    said = {"kind": "storage#object", "name": name, "bucket": BUCKET, "size": str(len(data)), "generation": generation}
    return {**said, "id": f"{BUCKET}/{name}/{generation}", "updated": "2026-01-01T00:00:00Z"}


@contextmanager
def google(objects: dict[str, bytes]) -> Iterator[str]:
    """The address of a store that holds these objects, and whatever is put among them later."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Google)
    server.daemon_threads = True
    server.objects = objects  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
