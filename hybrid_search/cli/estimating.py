"""``hybrid-search estimate``: documents, hours, disk, memory and shards of a load before it is begun."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_models, check_source
from hybrid_search.cli.options import (
    FollowLinks,
    Format,
    Json,
    Query,
    RecordsPath,
    Set,
    SettingsFile,
    Source,
    SourceUrl,
    Url,
    settings_of,
)
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.errors import InputError, SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from hybrid_search.encode.protocols import TextEncoder
    from hybrid_search.ingest.report import IngestReport
    from hybrid_search.scale.estimate.figures import Estimate, Probe, Setting
    from hybrid_search.scale.estimate.layouts import Layout
    from hybrid_search.scale.estimate.sampling import Sample
    from hybrid_search.settings import Settings

ASK_ENGINE = "--url URL, or start a local node: hybrid-search up"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(estimate)


def estimate(
    source: Source,
    index: Annotated[str | None, typer.Argument(help="The index of the load.")] = None,
    *,
    workers: Annotated[str, typer.Option(help="Numbers of workers whose time is estimated.")] = "1,2,4,8",
    documents: Annotated[int | None, typer.Option(min=1, help="For so many documents.")] = None,
    sample: Annotated[int, typer.Option(min=10, help="Documents that are looked at, about.")] = 256,
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Load the sample into an index of its own.")] = True,
    save_estimate: Annotated[Path | None, typer.Option(help="Also keep it in this file.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Format = None,
    records_path: RecordsPath = None,
    query: Query = None,
    source_url: SourceUrl = None,
    follow_links: FollowLinks = False,
    as_json: Json = False,
) -> None:
    """Estimate what a load will take, from a sample of the source and a probe of encoder and engine.

    The sample is encoded, and loaded into an index of its own (hybrid-search-sweep-estimate-...), which is deleted.
    """
    from hybrid_search.encode import load_encoder
    from hybrid_search.ingest.options import SourceOptions, source_name
    from hybrid_search.scale.estimate.kept import keep, kept_for
    from hybrid_search.scale.estimate.sampling import sample_of

    counts = numbers_of(workers)
    what = SourceOptions(format=format, records_path=records_path, query=query)
    what.check(source)
    check_source(source, format)
    settings = settings_of(settings_file, url, overrides, follow_links=follow_links, source_url=source_url)
    check_models(settings)
    stop_cleanly()
    found = sample_of(source, settings, what, sample)
    made = _estimated((source, index, documents), found, load_encoder(settings), settings, probes=probe)
    for path in (None if index is None else kept_for(source_name(source), index), save_estimate):
        if path is not None:
            keep(made, path)
    _print(made, counts, as_json=as_json)


def numbers_of(given: str) -> list[int]:
    """Numbers of workers, in the order in which they are given.

    Raises:
        SettingsError: some are none.
    """
    try:
        found = [int(one) for one in given.replace(" ", "").split(",") if one]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise SettingsError(f"{given!r} is no list of numbers from 1 on", where="--workers", remedy="Give some: 1,2,8")
    return list(dict.fromkeys(found))


def say_outcome(report: IngestReport) -> None:
    """At the end of a load whose estimate is kept, how far that was off; on standard error, in one line."""
    from hybrid_search.scale.estimate.kept import kept_for, outcome, read_kept

    made = read_kept(kept_for(report.source, report.index))
    if made is not None and (found := outcome(made, report)) is not None:
        typer.echo(f"{report.index}: {found}", err=True)


def _estimated(
    asked: tuple[str, str | None, int | None],
    found: Sample,
    encoder: TextEncoder,
    settings: Settings,
    *,
    probes: bool,
) -> Estimate:
    """``asked`` are the source, the index and the number of documents, as they were given."""
    from hybrid_search.scale.estimate.figures import Estimate, Sampled

    source, index, documents = asked
    probe, each, engine = _probed(found, encoder, settings, probes=probes)
    total = found.total if documents is None else documents
    if total is None:
        raise InputError(
            "how many documents it has cannot be told without reading all of it",
            where=source,
            remedy="Say it: --documents N",
        )
    sampled = Sampled(found.total, len(found.documents), each, found.is_exact)
    return Estimate(_setting(source, index, engine, encoder, settings), sampled, probe, total)


def _probed(
    found: Sample, encoder: TextEncoder, settings: Settings, *, probes: bool
) -> tuple[Probe, float, str | None]:
    """Measured with an engine where one is there: none is started for it."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.scale.estimate.probing import probe_encoder, probe_engine

    if not probes or not _has_engine(settings):
        return (*probe_encoder(found.documents, encoder, settings), None)
    with connect(settings.engine) as connection:
        measured = probe_engine(found.documents, encoder, settings, connection)
        dialect = connection.dialect
        return (*measured, f"{dialect.engine} {'.'.join(map(str, dialect.version))}")


def _has_engine(settings: Settings) -> bool:
    from hybrid_search.engine.local.state import all_nodes

    given = settings.engine.url is not None or settings.engine.cloud_id is not None
    return given or any(node.state == "running" for node in all_nodes())


