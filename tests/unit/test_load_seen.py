"""What is seen of a load while it runs: its page, its metrics, its spans, and what an index remembers of it."""

from __future__ import annotations

import socket
import urllib.request
from io import StringIO

import psutil
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console

from hybrid_search.cli.load_page import LoadPage
from hybrid_search.errors import SettingsError
from hybrid_search.ingest import tracing
from hybrid_search.ingest.maintain.loads import sentences, statuses
from hybrid_search.ingest.report import IngestProgress, progress_of_all
from hybrid_search.ingest.stages.overlap import Overlap
from hybrid_search.ingest.state.cluster import IndexState, LoadedSource, RunningLoad, SharedLoad, TakenSplits
from hybrid_search.ingest.tracing import Spans
from hybrid_search.ingest.work import Batch
from hybrid_search.scale.metrics import metrics_served

BUSY = IngestProgress(300, 600, 1, None, 1_000, {"encode": 9.0, "send": 3.0}, {"encode": 2}, 4, 2)


def drawn(page) -> str:
    written = StringIO()
    Console(width=120, file=written).print(page)
    return written.getvalue()


def test_the_page_shows_what_each_stage_does():
    """Ten seconds of two workers: 9 s of encoding are 45 % busy, and 300 / 9 = 33 documents/s if it never waited."""
    times = iter([0.0, 10.0])
    page = LoadPage(lambda: next(times))
    page.follow(IngestProgress(0, 0, 0))
    assert page() is None
    page.follow(BUSY)
    text = drawn(page())
    encode = next(line for line in text.splitlines() if line.startswith("encode"))
    assert encode.split() == ["encode", "45%", "33", "documents/s", "2"]
    assert "2 workers, 600 passages, 1 refused, slowed down after 4 refusals" in text


def test_progress_of_workers_is_summed():
    """Counts and seconds add up; the slowest back-off is that of all."""
    whole = progress_of_all([BUSY, IngestProgress(1, 2, 0, "busy", None, {"encode": 1.0}, {"encode": 1})])
    assert whole == IngestProgress(301, 602, 1, "busy", None, {"encode": 10.0, "send": 3.0}, {"encode": 3}, 4, 3)


def test_metrics_are_read_while_it_runs():
    """On the loopback alone, sums and stages with the index as a label; the port is free again afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/metrics"
    with metrics_served("docs", port) as follow:
        follow(BUSY)
        with urllib.request.urlopen(address) as answer:  # of this machine
            text = answer.read().decode()
        with pytest.raises(SettingsError, match="--metrics-port"), metrics_served("docs", port):
            pass
    assert 'hybrid_search_load_documents_total{index="docs"} 300.0' in text
    assert 'hybrid_search_load_stage_seconds_total{index="docs",stage="encode"} 9.0' in text
    assert 'hybrid_search_load_expected_documents{index="docs"} 1000.0' in text
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address)  # of this machine


@pytest.fixture
def exported(monkeypatch):
    """The spans of a provider that this test alone has."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", lambda: provider.get_tracer("t"))
    return exporter


def test_every_batch_is_a_span_within_that_of_the_load(exported):
    """Three batches read, one encoded; counts alone, and of an error its kind alone."""

    def fails(_batch):
        raise ValueError("the secret of a document")

    spans = Spans("docs", "opensearch")
    batches = [Batch(0, n, ["a text"] * n) for n in (1, 2, 3)]
    with spans.load():
        assert list(spans.read(iter(batches))) == batches
        assert spans.of("encode", lambda batch: len(batch.items))(batches[1]) == 2
        with pytest.raises(ValueError, match="secret"):
            spans.of("encode", fails)(batches[0])
    found = exported.get_finished_spans()
    [load] = [span for span in found if span.name == "load docs"]
    assert [span.name for span in found].count("read") == 4  # the last finds the end
    assert {span.parent.span_id for span in found if span is not load} == {load.context.span_id}
    [failed] = [span for span in found if span.attributes.get("error.type")]
    assert dict(failed.attributes) == {"hybrid_search.documents": 1, "error.type": "ValueError"}
    assert not any("a text" in span.to_json() or "secret" in span.to_json() for span in found)


def test_nobody_who_looks_costs_nothing():
    """Without a provider the stages are what they were."""
    spans, work = Spans("docs", "opensearch"), len
    with spans.load():
        assert spans.of("encode", work) is work


def test_stages_can_be_looked_at_while_they_run():
    """Every stage has its seconds, and every channel its length, before the pipeline ends."""
    with Overlap() as overlap:
        numbers = overlap.ahead("read", iter(range(100)))
        doubled = overlap.ahead("encode", (2 * number for number in numbers))
        assert next(doubled) == 0
        assert sum(1 for _ in doubled) == 99
        busy, queued = overlap.look()
    assert set(queued) == {"read", "encode"}
    assert set(busy) <= {"read", "encode"}
    assert all(seconds >= 0 for seconds in busy.values())


def running(pid: int, born: float, host: str | None = None, seen: float = 999.0) -> RunningLoad:
    return RunningLoad("papers", host or socket.gethostname(), pid, born, 100.0, seen, exclusive=False, joined=True)


def test_an_index_tells_who_holds_what_and_how_to_go_on():
    """This process lives, one of a number that no process has is gone; 3 of 5 splits in 900 s: 200 / 900 a second."""
    me = psutil.Process()
    loads = {"100000": running(me.pid, me.create_time()), "100001": running(2**22 + 1, 5.0)}
    taken = (TakenSplits(100_000, 3, 5),)
    shared = SharedLoad("x", 5, 100_000, 0, 0, taken, ((0, 3),), documents=200)
    state = IndexState(loads=loads, shared={"papers": shared}, sources={"old": LoadedSource(7, "/old", 3)})
    old, papers = statuses(state, 1000.0)
    assert (old.state, old.documents) == ("loaded", 3)
    assert (papers.state, papers.splits, papers.rate) == ("running", (3, 5), pytest.approx(200 / 900))
    assert [(worker.runs, worker.holds, worker.silent) for worker in papers.workers] == [
        (True, ((3, 5),), 1.0),
        (False, (), 1.0),
    ]
    text = "\n".join(sentences([old, papers]))
    assert "load 100000 of papers: running, 3 of 5 splits settled, 200 documents" in text
    assert "runs, last sign of life 1 s ago, holds splits 3-4" in text
    assert "is gone" in text
    assert "--join" in text


def test_a_load_that_stopped_says_how_it_goes_on():
    """Nobody is at it, and what is settled stays settled."""
    state = IndexState(shared={"papers": SharedLoad("x", 5, 100_000, 0, 0, (), ((0, 3),), documents=200)})
    [papers] = statuses(state, 1000.0)
    assert (papers.state, papers.rate) == ("stopped", None)
    assert papers.remedy == "Run the same command again: it goes on where it stopped"
