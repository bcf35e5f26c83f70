"""What watches over workers, wherever they run: their messages, their number, one back-off, one report.

    a place (processes of this machine, Ray) starts workers and carries messages; nothing else is different

A worker that dies loses nothing: others take what it had, and another takes its place, with the models in a process
apart (:mod:`hybrid_search.scale.apart`), for a document may have been the reason.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Protocol

from hybrid_search.errors import IngestError
from hybrid_search.ingest.pace import Refused
from hybrid_search.ingest.report import IngestProgress, IngestReport, progress_of_all
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.scale.letters import is_empty, together_in_one
from hybrid_search.scale.work import Begun, Ended, Failed, Message, Share, numbered

OnProgress = Callable[[IngestProgress], None]
AGAIN = "Run the same command again: it goes on where they stopped"
NOT_SUMMED = ("load", "skipped")
COUNTS = tuple(field.name for field in fields(IngestReport) if field.type == "int" and field.name not in NOT_SUMMED)
"""Numbers of a report that are summed over workers."""
DEATHS = 3
"""How many deaths are borne for each worker that there may be: each may die of the first documents, and each once more
of others; then it is the machine, or the model."""


class Place(Protocol):
    """Where workers run."""

    def start(self, share: Share) -> str:
        """Start a worker; the name by which it is known from then on."""
        ...

    def news(self) -> Sequence[tuple[str, Message]]:
        """Messages of workers by their names, in order; waits for some, but not for long."""
        ...

    def slow_down(self, name: str, said: Refused) -> None:
        """Let the senders of a worker wait as others do."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many workers there are: ``least`` from the beginning, more up to ``most`` while splits wait for them."""

    least: int
    most: int


@dataclass(slots=True)
class Worker:
    """A worker, and what it has told so far."""

    name: str
    number: int
    progress: IngestProgress | None = None
    report: IngestReport | None = None
    failure: str | None = None
    ended: Ended | None = None
    letters: Path | None = None


@dataclass(slots=True)
class Crew:
    """The workers of one load.

    Attributes:
        place: where they run.
        share: what they load.
        bounds: how many there are.
        progress: is told of all of them together.
        waiting: says whether splits wait for a worker.
        workers: those that were started, in order.
    """

    place: Place
    share: Share
    bounds: Bounds
    progress: OnProgress
    waiting: Callable[[], bool] = lambda: False
    workers: list[Worker] = field(default_factory=list)
    _deaths: int = 0

    def run(self) -> IngestReport:
        """Start them and hear them to their ends; the report is theirs together.

        Raises:
            IngestError: a worker failed, or all of them died; the load goes on with the same command.
        """
        began = time.perf_counter()
        for number in range(self.bounds.least):
            self._start(number)
        while self._living():
            for name, message in self.place.news():
                self._hear(next(worker for worker in self.workers if worker.name == name), message)
            if told := [one.progress for one in self.workers if one.progress is not None]:
                self.progress(progress_of_all(told))
            if self._may_grow() and self.waiting():
                self._start(len({worker.number for worker in self.workers}))
        return together(self.workers, self.share, time.perf_counter() - began)

    def _start(self, number: int) -> None:
        share = replace(self.share.of(number), careful=self._deaths > 0)
        self.workers.append(Worker(self.place.start(share), number))

    def _living(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.ended is None]

    def _may_grow(self) -> bool:
        """Whether there is room for one more; those that were started last have begun to load by then."""
        living = self._living()
        return 0 < len(living) < self.bounds.most and all(worker.progress is not None for worker in living)

    def _hear(self, worker: Worker, message: Message) -> None:
        match message:
            case Begun():
                worker.letters = message.letters
            case IngestProgress():
                worker.progress = message
            case IngestReport():
                worker.report = message
            case Failed():
                worker.failure = message.why
            case Refused():
                for other in self._living():
                    if other is not worker:
                        self.place.slow_down(other.name, message)
            case Ended():
                worker.ended = message
                if worker.progress is not None:  # it waits for nothing any more
                    worker.progress = replace(worker.progress, waiting=None, queued={}, slowed=0, workers=0)
                self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        """Another takes the place of one that died, and its files, unless so many have died."""
        if worker.report is not None or worker.failure is not None or worker.ended == Ended():
            return
        self._deaths += 1
        if self._deaths <= DEATHS * self.bounds.most:
            self._start(worker.number)


