"""A hub of data sets on the loopback: the few answers of Hugging Face's that a data set is streamed by."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c" * 40


class _Hub(BaseHTTPRequestHandler):
    """Answers of one repository: what it is, what it has, and ranges of its files."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        name, files = self.server.name, self.server.files  # type: ignore[attr-defined]
        if (found := re.fullmatch(rf"/datasets/{name}/resolve/[^/]+/(.+)", path)) and found[1] in files:
            return self.file(files[found[1]])
        if found := re.fullmatch(rf"/api/datasets/{name}/tree/[^/]+/?(.*)", path):
            return self.json(200, listed(files, found[1]))
        if re.fullmatch(rf"/api/datasets/{name}(/revision/.+)?", path):
            siblings = [{"rfilename": one} for one in files]
            return self.json(200, {"id": name, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings})
        is_here = path.startswith(f"/datasets/{name}/resolve/")
        code = "EntryNotFound" if is_here else "RepoNotFound"
        return self.json(404, {"error": code}, {"X-Error-Code": code, "X-Repo-Commit": COMMIT})

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        files = self.server.files  # type: ignore[attr-defined]
        if "/paths-info/" not in self.path:
            return self.json(404, {"error": "not found"})
        form = "json" in self.headers.get("content-type", "")
        paths = json.loads(asked)["paths"] if form else parse_qs(asked).get("paths", [])
        return self.json(200, [about(one, files[one]) for one in paths if one in files])

    def file(self, data: bytes) -> None:
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        begin, end = (int(wanted[1]), int(wanted[2] or len(data) - 1) + 1) if wanted else (0, len(data))
        more = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(data)}"', "Accept-Ranges": "bytes"}
        if wanted:
            more["Content-Range"] = f"bytes {begin}-{min(end, len(data)) - 1}/{len(data)}"
        self.answer(206 if wanted else 200, data[begin:end], "application/octet-stream", more)

    def json(self, status: int, value: object, more: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(value).encode(), "application/json", more or {})

    def answer(self, status: int, data: bytes, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in {"Content-Type": kind, "Content-Length": str(len(data)), **more}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:40]


def about(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(data), "oid": digest(data)}


def listed(files: dict[str, bytes], folder: str) -> list[dict[str, object]]:
    """What is in a folder itself: files, and folders below."""
    inside = f"{folder}/" if folder else ""
    below = [one for one in files if one.startswith(inside)]
    folders = sorted({inside + one.removeprefix(inside).split("/")[0] for one in below} - set(files))
    made: list[dict[str, object]] = [{"type": "directory", "path": one, "oid": "0" * 40, "size": 0} for one in folders]
    return made + [about(one, files[one]) for one in below if "/" not in one.removeprefix(inside)]


@contextmanager
def hub(name: str, files: dict[str, bytes]) -> Iterator[str]:
    """The address of a hub with one data set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.daemon_threads = True
    server.name, server.files = name, files  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
