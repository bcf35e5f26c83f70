"""An index that is copied into: new, or the unfinished copy of the very same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any
from urllib.parse import quote

import msgspec
import orjson

from hybrid_search.copying.index_origin import COPY, PASSAGES, stored_values
from hybrid_search.copying.stored import SPARSE_VECTOR, Compared, Origin, StoredPassage, differences, fitting, pages
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.layout import DENSE
from hybrid_search.engine.names import check_new_name
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.errors import IngestError
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.stages.body_size import BodySize
from hybrid_search.ingest.stages.send import Sender
from hybrid_search.ingest.state.cluster import IndexState, update_state
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.state.identity import journal_name
from hybrid_search.ingest.state.journal import Journal, Part
from hybrid_search.ingest.work import Action, Body
from hybrid_search.records import Document

PAGE = 500
"""Passages that are written, or compared, at once; fewer where a body would be too large."""

SHOWN = 5


class IndexTarget:
    """Writes a copy; see :func:`hybrid_search.copying.copy_index`.

    Raises:
        SettingsError: a name that no index can have.
        IngestError: there is an index of the name, and it is no unfinished copy of the same.
    """

    def __init__(self, connection: Connection, name: str, origin: Origin, retry: RetryPolicy | None = None) -> None:
        check_new_name(name)
        self._connection = connection
        self._name = name
        self._origin = origin
        self._bulks = origin.bulks()
        self._size = BodySize()
        self._sender = Sender(
            connection.transport,
            name,
            lambda _: None,
            size=self._size,
            policy=retry or RetryPolicy(),
            stopped=Event(),
        )
        self.schema, self.notes = fitting(origin.facts.schema, connection.dialect.engine, connection.dialect.version)
        self.where = f"{connection.where}/{name}"
        self._journal = state_folder() / journal_name(f"copy of {origin.where}", connection.where, name)

    @property
    def _mark(self) -> dict[str, Any]:
        """What tells that an index is the copy of this, as it is."""
        held = [[bulk.key, *bulk.held] for bulk in self._bulks]
        return {"of": self._origin.where, "held": _digest(held), "finished": False}

    def begin(self) -> bool:
        """Make the index, or go on with it; whether it is a copy that is whole already."""
        if not indices.exists(self._connection, self._name):
            self._make()
            return False
        said = indices.read_meta(self._connection, self._name).get(COPY)
        mark = self._mark
        if said is None or said.get("of") != mark["of"]:
            raise self._refused("is there already, and is no copy of it that was begun")
        if said.get("held") == mark["held"]:
            return bool(said.get("finished"))
        if said.get("finished"):
            raise self._refused("is an earlier copy of it, which has changed since")
        self.notes.append("the source has changed since the copy was begun, which is therefore begun anew")
        indices.delete_index(self._connection, self._name)
        self._make()
        return False

    def write(self) -> int:
        """Write what is not written; how many passages that were."""
        written = 0
        indices.update_settings(self._connection, self._name, {"index": {"refresh_interval": "-1"}})
        uuid = indices.read_settings(self._connection, self._name)["index.uuid"]
        parts = [Part(bulk.key, bulk.held, lambda held=bulk.held: str(held)) for bulk in self._bulks]  # type: ignore[misc]
        journal = Journal(self._journal, {"copy": self._mark, "into": uuid}, parts)
        try:
            for number, progress in enumerate(journal.progress):
                if not progress.is_complete:
                    written += self._write_bulk(number, journal)
        finally:
            journal.close()
        return written

    def _write_bulk(self, number: int, journal: Journal) -> int:
        """Write the rest of a bulk, settled page by page."""
        progress = journal.progress[number]
        journal.begun(number)
        first = end = progress.prefix
        for page in pages(self._origin.read(number, progress.resume), PAGE):
            self._send(page)
            journal.settled(end, end + len(page), page[-1].at, number)
            end += len(page)
        journal.ended(end, number)
        return end - first

    def finish(self) -> None:
        """Let it be found, with what its origin remembers of loads, and say that it is whole."""
        connection, facts = self._connection, self._origin.facts
        indices.update_settings(connection, self._name, {"index": {"refresh_interval": "1s"}})
        indices.refresh(connection, self._name)
        remembered = IndexState(last_load=facts.last_load, sources=facts.sources)
        update_state(connection, self._name, lambda _: remembered)
        indices.update_meta(connection, self._name, {COPY: {**self._mark, "finished": True}})
        self._journal.unlink(missing_ok=True)

    def compare(self, *, deep: bool) -> Compared:
        """The counts, and with ``deep`` every passage."""
        wanted = sum(bulk.passages for bulk in self._bulks)
        indices.refresh(self._connection, self._name)
        found = indices.count(self._connection, self._name, PASSAGES)
        wrong = [] if found == wanted else [f"{found:,} passages, not {wanted:,}"]
        if deep:
            for number in range(len(self._bulks)):
                for page in pages(self._origin.read(number), PAGE):
                    wrong += self._wrong(page)
        return Compared(wanted, tuple(wrong))

    def _wrong(self, page: Sequence[StoredPassage]) -> Iterator[str]:
        held = self._held([passage.id for passage in page])
        rounded = SPARSE_VECTOR in {self.schema.sparse_index, self._origin.facts.schema.sparse_index}
        for passage in page:
            if passage.id not in held:
                yield f"{passage.id} is missing"
            elif names := list(differences(passage, held[passage.id], rounded=rounded)):
                yield f"{passage.id} has another {', '.join(names)}"

    def _held(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        source = whole_source(self._connection.dialect)
        body = {"size": len(ids), "query": {"ids": {"values": list(ids)}}, "_source": source}
        request = Request.json("POST", f"/{quote(self._name, safe='')}/_search", body, timeout=120.0)
        hits = self._connection.send(request)["hits"]["hits"]
        return {hit["_id"]: stored_values(hit) for hit in hits}

    def _make(self) -> None:
        connection = self._connection
        indices.create_index(connection, self._name, self.schema, {**self._origin.facts.meta, COPY: self._mark})

    def _send(self, page: Sequence[StoredPassage]) -> None:
        dialect = self._connection.dialect
        actions = [Action(one.id, _lines(self._name, one, dialect), Document(one.id, "")) for one in page]
        settled = self._sender(Body(0, (), actions, sum(len(action.data) for action in actions), 0, frozenset()))
        if settled is not None and settled.refusals:
            first = settled.refusals[0]
            what = f"{len(settled.refusals)} passages are refused, the first: {first.item}: {first.reason}"
            raise IngestError(what, where=self.where, remedy="Remove the cause, then run the same command again")

    def _refused(self, what: str) -> IngestError:
        remedy = "Name another index for the copy, or delete that one: hybrid-search delete"
        return IngestError(f"the index {what}", where=self.where, remedy=remedy)


def _lines(index: str, passage: StoredPassage, dialect: Dialect) -> bytes:
    """Two lines that write a passage as it was written by its load; done again they change nothing."""
    version = {"version": passage.load, "version_type": "external_gte"}
    values = dict(passage.values)
    if values.get(DENSE) is not None:
        values[DENSE] = dialect.dense_value(values[DENSE])
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    action = {"index": {"_index": index, "_id": passage.id, **version}}
    return orjson.dumps(action, option=option) + orjson.dumps(values, option=option)


def _digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value), digest_size=16).hexdigest()
