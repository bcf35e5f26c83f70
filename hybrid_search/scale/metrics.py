"""What Prometheus reads of a running load: one process or the sums of all workers; never a text or an id.

=============================================  =====================================================================
``hybrid_search_load_documents_total``         settled, whatever became of them
``hybrid_search_load_passages_total``          taken by the engine
``hybrid_search_load_refused_total``           documents of which a passage was refused
``hybrid_search_load_stage_seconds_total``     seconds of work, by ``stage``
``hybrid_search_load_queued``                  what waits behind a ``stage`` for the next one
``hybrid_search_load_slowed``                  refusals of the engine in a row, for which senders slow down
``hybrid_search_load_waiting``                 1 while something is waited for
``hybrid_search_load_workers``                 processes
``hybrid_search_load_expected_documents``      about how many there will be; absent where that is not known
=============================================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.state.ledger import OnProgress

if TYPE_CHECKING:
    from prometheus_client import Metric

LOOPBACK = "127.0.0.1"
PREFIX = "hybrid_search_load"


class LoadMetrics:
    """The collector of one command: the last progress that it was told."""

    def __init__(self, index: str) -> None:
        self._index = index
        self._last = IngestProgress(0, 0, 0)

    def follow(self, progress: IngestProgress) -> None:
        """The load has come so far."""
        self._last = progress

    def collect(self) -> Iterator[Metric]:
        """What is exported, made when it is read."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        last, names = self._last, ["index"]
        counted = {"documents": last.documents, "passages": last.passages, "refused": last.refused}
        for name, count in counted.items():
            family = CounterMetricFamily(f"{PREFIX}_{name}", f"The load's {name} so far.", labels=names)
            family.add_metric([self._index], count)
            yield family
        stages = CounterMetricFamily(f"{PREFIX}_stage_seconds", "Seconds of work.", labels=[*names, "stage"])
        for stage, seconds in last.busy.items():
            stages.add_metric([self._index, stage], seconds)
        yield stages
        queued = GaugeMetricFamily(f"{PREFIX}_queued", "What waits behind a stage.", labels=[*names, "stage"])
        for stage, count in last.queued.items():
            queued.add_metric([self._index, stage], count)
        yield queued
        gauges = {"slowed": last.slowed, "waiting": int(last.waiting is not None), "workers": last.workers}
        if last.expected is not None:
            gauges["expected_documents"] = last.expected
        for name, value in gauges.items():
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", f"The load's {name}.", labels=names)
            gauge.add_metric([self._index], value)
            yield gauge


@contextmanager
def metrics_served(index: str, port: int, host: str = LOOPBACK) -> Iterator[OnProgress]:
    """Serve what is told at ``http://host:port/metrics`` while the block lasts; 0 is a free port.

    Raises:
        MissingExtraError: without the extra [serve].
        SettingsError: the port cannot be listened on.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError:
        raise MissingExtraError("metrics", "serve") from None
    registry, metrics = CollectorRegistry(), LoadMetrics(index)
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {error.strerror}", where="--metrics-port", remedy="Name another"
        ) from error
    try:
        yield metrics.follow
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
