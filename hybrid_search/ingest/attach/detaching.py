"""Taking away what :mod:`hybrid_search.ingest.attach.owned` has added to an index that somebody else owns.

Documents first, ``_meta`` last: killed at any point it is run again. A document is changed by the engine itself, over
the version that it then has, so that nothing that its owner writes meanwhile is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

import orjson

from hybrid_search.engine import indices, layout
from hybrid_search.engine.attached import ATTACHED_VERSION
from hybrid_search.engine.bulk import ItemOutcome
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.foreign import ForeignIndex, foreign_index
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.engine.templates import META
from hybrid_search.errors import IndexMismatchError, IngestError
from hybrid_search.ingest.attach.encoding import MISSING, send_lines
from hybrid_search.ingest.attach.scan import Hit, Wanted, documents
from hybrid_search.ingest.patience import RetryPolicy, patient

TOGETHER = 500
"""Documents that are changed with one request."""

CONFLICTS = 10
"""How often the engine tries anew where an owner writes the same document."""

ROUNDS = 100
"""How often it is looked whether another process goes on attaching meanwhile."""

_REMOVED = {
    "lang": "painless",
    "source": f"if (ctx._source.remove('{layout.ATTACHED}') == null) {{ ctx.op = 'none' }}",
}


@dataclass(slots=True)
class DetachReport:
    """What was taken away, and what an engine cannot take away.

    Attributes:
        index: where.
        cleared: documents from which our part was removed.
        left: fields that stay in the mapping, empty: no engine removes a field.
        keeps_null: whether documents keep our name with nothing under it, because the server runs no scripts.
        seconds: of all of it.
    """

    index: str
    cleared: int = 0
    left: list[str] = field(default_factory=list)
    keeps_null: bool = False
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def attached_count(connection: Connection, index: str) -> int:
    """How many documents of an index have our part."""
    found = checked_detachable(connection, index)
    indices.refresh(connection, found.name)
    return indices.count(connection, found.name, _having())


def detach(
    connection: Connection, index: str, *, progress: Callable[[DetachReport], None] | None = None
) -> DetachReport:
    """Remove our part from every document of an index, then what ``_meta`` says of it; run again, it goes on.

    Raises:
        IndexMismatchError: nothing is attached to it, or it is one of ours.
        IngestError: the engine refuses to change a document.
    """
    begun = time.monotonic()
    connection = patient(connection)
    found = checked_detachable(connection, index)
    report = DetachReport(found.name, keeps_null=not _has_scripts(connection.dialect))
    for _ in range(ROUNDS):
        _clear(connection, found, report, progress)
        indices.refresh(connection, found.name)
        if indices.count(connection, found.name, _having()) == 0:
            break
    else:
        raise IngestError("somebody goes on attaching", where=found.where, remedy="End that first, and run it again")
    _forget(connection, found.name)
    report.left = [path for path in found.fields if path.partition(".")[0] == layout.ATTACHED]
    report.seconds = time.monotonic() - begun
    return report


def checked_detachable(connection: Connection, index: str) -> ForeignIndex:
    """The index, which has something of ours and is another's.

    Raises:
        IndexMismatchError: it has not, or is one of ours.
    """
    found = foreign_index(connection, index)
    meta = found.meta.get(META) or {}
    if found.is_ours and meta.get("schema_version") != ATTACHED_VERSION:
        raise IndexMismatchError("this index was made by hybrid-search: there is nothing to detach", where=found.where)
    if not found.is_ours and layout.ATTACHED_PASSAGES not in found.fields:
        raise IndexMismatchError("nothing is attached to this index", where=found.where)
    return found


def _having() -> dict[str, Any]:
    return {"exists": {"field": layout.ATTACHED_MODELS}}


def _has_scripts(dialect: Dialect) -> bool:
    return dialect.painless if isinstance(dialect, ElasticsearchDialect) else True


def _clear(
    connection: Connection,
    found: ForeignIndex,
    report: DetachReport,
    progress: Callable[[DetachReport], None] | None,
) -> None:
    hits = documents(connection, found.name, found.shards, Wanted(_having(), source=False))
    while group := list(islice(hits, TOGETHER)):
        lines = {n: _line(found.name, hit, report) for n, hit in enumerate(group)}
        settled = send_lines(connection, lines, found.where, RetryPolicy())
        report.cleared += sum(one.cause is None for one in settled.values())
        _raise_if_refused(group, settled, found.where)
        if progress is not None:
            progress(report)


def _line(index: str, hit: Hit, report: DetachReport) -> bytes:
    target = {"_index": index, "_id": hit["_id"], "retry_on_conflict": CONFLICTS}
    if (routing := hit.get("_routing")) is not None:
        target["routing"] = routing
    change: dict[str, Any] = {"doc": {layout.ATTACHED: None}} if report.keeps_null else {"script": _REMOVED}
    return b"%s\n%s\n" % (orjson.dumps({"update": target}), orjson.dumps(change))


def _raise_if_refused(hits: Sequence[Hit], settled: Mapping[int, ItemOutcome], where: str) -> None:
    refused = [(hits[n]["_id"], one.cause) for n, one in settled.items() if one.cause and one.cause.type != MISSING]
    if refused:
        raise IngestError(
            f"the document {refused[0][0]!r} could not be changed: {refused[0][1]}",
            where=where,
            remedy="Remove the cause and run it again: what is done is left out",
        )


def _forget(connection: Connection, index: str) -> None:
    """Remove what ``_meta`` says of us; what its owner has there stays."""
    meta = connection.send(indices.opening(index))[index]["mappings"].get("_meta") or {}
    kept = {name: value for name, value in meta.items() if name != META}
    path = f"/{quote(index, safe='')}/_mapping"
    connection.send(Request.json("PUT", path, {"_meta": kept}, timeout=indices.ADMIN_TIMEOUT))
