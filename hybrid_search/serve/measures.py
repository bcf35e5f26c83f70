"""What ``/metrics`` shows, in the text format of Prometheus; never a query or a document."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hybrid_search.records import SearchResult
from hybrid_search.search_warnings import SearchWarning

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PATHS = frozenset(
    {
        *("/", "/docs", "/search", "/explain", "/runs", "/facets", "/why-not"),
        *("/judged", "/judgements", "/judgements/of", "/healthz", "/metrics"),
    }
)
OTHER = "other"


class Measures:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        prefix, registry = "hybrid_search", self._registry
        self.in_flight = Gauge(f"{prefix}_requests_in_flight", "Requests being answered.", registry=registry)
        self._requests = Counter(
            f"{prefix}_requests", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            f"{prefix}_request_seconds", "Seconds to an answer.", ["path"], buckets=SECONDS, registry=registry
        )
        self._steps = Histogram(
            f"{prefix}_step_seconds", "Seconds of the steps of searches.", ["step"], buckets=SECONDS, registry=registry
        )
        self._warnings = Counter(
            f"{prefix}_warnings", "Warnings of searches by their code.", ["code"], registry=registry
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; paths that are not served are one."""
        label = path if path in PATHS else OTHER
        self._requests.labels(label, str(status)).inc()
        self._seconds.labels(label).observe(seconds)

    def searched(self, result: SearchResult) -> None:
        """Count the steps and warnings of a search."""
        for step, milliseconds in result.took_ms.items():
            self._steps.labels(step).observe(milliseconds / 1000)
        for warning in result.warnings:
            if isinstance(warning, SearchWarning):
                self._warnings.labels(str(warning.code)).inc()

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
