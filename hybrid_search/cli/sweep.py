"""``hybrid-search sweep``: what the options of an index cost, measured on copies of a sample of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from hybrid_search.cli.evaluate import progress_bars
from hybrid_search.cli.options import Index, Json, Set, SettingsFile, Url, settings_of, write_settings
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.errors import SettingsError
from hybrid_search.private_files import write_bytes

if TYPE_CHECKING:
    from hybrid_search.engine import Connection
    from hybrid_search.evaluate.sweep import Asked, Grid, Row, Sample, Sweep, SweepRequest, Way
    from hybrid_search.records import IndexSchema, Leg
    from hybrid_search.settings import Settings

Number = TypeVar("Number", int, float)

Cheapest = Literal["memory", "disk", "latency"]

PNG = ".png"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sweep)


def sweep(
    index: Index,
    *,
    queries: Annotated[
        Path | None, typer.Option(help="JSON lines, TSV, BEIR, or ir_datasets:NAME (default: vectors of passages).")
    ] = None,
    sample: Annotated[int, typer.Option(min=100, help="Passages that are copied, at most.")] = 10_000,
    asked: Annotated[int, typer.Option(min=1, help="Queries, at most.")] = 100,
    legs: Annotated[str, typer.Option(help="Whose options: dense,sparse.")] = "dense,sparse",
    kinds: Annotated[str | None, typer.Option(help="Values of engine.dense_index (default: all there are).")] = None,
    m: Annotated[str | None, typer.Option("--m", help="Values of engine.hnsw_m (default: the index's).")] = None,
    ef_construction: Annotated[str | None, typer.Option(help="Values of engine.hnsw_ef_construction.")] = None,
    candidates: Annotated[
        str | None, typer.Option(help="Values of search.candidates (default: window x 1,2,4).")
    ] = None,
    oversample: Annotated[
        str | None, typer.Option(help="Values of search.oversample beside the mapping's own, of quantised kinds.")
    ] = None,
    sparse_kinds: Annotated[str | None, typer.Option(help="Values of engine.sparse_index (default: all).")] = None,
    min_share: Annotated[str, typer.Option(help="Values of sparse.min_share; 0 keeps all terms.")] = "0,0.1,0.2",
    two_phase: Annotated[str, typer.Option(help="Values of search.two_phase.")] = "0,0.4",
    k: Annotated[int, typer.Option("-k", min=1, help="Hits that recall counts.")] = 10,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="The recall that the chosen row must have.")] = 0.95,
    cheapest: Annotated[Cheapest, typer.Option(help="What the chosen row has least of.")] = "memory",
    plot: Annotated[Path | None, typer.Option(help="A new file for a picture: .svg or .png (extra [plots]).")] = None,
    write: Annotated[Path | None, typer.Option(help="A new settings file for the chosen rows.")] = None,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Measure recall, latency, size and build time of index options, on copies of a sample of the index.

    The copies hold stored vectors, nothing is encoded again; they are named hybrid-search-sweep-... and deleted one by
    one, also after Ctrl-C. The index is read only.
    """
    from hybrid_search.engine import connect
    from hybrid_search.evaluate.sweep import cheapest as cheapest_of

    _check_new(write, "--write")
    _check_new(plot, "--plot", suffixes=(".svg", PNG))
    settings = settings_of(settings_file, url, list(overrides or ()))
    values = Values(kinds, sparse_kinds, m, ef_construction, candidates, min_share, two_phase, oversample)
    swept = _legs(legs)
    stop_cleanly()
    with connect(settings.engine) as connection:
        request, found = _swept(connection, settings, Source(index, queries, sample, asked), values, (swept, k))
    chosen = cheapest_of(found.rows, at_least=at_least, by=cheapest, flat=request.sample.is_whole)
    _print(found, request, chosen, as_json=as_json, at_least=at_least, by=cheapest)
    _keep(found, request, chosen, plot, write)


@dataclass(frozen=True)
class Values:
    """The lists of values, as they are given."""

    kinds: str | None
    sparse_kinds: str | None
    m: str | None
    ef_construction: str | None
    candidates: str | None
    min_share: str
    two_phase: str
    oversample: str | None


@dataclass(frozen=True)
class Source:
    """Where passages and queries are from, and how many of them."""

    index: str
    queries: Path | None
    passages: int
    asked: int


