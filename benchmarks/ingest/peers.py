"""The ways of loading that are compared, each a function from a corpus and an index that is there."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from corpus import CarriedVectors, Corpus, OtherDevice

from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.connection import Connection
from hybrid_search.ingest import LoadOptions, index_documents
from hybrid_search.records import EncodedPassage, IndexSchema, Passage, Provenance
from hybrid_search.settings import Settings

SENDERS = 2
SCHEMA = IndexSchema(None, None)
ORIGIN = Provenance("corpus", 1, "0" * 32, 1)
BODY_BYTES = 5_000_000
TUNED_CHUNK = 1_000
"""Documents of about 5 kB: bodies of 5 MB, the size that both vendors advise."""

Load = Callable[[Corpus, str], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """One way of loading; ``settings`` says whether refresh is off during it, as a tuned loader would do by hand."""

    name: str
    load: Load
    tuned: bool = True


def peers(connection: Connection) -> list[Peer]:
    """All ways, the vendor's helpers from the client of this engine."""
    vendor = _vendor(connection)
    return [
        Peer("hybrid-search", partial(ours, connection), tuned=False),
        Peer("helpers.bulk", vendor.bulk, tuned=False),
        Peer("helpers.bulk, tuned", partial(vendor.bulk, chunk_size=TUNED_CHUNK)),
        Peer("parallel_bulk", vendor.parallel, tuned=False),
        Peer("parallel_bulk, tuned", partial(vendor.parallel, chunk_size=TUNED_CHUNK, thread_count=SENDERS)),
        Peer("async_bulk", vendor.asynchronous, tuned=False),
        Peer("async_bulk, tuned", partial(vendor.asynchronous, chunk_size=TUNED_CHUNK)),
    ]


def ours(connection: Connection, corpus: Corpus, index: str) -> None:
    """This package's ingest, with its defaults."""
    report = index_documents(
        corpus.documents(), index, connection, CarriedVectors(), Settings(), options=LoadOptions(senders=SENDERS)
    )
    if report.indexed != corpus.count:
        raise RuntimeError(f"{report.indexed} of {corpus.count} documents were loaded")


def overlapped(connection: Connection, corpus: Corpus, index: str, encoding: float) -> None:
    """The ingest with an encoder on a device of its own that takes ``encoding`` seconds for the corpus."""
    encoder = OtherDevice(corpus, encoding / corpus.count)
    texts = (replace(document, dense=None, sparse=None) for document in corpus.documents())
    options = LoadOptions(senders=SENDERS)
    index_documents(texts, index, connection, encoder, Settings(), options=options)


def bodies(connection: Connection, corpus: Corpus, index: str) -> list[bytes]:
    """The corpus as bodies, built before the clock starts."""
    made, lines, size = [], [], 0
    for document in corpus.documents():
        passage = Passage(document, 0, 0, len(document.text))
        encoded = EncodedPassage(passage, document.dense, document.sparse)
        lines.append(index_action(index, encoded, connection.dialect, SCHEMA, ORIGIN))
        size += len(lines[-1])
        if size >= BODY_BYTES:
            made.append(b"".join(lines))
            lines, size = [], 0
    return [*made, b"".join(lines)] if lines else made


def send(connection: Connection, prepared: Sequence[bytes]) -> None:
    """Send bodies that are built already, as many at once as the ingest has senders: the limit."""
    with ThreadPoolExecutor(SENDERS) as threads:
        deque(threads.map(lambda body: connection.send(bulk_request(body)), prepared), maxlen=0)


def serialised(connection: Connection, corpus: Corpus) -> tuple[float, float]:
    """Processor seconds per document from vectors to bulk lines: this package's, and the vendor's default helper's.

    The helper's part is what it does to an action before it sends it, and the list that a vector must be for it.
    """
    documents, vendor = list(corpus.documents()), _vendor(connection)
    began = time.process_time()
    for document in documents:
        passage = Passage(document, 0, 0, len(document.text))
        encoded = EncodedPassage(passage, document.dense, document.sparse)
        index_action("index", encoded, connection.dialect, SCHEMA, ORIGIN)
    ours_seconds = time.process_time() - began
    dumps = vendor.serializer().dumps
    began = time.process_time()
    for action in corpus.vendor_actions("index"):
        for line in vendor.helpers.expand_action(action):
            dumps(line)
    return ours_seconds / len(documents), (time.process_time() - began) / len(documents)


def _vendor(connection: Connection) -> _Vendor:
    if connection.dialect.engine == "opensearch":
        import opensearchpy as vendor
        from opensearchpy import helpers
        from opensearchpy._async.helpers.actions import async_bulk
        from opensearchpy.serializer import JSONSerializer

        return _Vendor(vendor.OpenSearch, vendor.AsyncOpenSearch, helpers, async_bulk, JSONSerializer, connection.where)
    import elasticsearch
    from elastic_transport import JsonSerializer
    from elasticsearch import helpers as elastic_helpers

    return _Vendor(
        elasticsearch.Elasticsearch,
        elasticsearch.AsyncElasticsearch,
        elastic_helpers,
        elastic_helpers.async_bulk,
        JsonSerializer,
        connection.where,
    )


@dataclass(frozen=True, slots=True)
class _Vendor:
    """One vendor's client and its helpers; only a longer timeout is set, so that slow machines finish."""

    client: Any
    async_client: Any
    helpers: Any
    async_bulk: Any
    serializer: Any
    where: str

    @property
    def _options(self) -> dict[str, Any]:
        name = "timeout" if "opensearch" in self.client.__module__ else "request_timeout"
        return {"hosts": [f"http://{urlsplit(self.where).netloc}"], name: 300}

    def bulk(self, corpus: Corpus, index: str, **options: int) -> None:
        client = self.client(**self._options)
        self.helpers.bulk(client, corpus.vendor_actions(index), **options)
        client.close()

    def parallel(self, corpus: Corpus, index: str, **options: int) -> None:
        client = self.client(**self._options)
        deque(self.helpers.parallel_bulk(client, corpus.vendor_actions(index), **options), maxlen=0)
        client.close()

    def asynchronous(self, corpus: Corpus, index: str, **options: int) -> None:
        async def load() -> None:
            client = self.async_client(**self._options)
            await self.async_bulk(client, corpus.vendor_actions(index), **options)
            await client.close()

        asyncio.run(load())
