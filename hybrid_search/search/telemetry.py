"""Spans and metrics of searches, where the program has set OpenTelemetry up; nothing, and for free, where it has not.

Nothing is imported here: a program that exports anything has imported the API itself, and has given it a provider. The
names are those of the semantic conventions for database clients (stable since 1.33); what is of this package alone
begins with ``hybrid_search.``. The text of a query is sent only where ``search.trace_queries`` asks for it; messages of
errors, which may quote it, are not.

=====================================  ================================================================================
span                                   from, to
=====================================  ================================================================================
``search INDEX``                       the call of a client; one for a batch
``encode``, ``fuse``, ``fetch``, ...   each step, by the names of :attr:`SearchResult.took_ms`
``bm25``, ``dense``, ...               each leg: from the request on, as long as the engine says that it took
=====================================  ================================================================================
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from hybrid_search.records import SearchResult
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.stages import Stopwatch
from hybrid_search.search.tracing import TRACE_CONTEXT

NAME = "hybrid_search"
DURATION = "db.client.operation.duration"
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Seconds: the bounds that the semantic conventions give."""
DEGRADED, CACHE = "hybrid_search.degraded", "hybrid_search.query_cache.lookups"

_ABSENT = {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}
"""What the API gives where no SDK is there."""

RETRIEVE, RERANK = "retrieve", "rerank"


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of a search before it begins.

    Attributes:
        engine: ``elasticsearch`` or ``opensearch``.
        index: the name that is searched.
        where: the addresses of the cluster, separated by commas.
        count: queries of the call.
        traceparent: the caller's trace context, which the span joins.
        texts: what is searched for; empty where it is not to be told.
        overlap: legs that need no vector are asked while queries are encoded.
    """

    engine: str
    index: str
    where: str
    count: int
    traceparent: str | None = None
    texts: Sequence[str] = ()
    overlap: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of spans and metrics alike."""
        address = urlsplit(self.where.split(",")[0])
        found = {"db.system.name": self.engine, "db.operation.name": "search", "db.collection.name": self.index}
        if address.hostname:
            found["server.address"] = address.hostname
        return {**found, "server.port": address.port} if address.port else found


class Observation:
    """One search that nobody observes; a subclass sees it.

    ``traceparent`` is the trace context that goes on to the engine, instead of the caller's; None leaves his.
    """

    traceparent: str | None = None

    def stopwatch(self) -> Stopwatch:
        """The clock of a batch."""
        return Stopwatch()

    def joined(self, request: SearchRequest) -> SearchRequest:
        """The request as it goes on: with the span's trace context, where there is one."""
        return request if self.traceparent is None else replace(request, traceparent=self.traceparent)

    def found(self, outcomes: Sequence[object]) -> None:
        """The search has ended with these results, or errors of single queries."""


NOBODY = Observation()


@contextmanager
def observing(observed: Observed) -> Iterator[Observation]:
    """See a search, whatever ends it."""
    tracer, metrics = _tracer(), _metrics()
    if tracer is None and metrics is None:
        yield NOBODY
        return
    seen = _Seen(observed, metrics)
    begin, error = time.perf_counter(), None
    try:
        if tracer is None:
            yield seen
        else:
            with seen.in_span(tracer):
                yield seen
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        seen.measure(time.perf_counter() - begin, error)


def count_lookups(rows: Sequence[object | None]) -> None:
    """Count the texts that were found in the cache of query vectors, and those that were not."""
    metrics = _metrics()
    if metrics is None:
        return
    hits = sum(row is not None for row in rows)
    for result, count in (("hit", hits), ("miss", len(rows) - hits)):
        if count:
            metrics.lookups.add(count, {"hybrid_search.query_cache.result": result})


class _Recorded(Stopwatch):
    """A stopwatch that keeps when each step began and ended, in epoch nanoseconds."""

    def __init__(self, intervals: list[tuple[str, int, int]]) -> None:
        super().__init__()
        self._intervals = intervals

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begin = time.time_ns()
        try:
            with super().__call__(step):
                yield
        finally:
            if self._intervals and self._intervals[-1][0] == step:  # a step of two stages that follow each other
                _, begin, _ = self._intervals.pop()
            self._intervals.append((step, begin, time.time_ns()))