def _swept(
    connection: Connection, settings: Settings, source: Source, values: Values, measured: tuple[list[Leg], int]
) -> tuple[SweepRequest, Sweep]:
    """What can be known to be wrong is said before anything is read."""
    from hybrid_search.engine.indices import open_index
    from hybrid_search.evaluate.sweep import SweepRequest, read_sample, run_sweep

    legs, k = measured
    schema = open_index(connection, source.index).schema
    grid = _grid(settings, schema, values)
    for leg in legs:
        grid.builds(leg, connection.dialect.capabilities)
    _say_leftovers(connection)
    count = source.passages + (source.asked if source.queries is None else 0)
    held = read_sample(connection, source.index, schema, count)
    if source.queries is None:
        asked, held = _held_out(held, source.asked, source.index)
    else:
        asked = _encoded(source.queries, source.asked, settings, source.index, connection)
    request = SweepRequest(source.index, schema, held, asked, legs, grid, k)
    with progress_bars() as progress:
        return request, run_sweep(connection, request, in_use=_in_use(settings), progress=progress)


def _check_new(path: Path | None, where: str, *, suffixes: Sequence[str] = ()) -> None:
    """Before anything is measured: a place that is free, and a format of pictures that there is."""
    if path is None:
        return
    if suffixes and path.suffix not in suffixes:
        what, remedy = f"only {' and '.join(suffixes)} are drawn", f"Name it {path.stem}{suffixes[0]}"
        raise SettingsError(what, where=f"{where} {path}", remedy=remedy)
    if not path.parent.is_dir():
        raise SettingsError("no such folder", where=f"{where} {path}", remedy="Make it, or name another")
    if path.exists():
        raise SettingsError("the file is there and is not touched", where=f"{where} {path}", remedy="Name a new one")
    if suffixes and path.suffix == PNG:
        from hybrid_search.evaluate.plots import require_plots

        require_plots()


def _legs(given: str) -> list[Leg]:
    from hybrid_search.records import Leg

    names = _names(given)
    known = {str(leg): leg for leg in (Leg.DENSE, Leg.SPARSE)}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise SettingsError(
            f"no options of {', '.join(unknown) or 'no leg'}", where="--legs", remedy="There are: dense,sparse"
        )
    return [known[name] for name in names]


def _grid(settings: Settings, schema: IndexSchema, values: Values) -> Grid:
    """The values that are given, each checked as a setting; else those of the index and the settings."""
    from hybrid_search.evaluate.sweep import Grid

    window = settings.search.window
    usual = sorted({window, _in_use(settings).candidates, min(4 * window, 10_000)})
    m, width, candidates = values.m, values.ef_construction, values.candidates
    grid = Grid(
        dense_kinds=None if values.kinds is None else _names(values.kinds),
        sparse_kinds=None if values.sparse_kinds is None else _names(values.sparse_kinds),
        m=[schema.hnsw_m] if m is None else _whole(m, "--m"),
        ef_construction=[schema.hnsw_ef_construction] if width is None else _whole(width, "--ef-construction"),
        candidates=usual if candidates is None else _whole(candidates, "--candidates"),
        min_shares=_shares(values.min_share, "--min-share"),
        two_phase=_shares(values.two_phase, "--two-phase"),
        oversample=[] if values.oversample is None else _shares(values.oversample, "--oversample"),
    )
    _check(grid, settings)
    return grid


def _check(grid: Grid, settings: Settings) -> None:
    """SettingsError where a value could not be set."""
    from msgspec.structs import replace

    for width in grid.candidates:
        replace(settings.search, candidates=width)
    for times in grid.oversample:
        replace(settings.search, oversample=times)
    for share in grid.two_phase:
        replace(settings.search, two_phase=share)
    for share in grid.min_shares:
        replace(settings.sparse, min_share=share or None)
    for m in grid.m:
        replace(settings.engine, hnsw_m=m, hnsw_ef_construction=max(m, *grid.ef_construction))


def _in_use(settings: Settings) -> Way:
    from hybrid_search.evaluate.sweep import Way

    search = settings.search
    candidates = min(2 * search.window, 10_000) if search.candidates is None else search.candidates
    return Way(candidates, search.two_phase, search.oversample)


