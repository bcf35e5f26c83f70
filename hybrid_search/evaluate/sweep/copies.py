"""Copies of a sample, each built in one way: named recognisably, and deleted whatever happens."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import psutil

from hybrid_search.engine import indices
from hybrid_search.engine.bulk import bulk_request, index_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RequestRefusedError
from hybrid_search.evaluate.sweep import seismic
from hybrid_search.evaluate.sweep.options import SEISMIC, Build
from hybrid_search.evaluate.sweep.vectors import Sample
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Leg, Passage, SparseVector

PREFIX = "hybrid-search-sweep-"
"""Of the names of copies."""

OWNER = "sweep"
"""Of the mapping's ``_meta``: which process made the copy."""

BATCH_BYTES = 4 * 1024 * 1024
"""Of a bulk request: below a tenth of the smallest usual heap, above which an engine refuses one for ever."""

MERGE_TIMEOUT = 3600.0
"""Seconds for a graph over the whole sample."""

PATIENCE = 2.0
"""Seconds in which an index is made whose request was interrupted."""

GRAPH_AT_ONCE_SINCE = (2, 18, 0)
"""From here on OpenSearch builds no faiss graph for a small segment unless it is told to."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy as it is: its index, the bytes it takes on disk, and the seconds that it took to build."""

    index: str
    disk: int
    seconds: float


@contextmanager
def copied(connection: Connection, name: str, schema: IndexSchema, sample: Sample, build: Build) -> Iterator[Copy]:
    """A copy of the sample that holds the vectors of one leg, merged to one segment a shard; gone after the block.

    Raises:
        UnsupportedError: this version has no such kind.
        RequestRefusedError: the engine refuses the mapping or a passage: a licence, a dimension, a missing library.
    """
    index = _new_name(name)
    try:
        begun = time.perf_counter()
        _create(connection, index, _schema(schema, build), sample, build)
        own(connection, index)
        _write(connection, index, _schema(schema, build), sample, build)
        merged(connection, index)
        seconds = time.perf_counter() - begun
        yield Copy(index, disk_of(connection, index), seconds)
    finally:
        _remove(connection, index)


def own(connection: Connection, index: str) -> None:
    """Write into a copy which process made it."""
    process = psutil.Process()
    owner = {"place": _place(), "pid": process.pid, "born": process.create_time()}
    known = connection.send(indices.opening(index))[index]["mappings"].get("_meta", {})
    meta = {"_meta": {**known, OWNER: owner}}
    connection.send(Request.json("PUT", f"/{quote(index, safe='')}/_mapping", meta, timeout=indices.ADMIN_TIMEOUT))


def _place() -> str:
    """Where process ids are those of this process: the machine, and on Linux the container."""
    try:
        return f"{platform.node()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Copies that are there when a sweep begins: those of processes of this place that are gone, and all others."""

    removed: list[str]
    kept: list[str]


def clear_leftovers(connection: Connection) -> Leftovers:
    """Remove the copies whose process was killed here; another's may be of a sweep that runs now, and stays."""
    answer = connection.send(Request.json("GET", f"/{PREFIX}*/_mapping", filter_path="*.mappings._meta"))
    every = connection.send(Request.json("GET", f"/{PREFIX}*/_settings", filter_path="*.settings.index.uuid"))
    owners = {name: one["mappings"]["_meta"].get(OWNER, {}) for name, one in answer.items()}
    gone = [name for name in sorted(every) if _is_gone(owners.get(name, {}))]
    for name in gone:
        _remove(connection, name)
    return Leftovers(gone, [name for name in sorted(every) if name not in gone])


