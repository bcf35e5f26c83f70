"""A load that several processes do together: who has which splits of the source, kept in the index's state.

A process takes the lowest splits that nobody has, some 64 MiB at a time, and commits them when every document of them
is settled. What a process held that is not running any more (:mod:`hybrid_search.ingest.state.lease`) is free again.

The state stays small however many splits there are. As the lowest are taken first, what is committed are ranges with
gaps only where somebody holds something, or has died and nobody has come since: with ``n`` processes, each of which
holds at most :data:`MOST_HELD` ranges, at most ``n * MOST_HELD`` gaps. A range has some 20 bytes, a process 200.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from hybrid_search.engine.connection import Connection
from hybrid_search.errors import IngestError
from hybrid_search.ingest.state.cluster import IndexState, SharedLoad, TakenSplits, read_state, update_state
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.journal import Progress
from hybrid_search.ingest.state.lease import living_loads
from hybrid_search.records import ResumePoint

MOST_HELD = 4
"""Ranges that a process has taken and not committed: what it reads, and what is on its way to the engine."""

POLL = 1.0
"""Seconds between looks whether another process has committed, or ended."""

Range = tuple[int, int]


def free_range(shared: SharedLoad, living: Sequence[int], sizes: Sequence[int], most_bytes: int) -> Range | None:
    """The lowest splits that are neither committed nor held by one of the ``living`` loads, small ones together."""
    held = Intervals()
    for first, end in shared.committed:
        held.add(first, end)
    for taken in shared.taken:
        if taken.load in living:
            held.add(taken.first, taken.end)
    first = held.prefix
    if first >= shared.splits:
        return None
    most = next((begin for begin, _ in held if begin > first), shared.splits)
    end, length = first + 1, sizes[first]
    while end < most and length + sizes[end] <= most_bytes:
        length, end = length + sizes[end], end + 1
    return first, end


def with_taken(
    shared: SharedLoad, load: int, living: Sequence[int], sizes: Sequence[int], most_bytes: int
) -> SharedLoad:
    """The next free splits are held by ``load``; what those held that are not ``living`` is free."""
    taken = tuple(one for one in shared.taken if one.load in living)
    found = free_range(shared, living, sizes, most_bytes)
    more = () if found is None else (TakenSplits(load, *found),)
    return replace(shared, taken=(*taken, *more))


@dataclass(frozen=True, slots=True)
class Committed:
    """Splits of which every document is settled: their range and fingerprints; what they have, and what was taken."""

    range: Range
    content: int
    documents: int
    passages: int
    left_out: int = 0
    refused: int = 0


def with_committed(shared: SharedLoad, load: int, done: Sequence[Committed], *, uncertain: bool) -> SharedLoad:
    """What ``load`` holds of ``done`` is committed; what was given to another meanwhile is left to that one."""
    own = {(one.first, one.end) for one in shared.taken if one.load == load}
    mine = [one for one in done if one.range in own]
    committed = Intervals()
    for first, end in (*shared.committed, *(one.range for one in mine)):
        committed.add(first, end)
    content = int(shared.content, 16)
    for one in mine:
        content ^= one.content
    gone = {one.range for one in done}
    return replace(
        shared,
        taken=tuple(one for one in shared.taken if one.load != load or (one.first, one.end) not in gone),
        committed=tuple(committed),
        content=f"{content:x}",
        documents=shared.documents + sum(one.documents for one in mine),
        passages=shared.passages + sum(one.passages for one in mine),
        left_out=shared.left_out + sum(one.left_out for one in mine),
        refused=shared.refused + sum(one.refused for one in mine),
        uncertain=shared.uncertain or uncertain,
    )


class SharedSplits:
    """The splits that this process has of a load that several do together; what is settled of them is kept in memory.

    Attributes:
        progress: what is settled of each split that this process has taken.
        committed: how many splits this process has committed.
        load: the number of its load.
    """

    def __init__(
        self,
        connection: Connection,
        index: str,
        source: str,
        load: int,
        *,
        sizes: Sequence[int],
        most_bytes: int,
        fingerprint: Callable[[int], int],
        uncertain: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take part as the load of this number.

        Args:
            connection: the cluster.
            index: the index, no alias.
            source: the name of the source.
            load: the number of this process's load.
            sizes: the bytes of each split.
            most_bytes: how much is taken at a time, where splits are smaller than that.
            fingerprint: of the bytes of a split.
            uncertain: whether any document was refused or left out so far.
        """
        self.progress: defaultdict[int, Progress] = defaultdict(Progress)
        self.committed = 0
        self.loads: frozenset[int] = frozenset({load})
        self._connection = connection
        self._index = index
        self._source = source
        self.load = load
        self._sizes = sizes
        self._most_bytes = most_bytes
        self._fingerprint = fingerprint
        self._uncertain = uncertain
        self._aside: Counter[int] = Counter()
        self._refused: Counter[int] = Counter()
        self._held: dict[Range, int] = {}
        """With the fingerprint from before they were read."""
        self._joined: tuple[str, int] | None = None
        self._exchanging = threading.Lock()

    def join(self, wanted: SharedLoad, *, lost: bool = False) -> tuple[SharedLoad, str | None]:
        """Begin the load, or take part in the one that is there; it, and why an unfinished one was begun anew.

        ``lost`` says that the index has not all that others have committed.

        Raises:
            IngestError: the others load something else: another content, other settings or models.
        """
        why: list[str | None] = []
        ended: list[SharedLoad] = []

        def joined(state: IndexState) -> IndexState:
            ended[:] = self._ended_before(state, wanted)
            if ended:
                return state
            there = state.shared.get(self._source)
            others = any(number != self.load for number in self._together(state))
            difference = None if there is None else self._difference(there, wanted)
            if there is not None and not others:
                gone = lost or there.removals != wanted.removals
                difference = difference or ("what they have loaded is not all in the index" if gone else None)
            if difference is not None and others:
                raise IngestError(
                    f"other processes load {self._source!r} at this moment, and {difference}",
                    where=f"{self._connection.where}/{self._index}",
                    remedy="Run the same command on the same source and settings, or wait until they have ended",
                )
            why[:] = [difference]
            # Those that have begun and not joined yet will, with lower numbers than this one's perhaps.
            first = min([self.load, *self._together(state)])
            kept = replace(wanted, since=first) if there is None or difference is not None else there
            return replace(state, shared={**state.shared, self._source: kept})

        state = update_state(self._connection, self._index, joined)
        shared = ended[0] if ended else state.shared[self._source]
        self._joined = (shared.identity, shared.since)
        return shared, why[0] if why else None

    def numbers(self) -> Iterator[int]:
        """The numbers of splits, taken when they are asked for; it ends when nothing is free, or enough is held."""
        while len(self._held) < MOST_HELD or self._complete():
            found = self._exchange(take=True)
            if found is None:
                return
            yield from range(*found)

    def commit(self) -> None:
        """Commit what is complete."""
        if self._complete():
            self._exchange(take=False)

    def are_all_committed(self) -> bool:
        """Whether nothing is left to read of the source; also where another process has ended the load since."""
        state = read_state(self._connection, self._index)
        return self._was_ended(state) or self._known(state).is_committed

    def shared(self) -> SharedLoad:
        """The load as it is now.

        Raises:
            IngestError: it was begun anew by another process.
        """
        return self._known(read_state(self._connection, self._index))

    def may_finish(self) -> bool:
        """Whether this process ends the load, of which all is committed; nobody else does then."""

        def finishing(state: IndexState) -> IndexState:
            shared = state.shared.get(self._source)
            if shared is None or not shared.is_committed or shared.finisher in self._living(state):
                return state
            return replace(state, shared={**state.shared, self._source: replace(shared, finisher=self.load)})

        state = update_state(self._connection, self._index, finishing)
        shared = state.shared.get(self._source)
        return shared is not None and shared.finisher == self.load

    def wrote(self, load: int, passages: int, part: int) -> None:
        """The engine has taken passages of a split."""
        self.progress[part].passages[load] += passages

    def set_aside(self, part: int) -> None:
        """A document of a split is in no index: it counts among what is left out of the whole load."""
        self._aside[part] += 1

    def refuse(self, part: int, documents: int) -> None:
        """Documents of a split were refused."""
        self._refused[part] += documents

    def settled(self, first: int, end: int, at: ResumePoint | None, part: int) -> bool:
        """The documents ``first`` to ``end - 1`` of a split are settled; whether it is complete."""
        self.progress[part].settle(first, end, at)
        return self.progress[part].is_complete

    def ended(self, count: int, part: int, left_out: int) -> bool:
        """A split was read to its end: its documents, and the records left out; whether it is complete."""
        self.progress[part].end(count, left_out)
        return self.progress[part].is_complete

    def _complete(self) -> list[Range]:
        return [held for held in list(self._held) if all(self.progress[number].is_complete for number in range(*held))]

    def _exchange(self, *, take: bool) -> Range | None:
        """Commit what is complete, and take what is free, in one step."""
        with self._exchanging:
            return self._exchanged(take=take)

    def _exchanged(self, *, take: bool) -> Range | None:
        done = [self._counted(held) for held in self._complete()]
        uncertain = bool(done) and self._uncertain()
        taken: list[Range] = []

        def exchanged(state: IndexState) -> IndexState:
            if self._was_ended(state):
                return state
            shared = with_committed(self._known(state), self.load, done, uncertain=uncertain)
            taken.clear()
            if take:
                before, living = set(shared.taken), self._living(state)
                shared = with_taken(shared, self.load, living, self._sizes, self._most_bytes)
                taken.extend((one.first, one.end) for one in shared.taken if one not in before)
            return replace(state, shared={**state.shared, self._source: shared})

        update_state(self._connection, self._index, exchanged)
        for one in done:
            del self._held[one.range]
            self.committed += one.range[1] - one.range[0]
            for number in range(*one.range):
                self.progress.pop(number, None)
                self._aside.pop(number, None)
                self._refused.pop(number, None)
        if not taken:
            return None
        self._held[taken[0]] = self._content(taken[0])
        return taken[0]

    def _counted(self, numbers: Range) -> Committed:
        known = [self.progress[number] for number in range(*numbers)]
        documents = sum(progress.count or 0 for progress in known)
        passages, left_out = sum(one.passages.total() for one in known), sum(one.left_out for one in known)
        left_out += sum(self._aside[number] for number in range(*numbers))
        refused = sum(self._refused[number] for number in range(*numbers))
        return Committed(numbers, self._held[numbers], documents, passages, left_out, refused)

    def _content(self, numbers: Range) -> int:
        content = 0
        for number in range(*numbers):
            content ^= self._fingerprint(number)
        return content

    def _together(self, state: IndexState) -> list[int]:
        """The numbers of those that do the load at this moment."""
        running = living_loads(state).items()
        return [int(number) for number, load in running if load.joined and load.source == self._source]

    def _ended_before(self, state: IndexState, wanted: SharedLoad) -> list[SharedLoad]:
        """The load that others have done and ended between this one's beginning and its joining, if it is the same."""
        whole = state.sources.get(self._source)
        if whole is None or self.load > whole.last or whole.identity != wanted.identity:
            return []
        is_same = int(whole.content, 16) == self._content((0, wanted.splits))
        return [replace(wanted, since=whole.load)] if is_same else []

    def _difference(self, there: SharedLoad, wanted: SharedLoad) -> str | None:
        """Why what others have committed does not stand for this source; None where it does."""
        if there.identity != wanted.identity:
            return "the source, the settings, the models or the options differ"
        content = 0
        for numbers in there.committed:
            content ^= self._content(numbers)
        return None if content == int(there.content, 16) else "what they have read differs from this source"

    def _living(self, state: IndexState) -> list[int]:
        return [int(number) for number in living_loads(state)]

    def forget(self) -> None:
        """Take back what is committed: the next run begins anew."""

        def forgotten(state: IndexState) -> IndexState:
            return replace(state, shared={n: load for n, load in state.shared.items() if n != self._source})

        update_state(self._connection, self._index, forgotten)

    def _was_ended(self, state: IndexState) -> bool:
        """Whether another process has found everything committed, and ended the load."""
        whole, now = state.sources.get(self._source), state.shared.get(self._source)
        is_another = now is None or (now.identity, now.since) != self._joined
        return is_another and whole is not None and whole.load == self._since

    @property
    def _since(self) -> int:
        return 0 if self._joined is None else self._joined[1]

    def _known(self, state: IndexState) -> SharedLoad:
        shared = state.shared.get(self._source)
        if shared is None or (shared.identity, shared.since) != self._joined:
            raise IngestError(
                f"the load of {self._source!r} was begun anew by another process",
                where=f"{self._connection.where}/{self._index}",
                remedy="Run it again: what is loaded is left alone",
            )
        return shared
