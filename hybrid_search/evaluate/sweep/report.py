"""What a sweep measured, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hybrid_search.evaluate.sweep.cheapest import Row, pareto
from hybrid_search.evaluate.sweep.options import FLAT, SEISMIC, settings_of
from hybrid_search.evaluate.sweep.run import Sweep, SweepRequest
from hybrid_search.evaluate.sweep.seismic import WHY_NOT_CHOSEN
from hybrid_search.records import Leg

if TYPE_CHECKING:
    from rich.table import Table

MARKS = {"best": "*", "chosen": ">", "in_use": "="}


def sweep_json(sweep: Sweep, request: SweepRequest, chosen: Mapping[Leg, Row]) -> dict[str, Any]:
    """All rows as plain JSON types; bytes, milliseconds and seconds."""
    best = pareto(sweep.rows)
    return {
        "index": request.index,
        "passages": len(request.sample.ids),
        "of": request.sample.total,
        "asked": len(request.asked),
        "queries": "passages" if request.asked.are_passages else "given",
        "k": request.k,
        "rows": [
            {
                "leg": str(row.build.leg),
                "settings": settings_of(row.build, row.way),
                "can_be_set": row.build.can_be_set,
                "recall": round(row.recall, 5),
                "p50_ms": round(row.p50, 3),
                "p99_ms": round(row.p99, 3),
                "disk_bytes": row.disk,
                "memory_bytes": row.memory,
                "build_seconds": round(row.seconds, 3),
                "pareto": row in best,
                "in_use": row.in_use,
                "chosen": row in chosen.values(),
            }
            for row in sweep.rows
        ],
        "refused": [{"leg": str(one.leg), "kind": one.kind, "why": why} for one, why in sweep.refused.items()],
    }


def sweep_table(sweep: Sweep, request: SweepRequest, chosen: Mapping[Leg, Row], leg: Leg) -> Table:
    """The rows of one leg, those of the best recall first."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{leg}: {len(request.sample.ids):,} passages, {len(request.asked):,} queries",
        title_justify="left",
    )
    table.add_column("")
    table.add_column("kind", no_wrap=True)
    options = ("m", "ef", "candidates", "oversample") if leg == Leg.DENSE else ("min share", "two-phase")
    for name in (*options, f"recall@{request.k}", "p50 ms", "p99 ms", "disk", "memory", "build s"):
        table.add_column(name, justify="right", no_wrap=True)
    best = pareto(sweep.rows)
    for row in sorted(sweep.rows, key=lambda row: (-row.recall, row.p50)):
        if row.build.leg == leg:
            marks = {"best": row in best, "chosen": row in chosen.values(), "in_use": row.in_use}
            shown = "".join(MARKS[name] for name, is_so in marks.items() if is_so)
            table.add_row(shown, *_cells(row), style="bold" if marks["chosen"] else None)
    return table


def notes(sweep: Sweep, request: SweepRequest, *, at_least: float, by: str) -> Iterator[str]:
    """What the marks and figures mean, and what could not be built."""
    yield (
        f"{MARKS['best']} nothing finds as much, as fast, in as little; {MARKS['in_use']} in use; {MARKS['chosen']} "
        f"chosen: recall of at least {at_least:g}, least {by}" + (" (sparse: disk)" if by == "memory" else "")
    )
    yield (
        f"of {request.sample.total:,} passages; recall against exact search over all vectors of the copies; disk: "
        "vectors and ids without texts; memory: estimated"
    )
    if request.asked.are_passages:
        yield "queries: vectors of passages that the copies do not hold; give yours with --queries for honest latencies"
    if not request.sample.is_whole and any(FLAT in row.build.kind for row in sweep.rows):
        yield "flat kinds compare every vector: over the whole index they take longer in proportion, and are not chosen"
    if any(row.build.kind == SEISMIC for row in sweep.rows):
        yield WHY_NOT_CHOSEN
    for kind, why in dict.fromkeys((build.kind, why) for build, why in sweep.refused.items()):
        yield f"{kind} was refused: {why}"


def name_of(row: Row) -> str:
    """A row in a few words."""
    build, way = row.build, row.way
    if build.kind == SEISMIC:
        return f"{build.kind}, min share {build.min_share:g}"
    if build.leg == Leg.SPARSE:
        return f"{build.kind}, min share {build.min_share:g}, two-phase {way.two_phase:g}"
    graph = f" {build.m}/{build.ef_construction}" if build.has_graph else ""
    times = "" if way.oversample is None else f" x {way.oversample:g}"
    return f"{build.kind}{graph}, {way.candidates}{times}"


def _cells(row: Row) -> list[str]:
    build, way = row.build, row.way
    if build.leg == Leg.SPARSE:
        options = [f"{build.min_share:g}", "-" if build.kind == SEISMIC else f"{way.two_phase:g}"]
    else:
        options = ["-" if value is None else str(value) for value in (build.m, build.ef_construction)]
        options += [str(way.candidates), "-" if way.oversample is None else f"{way.oversample:g}"]
    figures = [f"{row.recall:.4f}", f"{row.p50:.1f}", f"{row.p99:.1f}"]
    memory = "-" if row.memory is None else megabytes(row.memory)
    return [build.kind, *options, *figures, megabytes(row.disk), memory, f"{row.seconds:.1f}"]


def megabytes(size: int) -> str:
    """``1.5 MB`` of 1,500,000 bytes."""
    return f"{size / 1e6:.1f} MB"
