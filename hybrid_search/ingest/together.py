"""One load by several processes, on one machine or many: each takes splits that no other has, the last one ends it.

What a process that died had taken is taken by another, which finds loaded what that one has sent. Two documents of one
id may be read by two processes, so that neither sees it: where the counts at the end do not show that every document is
there once, the process that ends the load reads the ids of the whole source again. So it does for a sync, rather than
removing what has an older load number: then every unchanged passage would have to be written again to get the new one,
which costs an engine some twenty times what reading it costs.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.layout import LOAD, SOURCE
from hybrid_search.errors import IngestError, RecordError, counted
from hybrid_search.ingest.load import Load, Since
from hybrid_search.ingest.maintain.remove import EVERYTHING, Limit
from hybrid_search.ingest.one_pace import OnePace
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.reading import Splits
from hybrid_search.ingest.state.cluster import SharedLoad, read_state
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.ingest.state.lease import Lease
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.state.sharing import POLL, SharedSplits
from hybrid_search.records import Document


@dataclass(slots=True)
class Together:
    """The part of this process in a load.

    Attributes:
        load: the load, of which this process does a part.
        lease: its hold on the index.
        splits: those that this process takes.
        reading: reads them.
        again: gives all documents of the source, for their ids.
        place: where the source is read from.
    """

    load: Load
    lease: Lease
    splits: SharedSplits
    reading: Splits
    again: Callable[[], Iterator[Document]]
    place: str
    _ended: SharedLoad | None = None

    def run(self, shared: SharedLoad) -> list[str]:
        """Take splits and load them until all are committed, then end the load unless another does; notes."""
        began = time.perf_counter()
        self.load.ledger.load = self.lease.load
        with SourceIds() as seen, self._pace(shared).kept():
            while not self._pass(seen, Since(shared.since)):
                self.lease.check()
                self.load.ledger.waiting("waits for other processes")
                time.sleep(random.uniform(0.5, 1.5) * POLL)  # noqa: S311  # no secret
        ends = self.splits.may_finish()
        if ends:
            self._end()
        self.load.took(self.reading, began)
        share = f"this process loaded {self.splits.committed:,} of {shared.splits:,} splits of the source"
        return [f"{share}, and ended the load" if ends else f"{share}; another process ends the load"]

    def _pace(self, shared: SharedLoad) -> OnePace:
        load, seen = self.load, shared.pushed_back
        return OnePace(
            load.connection, load.index.name, load.source.name, self.lease.load, load.options.pace, seen=seen
        )

    @property
    def counts(self) -> tuple[int, int | None]:
        """Records left out and documents, of the whole load where this process has ended it; else its own, and None."""
        whole = self._ended
        return (self.reading.left_out, None) if whole is None else (whole.left_out, whole.documents)

    @property
    def refused(self) -> int | None:
        """Documents of the whole load that were refused, where this process has ended it."""
        return None if self._ended is None else self._ended.refused

    def judged(self, most: Limit) -> Limit:
        """The most records that may be left out: who ends the load judges the whole, and the others nothing."""
        return EVERYTHING if self._ended is None else most

    def _pass(self, seen: SourceIds, since: Since) -> bool:
        """Load what is free; whether there was nothing left of the source."""
        while (first := next(numbers := self.splits.numbers(), None)) is not None:
            self.load.pass_through(self.reading.batches(seen.add, chain([first], numbers)), self.lease, seen, since)
            self.splits.commit()
        return self.splits.are_all_committed()

    def _end(self) -> None:
        """Remove what the source does not have, if asked, and see that every document is there once."""
        load = self.load
        connection = patient(load.connection, load.options.retry, load.ledger.waiting)
        shared = self.splits.shared()
        indices.refresh(connection, load.index.name)
        there = document_count(connection, load.index.name, load.source.name)
        is_certain = not (shared.before or shared.uncertain) and there == shared.documents
        load.documents = shared.documents
        if load.source.sync is not None or not is_certain:
            with SourceIds() as ids:
                self._read_ids(ids)
                if there < shared.documents and not shared.uncertain:
                    raise self._lost(shared.documents - there)
                if load.source.sync is not None:
                    load.remove_missing(connection, load.source.sync, ids)
        self.lease.read_whole(self.place, shared.documents, since=shared.since)
        self._ended = shared

    def _lost(self, documents: int) -> IngestError:
        """Somebody has deleted what was committed: nothing of it is believed any more."""
        self.splits.forget()
        were = counted(documents, "document that was settled is", "documents that were settled are")
        remedy = "Run it again: what is missing is loaded"
        return IngestError(f"{were} not in the index any more", where=self.load.index.where, remedy=remedy)

    def _read_ids(self, ids: SourceIds) -> None:
        for document in self.again():
            if not ids.add(document.id):
                first = next((one.origin for one in self.again() if one.id == document.id), None)
                raise RecordError(
                    f"the id {document.id!r} is given twice, first at {first}: chance decided which is in the index",
                    where=document.origin,
                    remedy="Give every document its own id, and run it again",
                )


def joined(load: Load, splits: SharedSplits, identity: str, count: int) -> tuple[SharedLoad, list[str]]:
    """Begin a load of so many splits, or take part in one that is begun and whose passages are there; and notes."""
    connection, index, source = patient(load.connection, load.options.retry), load.index.name, load.source.name
    state = read_state(connection, index)
    there = state.shared.get(source)
    lost = there is not None and lost_passages(connection, index, source, there)
    indices.refresh(connection, index)
    before = document_count(connection, index, source)
    wanted = SharedLoad(identity, count, splits.load, state.removals, before)
    shared, changed = splits.join(wanted, lost=lost)
    if changed is not None:
        return shared, [f"changed since an unfinished load, which starts over: {changed}"]
    done = sum(end - first for first, end in shared.committed)
    return shared, [f"takes part in a load: {done:,} of {count:,} splits are settled already"] if done else []


def number_of(text: str) -> int:
    """128 bits that stand for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def lost_passages(connection: Connection, index: str, source: str, shared: SharedLoad) -> bool:
    """Whether the index has fewer passages than the splits that others have committed."""
    indices.refresh(connection, index)
    written = [{"term": {SOURCE: source}}, {"range": {LOAD: {"gte": shared.since}}}]
    return indices.count(connection, index, {"bool": {"filter": written}}) < shared.passages
