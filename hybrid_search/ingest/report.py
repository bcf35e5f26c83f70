"""What a load did, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hybrid_search.ingest.work import Refusal

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far a load has come. ``documents`` counts every document that is settled, whatever became of it.

    ``waiting`` says why nothing moves at the moment (the engine is overloaded, unreachable, read-only). ``expected`` is
    about how many documents it will be in the end, by the bytes that were read so far; None where that is not known.
    ``busy`` are the seconds in which each stage has worked, ``queued`` what waits behind each for the next one,
    ``slowed`` the refusals in a row for which senders slow down at the moment, ``workers`` how many processes it is of.
    """

    documents: int
    passages: int
    refused: int
    waiting: str | None = None
    expected: int | None = None
    busy: Mapping[str, float] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=dict)
    slowed: int = 0
    workers: int = 1


def progress_of_all(told: Sequence[IngestProgress]) -> IngestProgress:
    """The progress of processes that share a load; how many documents there will be is not known to any of them."""
    return IngestProgress(
        documents=sum(one.documents for one in told),
        passages=sum(one.passages for one in told),
        refused=sum(one.refused for one in told),
        waiting=next((one.waiting for one in told if one.waiting), None),
        busy=_sums(one.busy for one in told),
        queued=_sums(one.queued for one in told),
        slowed=max((one.slowed for one in told), default=0),
        workers=sum(one.workers for one in told),
    )


def _sums(given: Iterable[Mapping[str, N]]) -> dict[str, N]:
    found: dict[str, N] = {}
    for one in given:
        for name, value in one.items():
            found[name] = found[name] + value if name in found else value
    return found


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of every document of a source.

    Attributes:
        index: the index.
        documents: settled by this run: indexed + unchanged + refused + skipped.
        indexed: whose passages are all in the index now because they were sent.
        unchanged: found in the index with the same content, and not sent.
        resumed: settled by an earlier run, according to the journal, and left alone.
        skipped: records that never became documents: bad ones (``--skip-bad``), and those without text.
        refused: documents of which at least one passage was refused.
        passages: passages that the engine took.
        removed: stale passages that were deleted, and those that the source no longer has.
        superseded: passages that a newer load has written meanwhile, and that were left as they are.
        bytes: size of all bodies that were sent, in bytes, repetitions included.
        retried: passages that were sent again.
        encoded: passages whose vectors were computed; the others carried them or came from the cache.
        wall: seconds from the first to the last step.
        busy: seconds in which each stage worked.
        refusals: the first refusals; all of them are in the dead-letter file.
        dead_letters: that file, where there is one.
        notes: what the user should know: a load that was started over, settings that were restored.
        excess: why too many records were left out (``--max-bad``), a sentence; None where no more were than may be.
        withheld: why documents that the source does not have were not removed, a sentence; None where none were kept.
        source: the name of the source.
        load: the number of the load.
        workers: the processes that it was shared by.
        refused_in_all: documents of a load that several did which were refused, whoever had them, those of earlier runs
            and of processes that died too; None of one that did not end such a load.
    """

    index: str
    documents: int = 0
    indexed: int = 0
    unchanged: int = 0
    resumed: int = 0
    skipped: int = 0
    refused: int = 0
    passages: int = 0
    removed: int = 0
    superseded: int = 0
    bytes: int = 0
    retried: int = 0
    encoded: int = 0
    wall: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()
    dead_letters: Path | None = None
    notes: Sequence[str] = ()
    excess: str | None = None
    withheld: str | None = None
    source: str = ""
    load: int = 0
    workers: int = 1
    refused_in_all: int | None = None

    @property
    def documents_per_second(self) -> float:
        """Documents of this run per second of wall time."""
        return self.documents / self.wall if self.wall > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values, the refusals with ids and reasons but without their documents."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "refusals"}
        plain["busy"] = {stage: round(seconds, 3) for stage, seconds in self.busy.items()}
        plain["wall"] = round(self.wall, 3)
        plain["documents_per_second"] = round(self.documents_per_second, 1)
        plain["dead_letters"] = None if self.dead_letters is None else str(self.dead_letters)
        plain["refusals"] = [refusal.as_json() for refusal in self.refusals]
        return plain
