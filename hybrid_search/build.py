"""A new index beside the live one: begun or continued, counted, and put in its place in one step.

How far it has come is kept in its own ``_meta`` (building, loaded, verified, measured, live, retired). It is continued
only where source, settings and models are those that it was begun with; what an interrupted build of anything else has
left is begun anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.protocols import Request
from hybrid_search.engine.templates import META
from hybrid_search.errors import IndexMismatchError, IngestError
from hybrid_search.ingest.maintain.remove import EVERYTHING, Limit
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.state.identity import source_identity
from hybrid_search.ingest.state.indexed import document_count, source_names
from hybrid_search.ingest.state.lease import is_loading, lives, process_here
from hybrid_search.ingest.target import opened_or_created, schema_of
from hybrid_search.read.indexed import is_index
from hybrid_search.read.splits import can_be_split
from hybrid_search.settings import Settings

BUILD = "build"
"""Name of the build's state in an index's ``_meta``."""

WAS_LIVE, REPLACED = "was_live", "replaced"
"""Names in an index's ``_meta``: whether an alias ever stood for it, and for which index before."""


class Stage(StrEnum):
    """How far a build has come."""

    BUILDING = "building"
    LOADED = "loaded"
    VERIFIED = "verified"
    MEASURED = "measured"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Version:
    """One index of a name: ``docs-2`` of ``docs``. ``stage`` is None where release 0.1 built it.

    ``has_alias`` says whether some alias stands for it: then somebody is served by it.
    """

    index: str
    number: int
    stage: Stage | None
    was_live: bool
    has_alias: bool


def live_index(connection: Connection, alias: str) -> str | None:
    """The one index that the alias stands for, None where there is no such alias.

    Raises:
        IndexMismatchError: the alias stands for several, or the name is that of an index.
    """
    behind = indices.aliased(connection, alias)
    if len(behind) > 1:
        raise IndexMismatchError(f"the alias stands for several indices: {', '.join(behind)}", where=alias)
    if not behind and indices.exists(connection, alias):
        raise IndexMismatchError(
            "this is an index and no alias, so nothing can take its place unnoticed",
            where=f"{connection.where}/{alias}",
            remedy="Let readers search a new name, reindexed; or replace this one: hybrid-search index --recreate",
        )
    return behind[0] if behind else None


def versions(connection: Connection, name: str) -> list[Version]:
    """The indices ``name-n`` that were built to stand behind an alias, oldest first; no others of such a name."""
    answer: Mapping[str, Any] = connection.send(
        Request.json("GET", f"/{quote(name, safe='')}-*", allow_no_indices="true", expand_wildcards="all")
    )
    found = []
    for index, content in answer.items():
        number = re.fullmatch(rf"{re.escape(name)}-(\d+)", index)
        meta = content["mappings"].get("_meta", {}).get(META)
        if number and meta is not None:
            stage = meta.get(BUILD, {}).get("stage")
            was_live = bool(meta.get(WAS_LIVE))
            if stage is not None or was_live:
                found.append(
                    Version(index, int(number[1]), stage and Stage(stage), was_live, bool(content.get("aliases")))
                )
    return sorted(found, key=lambda version: version.number)


def build_identity(source: str | Path, encoder: TextEncoder, settings: Settings) -> str | None:
    """What makes two builds the same: source, settings and models; None for a stream and for an index."""
    if not can_be_split(source) or is_index(source):
        return None
    content = {
        "source": source_identity(Path(source)),
        "documents": settings.documents,
        "chunking": settings.chunking,
        "text": settings.text,
        "schema": schema_of(encoder, settings),
    }
    return hashlib.blake2b(msgspec.json.encode(content, order="deterministic"), digest_size=16).hexdigest()


def begin(
    connection: Connection,
    name: str,
    live: str | None,
    *,
    source: str | Path,
    encoder: TextEncoder,
    settings: Settings,
    retry: RetryPolicy | None = None,
) -> OpenedIndex:
    """The next index of ``name``: new, or the unfinished one of the very same build.

    Raises:
        IngestError: the unfinished one is being loaded at this moment.
        IndexMismatchError: an alias of the live index has a filter that would find nothing in a new one.
    """
    if live is not None:
        check_filters(connection, live)
    identity = build_identity(source, encoder, settings)
    known = versions(connection, name)
    unfinished = [version for version in known if not (version.was_live or version.has_alias)]
    for version in unfinished:
        meta = indices.read_meta(connection, version.index)[BUILD]
        if identity is not None and meta.get("identity") == identity:
            _check_unowned(connection, version.index)
            mark(connection, version.index, Stage.BUILDING)
            return opened_or_created(connection, version.index, encoder, settings, retry)
    for version in unfinished:
        _discard(connection, version.index)
    index = f"{name}-{_next_number(connection, name, known, live)}"
    opened = opened_or_created(connection, index, encoder, settings, retry)
    mark(connection, index, Stage.BUILDING, identity=identity)
    return opened


