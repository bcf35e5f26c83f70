"""What the model server's ``/metrics`` shows, in the text format of Prometheus; never a text."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
PATHS = frozenset(
    {"/embed", "/embed_sparse", "/encode", "/rerank", "/tokenize", "/v1/embeddings", "/info", "/health", "/metrics"}
)


class ModelMeasures:
    """The counters of one model server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        prefix, registry = "hybrid_search_models", self._registry
        self.in_flight = Gauge(f"{prefix}_requests_in_flight", "Requests being answered.", registry=registry)
        self.waiting = Gauge(f"{prefix}_texts_waiting", "Texts that wait for a model.", registry=registry)
        self.batch = Histogram(f"{prefix}_batch_texts", "Texts of a batch.", buckets=TEXTS, registry=registry)
        self._requests = Counter(
            f"{prefix}_requests", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            f"{prefix}_request_seconds", "Seconds to an answer.", ["path"], buckets=SECONDS, registry=registry
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; paths that are not served are one."""
        label = path if path in PATHS else "other"
        self._requests.labels(label, str(status)).inc()
        self._seconds.labels(label).observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