def together(workers: Sequence[Worker], share: Share, wall: float) -> IngestReport:
    """One report; raises where a worker failed or none came to an end."""
    reports = [worker.report for worker in workers if worker.report is not None]
    failures = [worker.failure for worker in workers if worker.failure is not None]
    if failures:
        raise IngestError(f"a worker failed: {failures[0]}", where=share.index, remedy=AGAIN)
    if not reports:
        died = [worker.ended.died for worker in workers if worker.ended is not None and worker.ended.died]
        last = f", the last {died[-1]}" if died else ""
        raise IngestError(f"all workers died{last}", where=share.index, remedy=AGAIN)
    letters, bad = _letters(workers, share.files.dead_letters), _bad_records(workers, share)
    counts = {name: sum(getattr(report, name) for report in reports) for name in COUNTS}
    skipped = max(report.skipped for report in reports)  # who ends the load has counted those of all
    refused = max(counts["refused"], *(report.refused_in_all or 0 for report in reports))
    return replace(
        reports[0],
        **{**counts, "refused": refused},
        skipped=skipped,
        wall=wall,
        busy=dict(_added(report.busy for report in reports)),
        refusals=tuple(refusal for report in reports for refusal in report.refusals),
        dead_letters=letters[0] if letters else reports[0].dead_letters,
        notes=(
            *_died(workers),
            *_elsewhere(letters, bad if skipped else []),
            *_unheard(refused - counts["refused"], share.index),
            *dict.fromkeys(note for one in reports for note in one.notes),
        ),
        excess=next((report.excess for report in reports if report.excess), None),
        withheld=next((report.withheld for report in reports if report.withheld), None),
    )


def _letters(workers: Sequence[Worker], named: Path | None) -> list[Path]:
    """The file of all dead letters here, and those that are elsewhere; of workers that died, what is here."""
    found = []
    for worker in workers:
        refused = worker.report is not None and worker.report.refused > 0
        if worker.letters is not None and worker.letters.exists():
            if is_empty(worker.letters):
                worker.letters.unlink()
                continue
            found.append(worker.letters)
        elif refused and worker.letters is not None:
            found.append(worker.letters)
    return together_in_one(found, named)


def _elsewhere(letters: Sequence[Path], bad: Sequence[Path]) -> Iterator[str]:
    """Notes on files that are on other machines."""
    for path in letters:
        if not path.exists():
            yield f"refused documents are also in {path}, on the machine of their worker: replay them there"
    for path in bad:
        if not path.exists():
            yield f"records that were left out are also in {path}, on the machine of their worker"


def _unheard(count: int, index: str) -> Iterator[str]:
    """A note on what was refused by those of whom there is no report."""
    if count > 0:
        who = "workers that died, or by an earlier run that was broken off"
        files = f"{state_folder()}/{index}-*.dead-letters.jsonl of their machine"
        yield f"{count:,} were refused by {who}; their letters are here, or in {files}"


def _bad_records(workers: Sequence[Worker], share: Share) -> list[Path]:
    """The file of all bad records here, and those that are elsewhere."""
    numbers = sorted({worker.number for worker in workers if worker.letters is not None})
    paths = [numbered(share.files.skip_bad, number) for number in numbers]
    return together_in_one([path for path in paths if path is not None], share.files.skip_bad)


def _died(workers: Sequence[Worker]) -> list[str]:
    ended = [(worker.name, worker.ended.died) for worker in workers if worker.ended and not worker.report]
    return [f"{name} died ({how}); others took what it had" for name, how in ended if how]


def _added(counted: Iterable[object]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counted:
        total.update(one)  # type: ignore[call-overload]  # a mapping of seconds
    return total