def _setting(source: str, index: str | None, engine: str | None, encoder: TextEncoder, settings: Settings) -> Setting:
    from hybrid_search.encode.threads import allowed_cores
    from hybrid_search.scale.estimate.figures import Setting

    device, gpus = _device(settings)
    return Setting(
        source=source,
        index=index,
        engine=engine,
        device=device,
        cores=allowed_cores(),
        gpus=gpus,
        dimension=0 if encoder.dense is None else encoder.dense.dimension or 0,
        dense_index=settings.engine.dense_index,
        m=settings.engine.hnsw_m,
        replicas=1 if settings.engine.replicas is None else settings.engine.replicas,
    )


def _device(settings: Settings) -> tuple[str, int]:
    """What encodes, and how many GPUs are there; models that need no torch run on the processor."""
    torch = sys.modules.get("torch")
    named = settings.dense.device or settings.sparse.device
    if torch is None or (named or "").startswith("cpu") or not torch.cuda.is_available():
        return "cpu", 0
    return named or "cuda", torch.cuda.device_count()


def _print(made: Estimate, counts: Sequence[int], *, as_json: bool) -> None:
    from hybrid_search.printed.console import Console

    if as_json:
        import orjson

        typer.echo(orjson.dumps(estimate_json(made, counts), option=orjson.OPT_INDENT_2))
        return
    console = Console()
    for table in (_figures(made), _times(made, counts), *([_layouts(made)] if made.setting.dimension else [])):
        console.print(table)
    for note in notes(made):
        console.print(note, style="dim")


def estimate_json(made: Estimate, counts: Sequence[int]) -> dict[str, object]:
    """Plain values: bytes, seconds and counts."""
    import msgspec

    return {
        **msgspec.to_builtins(made),
        "passages": made.passages,
        "encoder_hours": made.encoder_hours,
        "disk": made.disk,
        "sparse_disk": made.sparse_disk,
        "shards": made.shards,
        "layouts": [
            {"engine": one.engine, "kind": one.kind, "memory": one.memory, "disk": one.disk} for one in _rows(made)
        ],
        "workers": {
            str(count): {"wall": made.wall(count), "slowest": made.slowest(count), "seconds": made.limits(count)}
            for count in counts
        },
        "notes": notes(made),
    }


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if 0 < n < len(columns) - 1 else "left")
    return table


def _figures(made: Estimate) -> Table:
    probe, sampled = made.probe, made.sampled
    table = _table("what", "estimate", "how")
    how = "counted" if sampled.is_exact else f"from {sampled.looked_at} of them"
    if sampled.documents != made.documents:
        how = f"asked for; the source has {'?' if sampled.documents is None else f'{sampled.documents:,}'}"
    table.add_row("documents", f"{made.documents:,}", how)
    table.add_row("passages", f"{made.passages:,}", f"documents x {sampled.passages_each:.2f}")
    each = probe.stages.get("encode", 0.0)
    table.add_row(
        "encoder", f"{made.encoder_hours:,.2f} h", f"passages x {each * 1000:.2f} ms on {made.setting.device}"
    )
    copies = 1 + made.setting.replicas
    table.add_row("disk", _size(made.disk), f"passages x {_size(probe.disk)} x {copies} (1 + replicas)")
    table.add_row("  of it sparse", _size(made.sparse_disk), f"passages x {_size(probe.sparse)} x {copies}")
    table.add_row("shards", f"{made.shards:,}", "at most 30 GB and 200 million passages each")
    return table


def _size(value: float | None) -> str:
    from rich.filesize import decimal

    return "not measured" if value is None else decimal(round(value))


def _times(made: Estimate, counts: Sequence[int]) -> Table:
    from hybrid_search.scale.estimate.kept import duration

    table = _table("workers", "wall", "what decides")
    for count in counts:
        found = made.limits(count)
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in sorted(found.items(), key=lambda x: -x[1]))
        table.add_row(f"{count}", duration(made.wall(count)), f"{made.slowest(count)} ({parts})")
    return table


def _rows(made: Estimate) -> list[Layout]:
    from hybrid_search.engine.templates import parse_version
    from hybrid_search.scale.estimate.layouts import layouts

    setting = made.setting
    if not setting.dimension:
        return []
    name, _, version = (setting.engine or "").partition(" ")
    at = parse_version(version) if version else None
    return list(layouts(name or None, at, made.passages, setting.dimension, setting.m))


def _layouts(made: Estimate) -> Table:
    from rich.filesize import decimal

    table = _table("dense_index", "memory, one copy", "disk, one copy", "")
    for one in _rows(made):
        mark = "as set" if one.kind == made.setting.dense_index else ""
        memory, disk = ("no formula" if size is None else decimal(size) for size in (one.memory, one.disk))
        table.add_row(f"{one.engine} {one.kind}", memory, disk, mark)
    return table


def notes(made: Estimate) -> list[str]:
    """The formulas, and what was not measured."""
    formula = (
        f"wall = fixed + 1.15 x the slowest of: each stage / workers, processor seconds / {made.setting.cores} cores, "
        "the engine's. 1.15: benchmarks/results/ingest-*.json"
    )
    said = [formula, "memory and disk of vectors: the vendors' formulas (docs/sweep.md)"]
    if made.setting.engine is None:
        said.append(f"No engine was asked: neither its time nor disk of texts and sparse features. {ASK_ENGINE}")
    if made.setting.index is not None:
        said.append(f"It is kept: index {made.setting.source} {made.setting.index} says how far it was off")
    return said
