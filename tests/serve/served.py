"""A workbench over a real index, served by a thread of the test run, and what asks it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.connection import AsyncConnection
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage, Query
from hybrid_search.serve.access import Access
from hybrid_search.serve.app import make_app, opened
from hybrid_search.serve.server import server_config
from hybrid_search.settings import EngineSettings, Settings

DIMENSION = 24
SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="hashed", weights="0", dimension=DIMENSION),
    sparse=Fingerprint(kind="sparse", name="hashed", weights="1"),
    keyword_fields=("kind", "colour"),
    number_fields=("minutes",),
    title="title",
)
WORDS = (
    *("tea", "coffee", "water", "rice", "bread", "soup", "onion", "pan", "oven", "salt"),
    *("bitter", "sweet", "slow", "quick", "cold", "hot", "morning", "evening"),
)
KINDS, COLOURS = ("tea", "coffee", "rice & beans"), ("green", "brown")
HOSTILE = "<img src=x onerror=\"window.broken=1\"><script>window.broken=1</script> tea & 'coffee'"
ASTRAL = "\U0001d54f-astral"
PRIVATE = "\uf8ff-private"
"""Ids that sort otherwise by code points than by the units of UTF-16: the private one comes first."""


class HashedEncoder:
    """Words by their checksums: a dense vector of counts, and a sparse one of words; the same in every process."""

    dense, sparse = SCHEMA.dense, SCHEMA.sparse
    max_tokens = 200
    tokenizer = None

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        return self.encode_queries(texts)

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        return EncodedTexts(np.stack([self._dense(text) for text in texts]), [self._sparse(text) for text in texts])

    def _dense(self, text: str) -> np.ndarray:
        vector = np.full(DIMENSION, 0.05, dtype=np.float32)
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % DIMENSION] += 1
        return vector / np.linalg.norm(vector)

    def _sparse(self, text: str) -> dict[str, float]:
        return {str(zlib.crc32(word.encode()) % 997): 1.0 + len(word) / 10 for word in set(text.lower().split())}


class LongestFirst:
    """A reranker that likes long passages."""

    name = "longest"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        del query
        return [float(len(passage)) for passage in passages]


def documents(count: int) -> list[Document]:
    """Texts of the same few words; the first ones hold markup, or have an id that is hard to sort."""
    random = np.random.default_rng(5)
    ids = ["hostile", ASTRAL, PRIVATE, "<b>bold</b>\"'&", *(f"doc-{number}" for number in range(count - 4))]
    made = []
    for number, id_ in enumerate(ids):
        words = " ".join(random.choice(WORDS, int(random.integers(6, 18))))
        title = HOSTILE if id_ == "hostile" else f"About {words.split()[0]} {number}"
        text = f"{HOSTILE} {words}" if id_ == "hostile" else f"tea coffee rice. {words}." if number < 4 else f"{words}."
        fields = {"title": title, "kind": KINDS[number % 3], "colour": COLOURS[number % 2], "minutes": number % 7}
        made.append(Document(id_, text, fields))
    return made


def make_index(connection: Connection, name: str, count: int) -> None:
    """An index of :func:`documents`, each of one passage."""
    encoder = HashedEncoder()
    create_index(connection, name, SCHEMA)
    lines = []
    for document in documents(count):
        found = encoder.encode_documents([document.text])
        passage = EncodedPassage(Passage(document, 0, 0, len(document.text)), found.dense[0], found.sparse[0])
        lines.append(index_action(name, passage, connection.dialect, SCHEMA))
    assert not connection.send(bulk_request(b"".join(lines)))["errors"]
    refresh(connection, name)


class Breakable:
    """The transport of an engine that can be made to fail."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.failure: Exception | None = None
        self.sent = 0
        self.traces: list[str | None] = []

    @property
    def where(self) -> str:
        return str(self._transport.where)

    async def send(self, request: Any) -> Any:
        self.sent += 1
        self.traces.append(request.headers.get("traceparent"))
        if self.failure is not None:
            raise self.failure
        return await self._transport.send(request)

    async def close(self) -> None:
        await self._transport.close()


@dataclass
class Served:
    """A server that runs: where, and its engine, which can be made to fail."""

    port: int
    index: str
    engine: Breakable
    folder: Path
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (decoded where it is JSON) and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, sent, {**given, **self.headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status, json.loads(text) if is_json else text, dict(answer.headers.items())
        finally:
            connection.close()

    def post(self, path: str, **body: Any) -> Any:
        """The body of a good answer."""
        status, answer, _ = self.ask("POST", path, body)
        assert status == 200, answer
        return answer


@contextmanager
def serving(
    url: str,
    index: str,
    folder: Path,
    *,
    token: str | None = None,
    queries: Sequence[Query] = (),
    qrels: Mapping[str, Mapping[str, int]] | None = None,
    settings: Settings | None = None,
    encoder: Any = None,
) -> Iterator[Served]:
    """The workbench of an index, in a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    running: dict[str, Any] = {}
    listening = socket.create_server(("127.0.0.1", 0))

    async def run() -> None:
        real = await connect_async(EngineSettings(url=url))
        engine = Breakable(real.transport)
        judged = {id_: dict(grades) for id_, grades in (qrels or {}).items()}
        models = {"encoder": encoder or HashedEncoder(), "reranker": LongestFirst()}
        options = {**models, "queries": list(queries), "qrels": judged}
        connection = AsyncConnection(engine, real.dialect)
        async with opened(index, settings or Settings(), judge=folder, connection=connection, **options) as workbench:
            app = make_app(workbench, Access.at("127.0.0.1", token))
            config = server_config(app)
            server = uvicorn.Server(config)
            running.update(server=server, engine=engine)
            running["port"] = listening.getsockname()[1]
            ready.set()  # who comes before the server accepts waits in the backlog
            await server.serve(sockets=[listening])
        await real.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(60), "the server did not start"
    try:
        yield Served(running["port"], index, running["engine"], folder)
    finally:
        running["server"].should_exit = True
        thread.join(30)
        loop.close()