def _names(given: str) -> list[str]:
    return [name for name in given.replace(" ", "").split(",") if name]


def _whole(given: str, where: str) -> list[int]:
    return _read(given, where, int)


def _shares(given: str, where: str) -> list[float]:
    return _read(given, where, float)


def _read(given: str, where: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        numbers = sorted({kind(value) for value in _names(given)})
    except ValueError as error:
        raise SettingsError(f"{given!r} is no list of numbers", where=where, remedy="Give some: 1,2") from error
    if not numbers:
        raise SettingsError("holds no number", where=where, remedy="Give some: 1,2")
    return numbers


def _held_out(held: Sample, count: int, index: str) -> tuple[Asked, Sample]:
    """Passages that are asked for, at most half of all, and the others, which are copied."""
    from hybrid_search.errors import InputError
    from hybrid_search.evaluate.sweep import asked_of

    count = min(count, len(held.ids) // 2)
    if not count:
        raise InputError("one passage is too few", where=index, remedy="Load more documents")
    first, rest = held.split(count)
    return asked_of(first), rest


def _encoded(path: Path, count: int, settings: Settings, index: str, connection: Connection) -> Asked:
    """The queries of a file by the models of the index."""
    import numpy as np

    from hybrid_search import read
    from hybrid_search.errors import InputError
    from hybrid_search.evaluate.sweep import Asked
    from hybrid_search.search import SearchClient

    texts = [query.text for query in read.queries(path) if query.text.strip()][:count]
    if not texts:
        raise InputError("no query with a text", where=str(path))
    with SearchClient(index, settings=settings, connection=connection) as client:
        encoder = client.searcher.encoder
        if encoder is None:
            raise InputError("the index has no model that encodes queries", where=index, remedy="Leave --queries out")
        vectors = encoder.encode_queries(texts)
    if vectors.dense is None:
        return Asked(None, list(vectors.sparse or []))
    lengths = np.linalg.norm(vectors.dense, axis=1, keepdims=True)
    return Asked(vectors.dense / lengths, None if vectors.sparse is None else list(vectors.sparse))


def _say_leftovers(connection: Connection) -> None:
    from hybrid_search.evaluate.sweep.copies import clear_leftovers

    found = clear_leftovers(connection)
    if found.removed:
        typer.echo(f"Copies of a sweep that was killed here are removed: {', '.join(found.removed)}", err=True)
    if found.kept:
        typer.echo(f"There are copies of a sweep that was killed, or runs now: {', '.join(found.kept)}", err=True)


def _print(
    found: Sweep, request: SweepRequest, chosen: Mapping[Leg, Row], *, as_json: bool, at_least: float, by: str
) -> None:
    from hybrid_search.evaluate.sweep.report import notes, sweep_json, sweep_table

    if as_json:
        import orjson

        typer.echo(orjson.dumps(sweep_json(found, request, chosen), option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    for leg in dict.fromkeys(row.build.leg for row in found.rows):
        console.print(sweep_table(found, request, chosen, leg))
    for note in notes(found, request, at_least=at_least, by=by):
        console.print(note, style="dim")


def _keep(
    found: Sweep, request: SweepRequest, chosen: Mapping[Leg, Row], plot: Path | None, write: Path | None
) -> None:
    """The picture and the settings."""
    import tomli_w

    from hybrid_search.evaluate.plots import sweep_png
    from hybrid_search.evaluate.sweep.options import settings_of as settings_of_row
    from hybrid_search.evaluate.sweep.plot import sweep_svg

    if plot is not None and plot.suffix == PNG:
        write_bytes(plot, sweep_png(found.rows, chosen, k=request.k))
    elif plot is not None:
        write_settings(plot, sweep_svg(found.rows, chosen, k=request.k))
    if plot is not None:
        typer.echo(f"{plot} is written", err=True)
    if write is not None:
        sections: dict[str, dict[str, object]] = {}
        for row in chosen.values():
            for section, values in settings_of_row(row.build, row.way).items():
                sections.setdefault(section, {}).update(values)
        write_settings(write, tomli_w.dumps(sections))
        typer.echo(f"{write} is written; [engine] and [sparse] take a new index: hybrid-search reindex", err=True)
