"""Spans and metrics of searches on a real engine, as the SDK of OpenTelemetry exports them; from both clients."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from generated import filled, passages
from guarded_proxy import proxy
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv.attributes import db_attributes, error_attributes, server_attributes
from opentelemetry.semconv.metrics.db_metrics import DB_CLIENT_OPERATION_DURATION
from test_search_alias import VectorsOfText

from hybrid_search.engine import connect, connect_async
from hybrid_search.errors import QueryError
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def exported(monkeypatch):
    """What providers of the test's own export, while they are those of the program."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)
    yield SimpleNamespace(spans=spans.get_finished_spans, clear=spans.clear, points=lambda: points_of(reader))
    tracers.shutdown()
    meters.shutdown()


def points_of(reader) -> dict[str, list]:
    """The points of every metric."""
    found = reader.get_metrics_data()
    every = [metric for one in found.resource_metrics for scope in one.scope_metrics for metric in scope.metrics]
    return {metric.name: list(metric.data.data_points) for metric in every}


class Reranker:
    name = "lengths"

    def score(self, _, texts):
        return np.array([len(text) for text in texts], np.float32)


async def by_both(url, name, ask, check, *, settings=None, reranker=None, encoder=VectorsOfText):
    """The same searches by each client, each with models of its own; what was exported is looked at after each."""
    given = {"settings": settings or Settings(), "reranker": reranker, "opaque_id": "test"}
    with connect(EngineSettings(url=url)) as opened:
        client = SearchClient(name, connection=opened, encoder=encoder(), **given)
        await check(lambda *args, **options: _now(getattr(client, ask), *args, **options))
        client.close()
    async with (
        await connect_async(EngineSettings(url=url)) as opened,
        AsyncSearchClient(name, connection=opened, encoder=encoder(), **given) as client,
    ):
        await check(getattr(client, ask))


async def _now(call, *args, **options):
    return call(*args, **options)


def attributes_of(connection, name, operation="search") -> dict:
    where = urlsplit(connection.where)
    return {
        db_attributes.DB_SYSTEM_NAME: connection.dialect.engine,
        db_attributes.DB_OPERATION_NAME: operation,
        db_attributes.DB_COLLECTION_NAME: name,
        server_attributes.SERVER_ADDRESS: where.hostname,
        server_attributes.SERVER_PORT: where.port,
    }


async def test_a_search_and_its_parts_are_spans(exported, engine_url, connection, index_name) -> None:
    """One for the search, with the conventions for databases; inside it encode, each leg, fuse, fetch and rerank."""
    name = filled(connection, index_name(), passages(50))

    async def check(search):
        exported.clear()
        await search("1 coffee", 5)
        spans = {span.name: span for span in reversed(exported.spans())}  # of two fetches the first
        root = spans.pop(f"search {name}")
        assert (root.kind, root.parent) == (trace.SpanKind.CLIENT, None)
        assert dict(root.attributes) == attributes_of(connection, name) | {"hybrid_search.hits": 5}
        assert set(spans) == {"encode", "bm25", "dense", "sparse", "fuse", "fetch", "rerank"}
        for span in spans.values():
            assert span.parent.span_id == root.context.span_id
            assert root.start_time <= span.start_time <= span.end_time <= root.end_time
        assert spans["bm25"].attributes.items() >= attributes_of(connection, name, "msearch").items()
        assert spans["encode"].end_time <= spans["bm25"].start_time <= spans["fuse"].start_time
        assert spans["fuse"].end_time <= spans["fetch"].start_time <= spans["rerank"].start_time

    await by_both(engine_url, name, "search", check, reranker=Reranker())


async def test_a_batch_is_one_span(exported, engine_url, connection, index_name) -> None:
    """With the size of the batch; 40 queries are two rounds of everything."""
    name = filled(connection, index_name(), passages(20))

    async def check(search_many):
        exported.clear()
        await search_many([f"{n} coffee" for n in range(40)], 3)
        roots = [span for span in exported.spans() if span.parent is None]
        assert [span.attributes["db.operation.batch.size"] for span in roots] == [40]
        names = [span.name for span in exported.spans()]
        assert (names.count("encode"), names.count("fuse"), names.count("bm25")) == (2, 2, 1)
        assert "rerank" not in names

    await by_both(engine_url, name, "search_many", check)


