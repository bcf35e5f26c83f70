"""``hybrid-search index --workers | --ray``: loads that several processes share, each with models of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.ingest.files import LoadFiles
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.ingest.source import SourceOptions
    from hybrid_search.scale.watch import OnProgress
    from hybrid_search.scale.work import Share
    from hybrid_search.settings import Settings

    Load = Callable[[Share, OnProgress], IngestReport]


RAY_DEFAULTS = (1, 1.0, 0.0)
"""Workers at first, and the CPUs and GPUs of each, where nothing is said."""


def shared(
    ray: str | None, least: int, most: int, cpus: float, gpus: float
) -> Callable[..., Iterator[IngestReport]] | None:
    """Loads on Ray, or by several processes of this machine; None where one process is enough.

    Raises:
        SettingsError: options of Ray without it.
    """
    if ray is not None:
        return partial(shared_loads, load=on_ray(ray, least, most, cpus=cpus, gpus=gpus))
    if (least, cpus, gpus) != RAY_DEFAULTS:
        remedy = "Add --ray auto, local or ray://host:port, or leave them out"
        raise SettingsError("are for --ray", where="--ray-least, --ray-cpus, --ray-gpus", remedy=remedy)
    return partial(shared_loads, load=by_workers(most)) if most > 1 else None


def by_workers(count: int) -> Load:
    """By processes of this machine."""

    def load(share: Share, progress: OnProgress) -> IngestReport:
        from hybrid_search.scale.workers import load_by_workers

        return load_by_workers(share, count, progress=progress)

    return load


def on_ray(address: str, least: int, most: int, *, cpus: float, gpus: float) -> Load:
    """By actors of a Ray cluster."""

    def load(share: Share, progress: OnProgress) -> IngestReport:
        from hybrid_search.scale.on_ray import RayOptions, load_on_ray
        from hybrid_search.scale.watch import Bounds

        return load_on_ray(share, RayOptions(address, Bounds(least, most), cpus, gpus), progress=progress)

    return load


def shared_loads(
    sources: list[str], index: str, settings: Settings, files: list[LoadFiles], what: SourceOptions, *, load: Load
) -> Iterator[IngestReport]:
    """Load the sources one after the other."""
    from hybrid_search.cli.estimate import expected_documents
    from hybrid_search.cli.progress import progress_bar
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.names import check_target
    from hybrid_search.ingest.target import check_layout
    from hybrid_search.scale.work import Share

    with connect(settings.engine) as connection:
        check_target(connection, index)
        check_layout(connection, index, settings)
    for source, own in zip(sources, files, strict=True):
        with progress_bar(index, expected_documents(Path(source))) as progress:
            yield load(Share(source, index, settings, own, what), progress)