def mark(connection: Connection, index: str, stage: Stage, **more: Any) -> None:
    """Note how far the build of an index has come, and that this process is at it.

    Of two that began at once the lease lets one load; the other's name goes when that one has loaded.
    """
    known = indices.read_meta(connection, index).get(BUILD, {})
    told = {**known, "owner": process_here(), **more, "stage": stage.value}
    indices.update_meta(connection, index, {BUILD: told})


def check_count(connection: Connection, live: str, new: str, limit: Limit) -> None:
    """Refuse a new index that lacks more documents of the live one than may go, or all of a source.

    Raises:
        IngestError: with both counts, or the names of the sources.
    """
    _check_sources(connection, live, new, limit)
    before, after = _documents(connection, live), document_count(connection, new)
    if not limit.allows(max(0, before - after), before):
        raise IngestError(
            f"the new index has {after:,} documents, {live} has {before:,}: {before - after:,} fewer, more than"
            f" {limit}. {live} goes on serving",
            where=f"{connection.where}/{new}",
            remedy="Check that the source is whole; to take its place all the same: --max-removed N, or all",
        )


def _check_sources(connection: Connection, live: str, new: str, limit: Limit) -> None:
    """A rebuild reads one source: what others have put into the live index would be gone, however little it is."""
    sources = source_names(connection, live)
    if len(sources) > 1 and limit != EVERYTHING:
        raise IngestError(
            f"{live} holds documents of {len(sources)} sources ({', '.join(sources)}), {new} of one."
            f" {live} goes on serving",
            where=f"{connection.where}/{new}",
            remedy="Load all from one folder; or let the others go with --max-removed all, and load them after it",
        )


def take_place(connection: Connection, alias: str, live: str | None, new: str) -> None:
    """Let the alias stand for the new index, and note what it stood for before."""
    indices.update_meta(connection, new, {WAS_LIVE: True, REPLACED: live})
    indices.point_alias(connection, alias, new)
    mark(connection, new, Stage.LIVE)
    if live is not None and live != new and BUILD in indices.read_meta(connection, live):
        mark(connection, live, Stage.RETIRED)


def check_idle(connection: Connection, live: str) -> None:
    """Refuse to replace an index that somebody is loading: what they write would not be in the new one.

    Raises:
        IngestError: a load is running.
    """
    if is_loading(connection, live):
        raise IngestError(
            f"{live} is being loaded at this moment, and what is written now would not be in the new index",
            where=f"{connection.where}/{live}",
            remedy="Wait until that load has ended",
        )


def check_filters(connection: Connection, live: str) -> None:
    """Refuse, before anything is built, aliases whose filters would find nothing in a new index.

    Release 0.1 kept what is filtered on under ``fields``, where a new index keeps it under ``filter``.

    Raises:
        IndexMismatchError: with the alias.
    """
    answer = connection.send(Request.json("GET", f"/{quote(live, safe='')}/_alias"))
    for alias, properties in answer.get(live, {}).get("aliases", {}).items():
        written = msgspec.json.encode(properties.get("filter"))
        if b'"fields.' in written and b'"filter.' not in written:
            raise IndexMismatchError(
                f"the alias {alias} has a filter on fields.*, which a new index holds under filter.*:"
                " through it nothing would be found",
                where=f"{connection.where}/{live}",
                remedy="Give the alias a filter on filter.* or fields.*, whichever matches, then run it again",
            )


def _documents(connection: Connection, index: str) -> int:
    """Documents of an index; of one that this package did not make, what the engine counts."""
    ours = bool(indices.read_meta(connection, index))
    return document_count(connection, index) if ours else indices.count(connection, index, {"match_all": {}})


def _discard(connection: Connection, index: str) -> None:
    """Delete what an interrupted build has left, unless somebody is at it, or served by it."""
    _check_unowned(connection, index)
    indices.delete_index(connection, index)


def _check_unowned(connection: Connection, index: str) -> None:
    if is_worked_on(connection, index):
        raise IngestError(
            "this index is being built at this moment",
            where=f"{connection.where}/{index}",
            remedy="Wait until that has ended",
        )


def is_worked_on(connection: Connection, index: str) -> bool:
    """Whether somebody loads the index, or another process of this machine verifies or measures it without a lease."""
    owner = indices.read_meta(connection, index).get(BUILD, {}).get("owner")
    is_owned = owner is not None and owner != process_here() and lives(**owner)
    return is_owned or is_loading(connection, index)


def _next_number(connection: Connection, name: str, known: list[Version], live: str | None) -> int:
    """After the live one and after all that were live; also after indices of that name that others made."""
    numbered = re.fullmatch(rf"{re.escape(name)}-(\d+)", live or "")
    used = [version.number for version in known if version.was_live or version.stage is None]
    number = max([int(numbered[1]) if numbered else 0, *used]) + 1
    while indices.exists(connection, f"{name}-{number}"):
        number += 1
    return number