async def test_no_text_is_told_unless_it_is_asked_for(exported, engine_url, connection, index_name) -> None:
    """Neither in spans and metrics of a search, nor by the message of an error; ``trace_queries`` tells it."""
    name = filled(connection, index_name(), passages(20))

    async def secret(search):
        exported.clear()
        await search("1 coffee secret")
        with pytest.raises(QueryError, match="secret"):
            await search("1 coffee", filter="secret=5")
        told = [*(span.to_json() for span in exported.spans()), str(exported.points())]
        assert not [text for text in told if "secret" in text]

    await by_both(engine_url, name, "search", secret)

    async def told(search):
        exported.clear()
        await search("1 coffee")
        assert [s.attributes["db.query.text"] for s in exported.spans() if s.parent is None] == ["1 coffee"]

    await by_both(engine_url, name, "search", told, settings=Settings(search=SearchSettings(trace_queries=True)))


async def test_the_callers_trace_goes_through_to_the_engine(exported, engine_url, connection, index_name) -> None:
    """A span joins the trace context that is given with the search, else that of the program; requests carry it on."""
    name = filled(connection, index_name(), passages(20))
    with proxy(engine_url) as between:

        async def check(search):
            for given in ({"traceparent": TRACE}, {}):
                exported.clear()
                with trace.get_tracer_provider().get_tracer("shop").start_as_current_span("shop") as shop:
                    begin = len(between.seen)
                    await search("1 coffee", **given)
                (root,) = [span for span in exported.spans() if span.name == f"search {name}"]
                own = shop.get_span_context()
                trace_id, parent = (TRACE[3:35], TRACE[36:52]) if given else (f"{own.trace_id:032x}", own.span_id)
                assert f"{root.context.trace_id:032x}" == trace_id
                assert root.parent.span_id == (int(parent, 16) if given else parent)
                sent = f"00-{trace_id}-{root.context.span_id:016x}-{root.context.trace_flags:02x}"
                assert {headers["traceparent"] for headers in between.seen[begin:]} == {sent}

        await by_both(between.url, name, "search", check)


class Broken(VectorsOfText):
    """An encoder that fails."""

    def encode_queries(self, texts):
        raise RuntimeError(f"no memory for {len(texts)} texts")


async def test_what_is_degraded_is_counted_and_marked(exported, engine_url, connection, index_name) -> None:
    """On the span, on those of the legs that failed, and in a counter by part and code."""
    name = filled(connection, index_name(), passages(20))

    async def check(search):
        exported.clear()
        await search("1 coffee")
        spans = {span.name: span for span in exported.spans()}
        lacking = ("dense=leg-failed", "sparse=leg-failed")
        assert spans[f"search {name}"].attributes["hybrid_search.degraded"] == lacking
        assert spans["dense"].attributes["error.type"] == "leg-failed"
        assert spans["dense"].status.status_code is trace.StatusCode.ERROR
        assert spans["bm25"].status.status_code is trace.StatusCode.UNSET

    await by_both(engine_url, name, "search", check, encoder=Broken)
    counted = {
        (point.attributes["hybrid_search.part"], point.attributes["hybrid_search.code"]): point.value
        for point in exported.points()["hybrid_search.degraded"]
    }
    assert counted == {("dense", "leg-failed"): 2, ("sparse", "leg-failed"): 2}


async def test_metrics_have_durations_errors_and_the_cache(exported, engine_url, connection, index_name) -> None:
    """A histogram in seconds with the bounds of the conventions: 3 answers and 1 error by each client."""
    name = filled(connection, index_name(), passages(20))

    async def check(search):
        for text in ("1 coffee", "2 coffee", "1 coffee"):
            await search(text)
        with pytest.raises(QueryError):
            await search("1 coffee", k=0)

    await by_both(engine_url, name, "search", check)
    points = exported.points()
    durations = {p.attributes.get(error_attributes.ERROR_TYPE): p for p in points[DB_CLIENT_OPERATION_DURATION]}
    assert {error: point.count for error, point in durations.items()} == {None: 6, "QueryError": 2}
    assert durations[None].explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
    assert dict(durations[None].attributes) == attributes_of(connection, name)
    lookups = {
        p.attributes["hybrid_search.query_cache.result"]: p.value for p in points["hybrid_search.query_cache.lookups"]
    }
    assert lookups == {"hit": 2, "miss": 4}
