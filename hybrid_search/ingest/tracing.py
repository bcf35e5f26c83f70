"""Spans of a load, where the program has set OpenTelemetry up; nothing, and for free, where it has not.

=====================  =======================================================================================
span                   of
=====================  =======================================================================================
``load INDEX``         a pass over a source, or over the splits that a process has taken of it
``read``               a batch of documents, until it has come from the source
``encode``             a batch of documents: its passages through cache and models
``send``               a body of the bulk API, until every action in it is settled, waits included
=====================  =======================================================================================

They count documents, passages and bytes; no text, id or message of an error is told. Nothing is imported here: a
program that exports anything has imported the API itself, and has given it a provider.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from hybrid_search.ingest.work import Batch, Body

T = TypeVar("T")
R = TypeVar("R")

NAME = "hybrid_search"
FLUSH_MILLISECONDS = 5_000
_ABSENT = {"ProxyTracerProvider", "NoOpTracerProvider"}
"""What the API gives where no SDK is there."""


class Spans:
    """Those of one pass; of none where nobody looks. Safe to share between threads."""

    def __init__(self, index: str, engine: str) -> None:
        self._index, self._engine = index, engine
        self._tracer, self._inside = tracer(), None

    @contextmanager
    def load(self) -> Iterator[None]:
        """The span of the pass, within that of the program."""
        if self._tracer is None:
            yield
            return
        about = {"db.system.name": self._engine, "db.operation.name": "bulk", "db.collection.name": self._index}
        with self._kept(f"load {self._index}", about, None) as span:
            self._inside = sys.modules["opentelemetry.trace"].set_span_in_context(span)
            yield

    def read(self, batches: Iterator[T]) -> Iterator[T]:
        """The batches of a source, a span for each."""
        if self._tracer is None:
            yield from batches
            return
        while True:
            with self._kept("read", {}, self._inside) as span:
                batch = next(batches, None)
                _count(span, batch)
            if batch is None:
                return
            yield batch

    def of(self, name: str, work: Callable[[T], R]) -> Callable[[T], R]:
        """A stage with a span for each of its batches or bodies."""
        if self._tracer is None:
            return work

        def seen(item: T) -> R:
            with self._kept(name, {}, self._inside) as span:
                _count(span, item)
                return work(item)

        return seen

    @contextmanager
    def _kept(self, name: str, attributes: Mapping[str, Any], inside: Any) -> Iterator[Any]:
        trace = sys.modules["opentelemetry.trace"]
        span = self._tracer.start_span(name, inside, attributes=dict(attributes))
        try:
            yield span
        except BaseException as error:  # its kind alone: a message may quote a document
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise
        finally:
            span.end()


def _count(span: Any, item: object) -> None:
    if isinstance(item, Batch):
        span.set_attribute("hybrid_search.documents", len(item.items))
        passages = sum(len(getattr(one, "passages", ())) for one in item.items)
        if passages:
            span.set_attribute("hybrid_search.passages", passages)
    elif isinstance(item, Body):
        span.set_attribute("db.operation.batch.size", len(item.actions))
        span.set_attribute("hybrid_search.bytes", sum(len(action.data) for action in item.actions))


def tracer() -> Any:
    """The tracer of the program's provider; None where there is none that keeps anything."""
    provider = _provider()
    return None if provider is None else provider.get_tracer(NAME)


def flush() -> None:
    """Let the provider export what it holds: a worker of Ray is ended without an end of its program."""
    force = getattr(_provider(), "force_flush", None)  # of the SDK; the interface has none
    if force is not None:
        force(FLUSH_MILLISECONDS)


def _provider() -> Any:
    trace = sys.modules.get("opentelemetry.trace")
    provider = None if trace is None else trace.get_tracer_provider()
    return None if provider is None or type(provider).__name__ in _ABSENT else provider