class _Seen(Observation):
    """A search whose steps become spans when it has ended, and whose duration is measured."""

    def __init__(self, observed: Observed, metrics: _Metrics | None) -> None:
        self._observed, self._metrics = observed, metrics
        self._intervals: list[tuple[str, int, int]] = []
        self._results: list[SearchResult] = []

    def stopwatch(self) -> Stopwatch:
        return _Recorded(self._intervals)

    def found(self, outcomes: Sequence[object]) -> None:
        self._results = [one for one in outcomes if isinstance(one, SearchResult)]

    def measure(self, seconds: float, error: str | None) -> None:
        if self._metrics is None:
            return
        attributes = self._observed.attributes
        self._metrics.duration.record(seconds, attributes if error is None else {**attributes, "error.type": error})
        for result in self._results:
            for part, code in result.degraded.items():
                about = {"hybrid_search.part": part, "hybrid_search.code": str(code)}
                self._metrics.degraded.add(1, {"db.collection.name": self._observed.index, **about})

    @contextmanager
    def in_span(self, tracer: Any) -> Iterator[None]:
        trace, observed = sys.modules["opentelemetry.trace"], self._observed
        attributes = observed.attributes
        if observed.count > 1:
            attributes["db.operation.batch.size"] = observed.count
        if observed.texts:
            attributes["db.query.text"] = "; ".join(observed.texts)
        parent = _joined(trace, observed.traceparent)
        name = f"search {observed.index}"
        span = tracer.start_span(name, parent, kind=trace.SpanKind.CLIENT, attributes=attributes)
        context = span.get_span_context()
        self.traceparent = _traceparent(context) if context.is_valid else None
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            _failed(trace, span, type(error).__name__)
            raise
        finally:
            self._describe(trace, tracer, span)
            span.end()

    def _describe(self, trace: Any, tracer: Any, span: Any) -> None:
        """What has come of it, and the spans of its steps."""
        if not span.is_recording():
            return
        degraded = sorted({f"{part}={code}" for one in self._results for part, code in one.degraded.items()})
        if self._results:
            span.set_attribute("hybrid_search.hits", sum(map(len, self._results)))
        if degraded:
            span.set_attribute("hybrid_search.degraded", degraded)
        inside = trace.set_span_in_context(span)
        is_reranked = any(one.reranker is not None or RERANK in one.degraded for one in self._results)
        for step, begin, end in self._intervals:
            if step != RETRIEVE and (step != RERANK or is_reranked):
                tracer.start_span(step, inside, start_time=begin).end(end)
        for leg in dict.fromkeys(name for one in self._results for name in one.legs):
            self._add_leg(leg, trace, tracer, inside)

    def _add_leg(self, name: str, trace: Any, tracer: Any, inside: Any) -> None:
        reports = [one.legs[name] for one in self._results if name in one.legs]
        is_early = self._observed.overlap and name == "bm25"
        known = [(begin, end) for step, begin, end in self._intervals if step == ("encode" if is_early else RETRIEVE)]
        if not known:
            return
        begin, end = known[0][0], max(end for _, end in known)
        took = max(report.took_ms for report in reports)
        attributes = {
            **self._observed.attributes,
            "db.operation.name": "msearch",
            "hybrid_search.hits": sum(report.hits for report in reports),
            "hybrid_search.took_ms": took,
        }
        span = tracer.start_span(name, inside, kind=trace.SpanKind.CLIENT, attributes=attributes, start_time=begin)
        codes = {str(one.degraded[name]) for one in self._results if name in one.degraded}
        if any(report.failure is not None for report in reports):
            _failed(trace, span, min(codes, default="leg-failed"))
            span.end(end)
        else:
            span.end(min(end, begin + round(took * 1e6)))


def _failed(trace: Any, span: Any, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(trace.Status(trace.StatusCode.ERROR))


def _joined(trace: Any, traceparent: str | None) -> Any:
    """The caller's context as he gave it; None for that of the program."""
    if traceparent is None or not TRACE_CONTEXT.fullmatch(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    context = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(trace.NonRecordingSpan(context))


def _traceparent(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@dataclass(frozen=True, slots=True)
class _Metrics:
    """The instruments of one provider."""

    provider: Any
    duration: Any
    degraded: Any
    lookups: Any


@dataclass(slots=True)
class _Known:
    """What was made for the providers of the program: they are set once."""

    tracers: tuple[Any, Any] = (None, None)
    metrics: _Metrics | None = None


_KNOWN = _Known()


def _tracer() -> Any:
    """The tracer of the program's provider; None where there is none that keeps anything."""
    trace = sys.modules.get("opentelemetry.trace")
    provider = None if trace is None else trace.get_tracer_provider()
    if provider is None or type(provider).__name__ in _ABSENT:
        return None
    if _KNOWN.tracers[0] is not provider:
        _KNOWN.tracers = provider, provider.get_tracer(NAME)
    return _KNOWN.tracers[1]


def _metrics() -> _Metrics | None:
    metrics = sys.modules.get("opentelemetry.metrics")
    provider = None if metrics is None else metrics.get_meter_provider()
    if provider is None or type(provider).__name__ in _ABSENT:
        return None
    if _KNOWN.metrics is None or _KNOWN.metrics.provider is not provider:
        meter = provider.get_meter(NAME)
        _KNOWN.metrics = _Metrics(
            provider,
            meter.create_histogram(
                DURATION,
                unit="s",
                description="Duration of searches.",
                explicit_bucket_boundaries_advisory=list(BUCKETS),
            ),
            meter.create_counter(DEGRADED, unit="{search}", description="Answers that lack a part."),
            meter.create_counter(CACHE, unit="{query}", description="Queries looked for in the cache of vectors."),
        )
    return _KNOWN.metrics