def _is_gone(owner: Mapping[str, Any]) -> bool:
    if owner.get("place") != _place():
        return False
    try:
        process = psutil.Process(owner["pid"])
        return bool(abs(process.create_time() - owner["born"]) > 1 or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _new_name(name: str) -> str:
    readable = re.sub(r"[^a-z0-9_-]+", "-", name.lower())[:100]
    return f"{PREFIX}{readable}-{token_hex(4)}"


def _schema(schema: IndexSchema, build: Build) -> IndexSchema:
    """That of the index with one leg, without fields and without replicas."""
    bare = IndexSchema(dense=None, sparse=None, shards=schema.shards, replicas=0)
    if build.leg == Leg.SPARSE:
        return replace(bare, sparse=schema.sparse, sparse_index=build.kind if build.can_be_set else bare.sparse_index)
    dense = replace(bare, dense=schema.dense, dense_index=build.kind)
    if build.m is None or build.ef_construction is None:
        return dense
    return replace(dense, hnsw_m=build.m, hnsw_ef_construction=build.ef_construction)


def _create(connection: Connection, index: str, schema: IndexSchema, sample: Sample, build: Build) -> None:
    if build.kind == SEISMIC:
        seismic.create(connection, index, schema, sample)
    else:
        indices.create_index(connection, index, schema)
    settings = {"index": {"refresh_interval": "-1"}}
    dialect = connection.dialect
    if schema.dense is not None and dialect.engine == "opensearch" and dialect.version >= GRAPH_AT_ONCE_SINCE:
        settings["index"]["knn.advanced.approximate_threshold"] = "0"
    indices.update_settings(connection, index, settings)


def _write(connection: Connection, index: str, schema: IndexSchema, sample: Sample, build: Build) -> None:
    lines: list[bytes] = []
    for row, (document, number) in enumerate(sample.ids):
        dense = None if build.leg != Leg.DENSE or sample.dense is None else sample.dense[row]
        sparse = None if build.leg != Leg.SPARSE or sample.sparse is None else pruned(sample.sparse[row], build)
        passage = EncodedPassage(Passage(Document(document, ""), number, 0, 0), dense, sparse or None)
        lines.append(index_action(index, passage, connection.dialect, schema))
        if sum(map(len, lines)) >= BATCH_BYTES:
            _send(connection, lines)
            lines = []
    if lines:
        _send(connection, lines)


def pruned(vector: SparseVector, build: Build) -> SparseVector:
    """The terms that weigh at least the build's share of the heaviest, as ``sparse.min_share`` keeps them."""
    least = build.min_share * max(vector.values(), default=0.0)
    return {term: weight for term, weight in vector.items() if weight >= least}


def _send(connection: Connection, lines: list[bytes]) -> None:
    answer = connection.send(bulk_request(b"".join(lines), timeout=MERGE_TIMEOUT))
    cause = next((item.cause for item in outcomes(answer) if item.cause is not None), None)
    if cause is not None:
        raise RequestRefusedError(f"the engine refuses a passage: {cause}", where=connection.where)


def merged(connection: Connection, index: str) -> None:
    """Let a copy be one segment a shard, written to disk."""
    path = f"/{quote(index, safe='')}"
    indices.refresh(connection, index)
    connection.send(Request.json("POST", f"{path}/_forcemerge", timeout=MERGE_TIMEOUT, max_num_segments="1"))
    indices.refresh(connection, index)
    connection.send(Request.json("POST", f"{path}/_flush", timeout=MERGE_TIMEOUT))


def disk_of(connection: Connection, index: str) -> int:
    """Bytes of an index on disk, without replicas."""
    answer = connection.send(Request.json("GET", f"/{quote(index, safe='')}/_stats/store"))
    return int(answer["_all"]["primaries"]["store"]["size_in_bytes"])


def _remove(connection: Connection, index: str) -> None:
    """Also where it was never made; where its making was interrupted, the engine may still be at it."""
    gone = Request.json("DELETE", f"/{quote(index, safe='')}", timeout=indices.ADMIN_TIMEOUT)
    if connection.transport.send(gone).status == 404:
        time.sleep(PATIENCE)
        connection.transport.send(gone)
