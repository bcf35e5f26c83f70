"""Which GPU each of several workers on one machine has."""

from __future__ import annotations

from msgspec.structs import replace

from hybrid_search.settings import NO_MODEL, DenseSettings, Settings, SparseSettings

ELSEWHERE = (NO_MODEL, "idf", "precomputed")
"""Models that no device runs: for them torch, which takes seconds to import, is not asked."""


def on_its_device(settings: Settings, number: int) -> Settings:
    """The settings of one worker: where there are several GPUs and none is named, each has the next of them in turn."""
    if not any(_may_be_any(one) for one in (settings.dense, settings.sparse)):
        return settings
    try:
        from hybrid_search.encode.devices import devices_here
    except ImportError:  # no torch: vectors come with the documents, or from a server
        return settings
    gpus = [name for name in devices_here() if name.startswith("cuda")]
    if len(gpus) < 2:
        return settings
    own = {
        part: replace(one, device=gpus[number % len(gpus)])
        for part, one in (("dense", settings.dense), ("sparse", settings.sparse))
        if _may_be_any(one)
    }
    return replace(settings, **own)


def _may_be_any(model: DenseSettings | SparseSettings) -> bool:
    if model.model in ELSEWHERE or model.url is not None:
        return False
    return model.device is None or model.device.strip().lower() in ("gpu", "cuda")
