"""The arithmetic of an estimate: pure functions of what was sampled and measured."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

OVERLAP = 1.15
"""How much longer a load takes than its slowest stage, which the others run beside: 1.10 on OpenSearch, 1.15 on
Elasticsearch (``wall_over_slower_stage`` of benchmarks/results/ingest-*.json)."""

SHARD_BYTES = 30e9
"""Of a shard: both vendors advise between 10 and 50 GB, OpenSearch 10 to 30 where searches are to be quick
(Elasticsearch, *Size your shards*; OpenSearch, *Choosing the number of shards*)."""

SHARD_PASSAGES = 200_000_000
"""Of a shard at most (Elasticsearch, *Size your shards*: fewer than 200 million documents)."""

CLIENT = ("read", "compare", "chunk", "encode", "serialise")
"""The stages of a load that run in a worker; ``send`` is the engine's."""


class Sampled(msgspec.Struct, frozen=True):
    """A look at a source.

    Attributes:
        documents: of the whole source, about; None where that cannot be known.
        looked_at: documents of the sample.
        passages_each: passages of a document, on average.
        is_exact: whether ``documents`` were counted rather than inferred from bytes.
    """

    documents: int | None
    looked_at: int
    passages_each: float
    is_exact: bool = False


class Probe(msgspec.Struct, frozen=True):
    """What one process measured, for each passage; None what was not measured.

    Attributes:
        passages: of the probe.
        stages: seconds in which each stage worked; they run side by side.
        processor: seconds of all cores together in this process.
        fixed: seconds of a load whatever its size.
        sent: bytes of bulk bodies.
        disk: bytes of an index of one segment, without replicas.
        sparse: bytes of an index of sparse features and ids alone, of one segment.
    """

    passages: int
    stages: Mapping[str, float]
    processor: float
    fixed: float = 0.0
    sent: float | None = None
    disk: float | None = None
    sparse: float | None = None


class Setting(msgspec.Struct, frozen=True):
    """What the estimate is for.

    Attributes:
        source: as it was given.
        index: its name; None for no particular one.
        engine: ``opensearch`` or ``elasticsearch`` and the version; None where none was asked.
        device: what the encoder runs on: ``cpu`` or ``cuda``.
        cores: of this machine that may be used.
        gpus: of this machine.
        dimension: of dense vectors; 0 for none.
        dense_index: how they are indexed.
        m: neighbours of a vector in its graph.
        replicas: copies of each shard beside the first.
    """

    source: str
    index: str | None
    engine: str | None
    device: str
    cores: int
    gpus: int
    dimension: int
    dense_index: str
    m: int
    replicas: int


class Estimate(msgspec.Struct, frozen=True):
    """All of it; the figures are for ``documents`` of them."""

    setting: Setting
    sampled: Sampled
    probe: Probe
    documents: int

    @property
    def passages(self) -> int:
        """Documents x passages of a document."""
        return round(self.documents * self.sampled.passages_each)

    @property
    def encoder_hours(self) -> float:
        """Passages x seconds of encoding / 3600, on one device like the one measured."""
        return self.passages * self.probe.stages.get("encode", 0.0) / 3600

    @property
    def disk(self) -> float | None:
        """Bytes: passages x bytes of the probe index x (1 + replicas)."""
        return None if self.probe.disk is None else self.passages * self.probe.disk * (1 + self.setting.replicas)

    @property
    def sparse_disk(self) -> float | None:
        """Bytes of it that are sparse features, with replicas."""
        return None if self.probe.sparse is None else self.passages * self.probe.sparse * (1 + self.setting.replicas)

    @property
    def shards(self) -> int:
        """So many that none passes :data:`SHARD_BYTES` or :data:`SHARD_PASSAGES`."""
        by_size = 0.0 if self.probe.disk is None else self.passages * self.probe.disk / SHARD_BYTES
        return max(1, _ceiling(by_size), _ceiling(self.passages / SHARD_PASSAGES))

    def limits(self, workers: int) -> dict[str, float]:
        """Seconds that each part of a load by so many workers of this machine takes at least, by its name.

        The slowest stage of a worker is shared by all of them; encoders on GPUs by as many as there are GPUs; the
        processors have their own sum to do; and the engine takes what it takes.
        """
        probe, count, has_gpu = self.probe, self.passages, self.setting.device != "cpu"
        found = {name: count * seconds / workers for name, seconds in probe.stages.items() if name in CLIENT}
        if has_gpu and "encode" in found:
            found["encode"] = count * probe.stages["encode"] / min(workers, max(1, self.setting.gpus))
        found["processors"] = count * probe.processor / max(1, self.setting.cores)
        if "send" in probe.stages:
            found["engine"] = count * probe.stages["send"]
        return found

    def wall(self, workers: int) -> float:
        """Seconds: what is fixed + the slowest part x :data:`OVERLAP`."""
        return self.probe.fixed + OVERLAP * max(self.limits(workers).values(), default=0.0)

    def slowest(self, workers: int) -> str:
        """The part that decides."""
        found = self.limits(workers)
        return max(found, key=lambda name: found[name]) if found else "nothing"


def _ceiling(value: float) -> int:
    return int(-(-value // 1))
