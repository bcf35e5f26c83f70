"""Builds each copy in turn, asks it, and compares what it finds with exact search."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.engine.templates import is_quantised
from hybrid_search.errors import InputError, RequestRefusedError, UnsupportedError
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.evaluate.sweep import seismic
from hybrid_search.evaluate.sweep.cheapest import Row, memory_of
from hybrid_search.evaluate.sweep.copies import Copy, copied
from hybrid_search.evaluate.sweep.options import SEISMIC, Build, Grid, Way
from hybrid_search.evaluate.sweep.vectors import Asked, Sample, exact_scores, recall
from hybrid_search.records import IndexSchema, Leg
from hybrid_search.search import legs

SEARCHES = 100
"""Searches that a latency is measured by, at least: the queries are asked again until there are so many."""

SEARCH_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is swept.

    Attributes:
        index: the name for messages and for those of the copies.
        schema: of the index.
        sample: the passages that are copied.
        asked: the queries.
        legs: of which leg's options.
        grid: the options.
        k: hits that recall counts.
    """

    index: str
    schema: IndexSchema
    sample: Sample
    asked: Asked
    legs: Sequence[Leg] = (Leg.DENSE, Leg.SPARSE)
    grid: Grid = field(default_factory=Grid)
    k: int = 10


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was measured; ``refused`` says of builds that the engine refused why."""

    rows: list[Row]
    refused: Mapping[Build, str]


def run_sweep(
    connection: Connection, request: SweepRequest, *, in_use: Way | None = None, progress: OnProgress | None = None
) -> Sweep:
    """Measure every way of the grid on a copy of its own, one copy at a time, each deleted before the next is made.

    The ways to search a copy are asked in turns, query by query, so that a busy moment is of all of them; what other
    copies took was at another time.

    Args:
        connection: to the cluster of the index.
        request: what.
        in_use: the way to search that the settings name, for the mark.
        progress: told how many copies are done.

    Raises:
        InputError: no leg has both vectors and queries, or nothing of the grid could be built.
        UnsupportedError: the engine's version lacks a kind that the grid names.
        EngineError: the cluster cannot be reached, or fails.
    """
    swept = [leg for leg in request.legs if leg in request.sample.legs() and _has_queries(request.asked, leg)]
    if not swept or not request.sample.ids:
        raise InputError("nothing to sweep: no leg has both passages and queries", where=request.index)
    builds = [build for leg in swept for build in request.grid.builds(leg, connection.dialect.capabilities)]
    told, rows, refused = progress or (lambda *_: None), list[Row](), dict[Build, str]()
    exact = {leg: exact_scores(leg, request.asked, request.sample) for leg in swept}
    for done, build in enumerate(builds):
        told("copies", done, len(builds))
        try:
            rows += _measured(connection, request, build, exact[build.leg], in_use)
        except (RequestRefusedError, UnsupportedError) as error:
            refused[build] = error.what
    told("copies", len(builds), len(builds))
    if not rows:
        raise InputError(
            f"the engine refuses every copy: {next(iter(refused.values()))}", where=request.index, remedy="Name others"
        )
    return Sweep(rows, refused)


def _has_queries(asked: Asked, leg: Leg) -> bool:
    if leg == Leg.DENSE:
        return asked.dense is not None and len(asked.dense) > 0
    return any(asked.sparse or [])


def _measured(
    connection: Connection, request: SweepRequest, build: Build, exact: Any, in_use: Way | None
) -> Iterator[Row]:
    schema, sample, engine = request.schema, request.sample, connection.dialect.engine
    ways = request.grid.ways(build)
    with copied(connection, request.index, schema, sample, build) as copy:
        found, times = _asked(connection, copy, request, build, ways)
    dimension = 0 if schema.dense is None else schema.dense.dimension or 0
    memory = memory_of(build, engine, len(sample.ids), dimension)
    for way in ways:
        p50, p99 = (float(value) for value in np.percentile(times[way], [50, 99]))
        share = recall(found[way], exact, request.k)
        is_used = in_use is not None and _is_used(build, way, schema, in_use)
        yield Row(build, way, share, p50, p99, copy.disk, memory, copy.seconds, is_used)


def _is_used(build: Build, way: Way, schema: IndexSchema, in_use: Way) -> bool:
    """The index is itself the unpruned one: what it holds is what is copied."""
    if build.leg == Leg.SPARSE:
        return (build.kind, build.min_share, way.two_phase) == (schema.sparse_index, 0.0, in_use.two_phase)
    shape = (build.m, build.ef_construction) if build.has_graph else (schema.hnsw_m, schema.hnsw_ef_construction)
    same = (build.kind, *shape) == (schema.dense_index, schema.hnsw_m, schema.hnsw_ef_construction)
    times = in_use.oversample if is_quantised(build.kind) else None
    return same and (way.candidates, way.oversample) == (in_use.candidates, times)


def _asked(
    connection: Connection, copy: Copy, request: SweepRequest, build: Build, ways: Sequence[Way]
) -> tuple[dict[Way, list[list[int]]], dict[Way, list[float]]]:
    """Rows of the sample that each way finds, by query, and milliseconds; the first round is not timed."""
    rows = {f"{document}#{number}": row for row, (document, number) in enumerate(request.sample.ids)}
    found: dict[Way, list[list[int]]] = {way: [] for way in ways}
    times: dict[Way, list[float]] = {way: [] for way in ways}
    count = len(request.asked)
    bodies = {way: [_body(connection, request.asked, build, way, n) for n in range(count)] for way in ways}
    for passed in range(1 + -(-SEARCHES // count)):
        for number in range(count):
            for way in ways:
                body = bodies[way][number]
                ids, milliseconds = ([], None) if body is None else _searched(connection, copy.index, body)
                if passed == 0:
                    found[way].append([rows[one] for one in ids if one in rows])
                elif milliseconds is not None:
                    times[way].append(milliseconds)
    return found, times


def _body(connection: Connection, asked: Asked, build: Build, way: Way, number: int) -> legs.Body | None:
    """A search as a client sends it; None for a query without terms, which a client does not send."""
    size = way.candidates
    if build.leg == Leg.DENSE and asked.dense is not None:
        query = legs.dense(
            asked.dense[number], connection.dialect, size=size, candidates=size, oversample=way.oversample
        )
    elif terms := legs.heaviest((asked.sparse or [])[number]):
        query = _sparse(terms, build, way)
    else:
        return None
    return legs.passage_search(query, size=size, timeout=SEARCH_TIMEOUT)


def _sparse(terms: Mapping[str, float], build: Build, way: Way) -> legs.Body:
    if build.kind == SEISMIC:
        return seismic.query(terms, size=way.candidates)
    if not way.two_phase:
        return legs.sparse(terms, field_type=build.kind)
    return legs.sparse_in_two_phases(terms, share=way.two_phase, size=way.candidates, field_type=build.kind)


def _searched(connection: Connection, index: str, body: legs.Body) -> tuple[list[str], float | None]:
    request = Request.json("POST", f"/{quote(index, safe='')}/_search", body, timeout=SEARCH_TIMEOUT)
    begun = time.perf_counter()
    answer = connection.send(request)
    milliseconds = (time.perf_counter() - begun) * 1000
    hits = answer["hits"]["hits"]
    ranked = sorted(hits, key=lambda hit: -float(hit["_score"])) if "rescore" in body else hits
    return [legs.passage_id(hit) for hit in ranked], milliseconds
