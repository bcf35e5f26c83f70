"""Sending the documents of a dead-letter file again, once the cause of their refusal is gone.

A letter says for which index it was, and of which source and load. One that a later load of its source has settled is
not sent; the others are written with the number of their own load, so that nothing newer is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import IngestError, SourceError, counted
from hybrid_search.ingest.load import Load, LoadOptions, Source
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.pipeline import PROGRAM, running
from hybrid_search.ingest.reading import Stream
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.cluster import IndexState, read_state
from hybrid_search.ingest.state.indexed import indexed_documents
from hybrid_search.ingest.state.ledger import Ledger, OnProgress
from hybrid_search.ingest.state.letters import LETTERS, DeadLetters, Letter, LetterOrigin, read_letters
from hybrid_search.ingest.state.lines import check_is_ours
from hybrid_search.ingest.target import opened_as_it_is
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document
from hybrid_search.settings import Settings

Group = tuple[str, int | None]
"""Letters of one source and load; release 0.1 named neither."""


@dataclass(slots=True)
class _Sorted:
    """Letters of a file by what becomes of them: sent in groups, kept for other indices, settled by a later load."""

    to_send: dict[Group, int]
    kept: int = 0
    settled: int = 0


def replay(
    letters: Path,
    index: str,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    *,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> IngestReport:
    """Load the documents of a dead-letter file; afterwards it holds only those that were refused again.

    The file is replaced in one step at the end, or removed when nothing is left: a replay that is killed has lost
    nothing and is simply run again. A load that still writes to the file is not disturbed: the file is locked, and
    the replay refused. Letters for other indices stay in the file. What is written keeps the name of its source.

    Raises:
        SourceError: the file is missing.
        SettingsError: it is something else than a dead-letter file.
        IngestError: another process has it open, or all of its letters are for other indices.
        EngineError, RecordError: as for a load.
    """
    if not letters.is_file():
        remedy = "Check the path; a load names its dead letters, and removes the file when there are none"
        raise SourceError("no such file", where=str(letters), remedy=remedy)
    options = options or LoadOptions()
    opened = opened_as_it_is(connection, index, encoder, options.retry)
    waiting = patient(connection, options.retry)
    here = _Here(waiting, opened)
    with closing(DeadLetters(letters)):
        found = here.sorted(letters)
        again = letters.with_name(f"{letters.name}.again")
        check_is_ours(again, LETTERS)
        again.unlink(missing_ok=True)  # what a killed replay has left
        _keep(again, [letter for letter in read_letters(letters) if not here.is_ours(letter)])
        reports = [
            _send(here, letters, again, group, connection=connection, encoder=encoder, settings=settings,
                  progress=progress, options=options)
            for group in found.to_send
        ]  # fmt: skip
        with closing(DeadLetters(again)):
            again.replace(letters)
    return _summed(reports, index, letters, found)


class _Here:
    """The index that is replayed into, and what its state says of letters."""

    def __init__(self, connection: Connection, opened: OpenedIndex) -> None:
        self.opened = opened
        self.connection = connection
        self.state: IndexState = read_state(connection, opened.name)
        self.uuid = indices.read_settings(connection, opened.name)["index.uuid"]

    def is_ours(self, letter: Letter) -> bool:
        """Whether it is for this index; letters of release 0.1 do not say."""
        return letter.origin is None or letter.origin.uuid == self.uuid

    def is_settled(self, letter: Letter) -> bool:
        """Whether a later load has read its source whole, or, where it names none, the document is there whole."""
        if letter.origin is None:
            there = indexed_documents(self.connection, self.opened.name, [letter.document.id]).get(letter.document.id)
            return there is not None and len(there.digests) == 1 and there.is_whole(next(iter(there.digests)))
        last = self.state.sources.get(letter.origin.source)
        return last is not None and last.load > letter.origin.load

    def sorted(self, path: Path) -> _Sorted:
        """Look at all letters before one is sent; IngestError where none is for this index."""
        found = _Sorted({})
        foreign: LetterOrigin | None = None
        for letter in read_letters(path):
            if not self.is_ours(letter):
                found.kept, foreign = found.kept + 1, letter.origin
            elif self.is_settled(letter):
                found.settled += 1
            else:
                found.to_send[_group(letter)] = found.to_send.get(_group(letter), 0) + 1
        if foreign is not None and not (found.to_send or found.settled):
            raise IngestError(
                f"all of its letters are for another index: {foreign.index} of {foreign.cluster}",
                where=str(path),
                remedy=f"Replay it there; {self.opened.name} is another one, even where it has the same name",
            )
        return found

    def documents(self, path: Path, group: Group) -> Iterator[Document]:
        """The documents of a group that are to be sent."""
        for letter in read_letters(path):
            if self.is_ours(letter) and _group(letter) == group and not self.is_settled(letter):
                yield letter.document


def _group(letter: Letter) -> Group:
    return (PROGRAM, None) if letter.origin is None else (letter.origin.source, letter.origin.load)


def _keep(again: Path, letters: Iterable[Letter]) -> None:
    """Write letters for other indices into the file that takes the place of this one."""
    for letter in letters:
        refusal = Refusal(letter.document, letter.item, letter.status, letter.type, letter.reason)
        with closing(DeadLetters(again, letter.origin)) as kept:
            kept.write([refusal])


def _send(
    here: _Here,
    path: Path,
    again: Path,
    group: Group,
    *,
    connection: Connection,
    encoder: TextEncoder,
    settings: Settings,
    progress: OnProgress | None,
    options: LoadOptions,
) -> IngestReport:
    """Load the letters of one source and load; what is refused again goes to ``again``."""
    name, number = group
    origin = LetterOrigin(name, number or 0, here.opened.name, here.uuid, connection.where)
    with closing(DeadLetters(again, None if number is None else origin)) as refused:
        ledger = Ledger(refused, None, progress)
        source = Source(name, takes_over=number is None, load=number)
        chunking, images = settings.chunking, settings.images
        load = Load(here.opened, connection, encoder, chunking, ledger, None, source, options, images=images)
        with running(load, exclusive=False) as lease:
            load.run(Stream(here.documents(path, group)), lease)
        return load.report(lease)


def _summed(reports: Sequence[IngestReport], index: str, letters: Path, found: _Sorted) -> IngestReport:
    """One report of all groups."""
    notes = []
    if found.settled:
        letters_were = counted(found.settled, "letter was", "letters were")
        notes.append(f"{letters_were} settled by a later load, and not sent")
    if found.kept:
        one, several = "letter is for another index, and stays", "letters are for other indices, and stay"
        notes.append(f"{counted(found.kept, one, several)} in the file")
    total = _added(reports) if reports else IngestReport(index)
    return replace(total, index=index, dead_letters=letters, notes=(*total.notes, *notes))


def _added(reports: Sequence[IngestReport]) -> IngestReport:
    names = [name for name, value in reports[0].as_json().items() if type(value) is int and name != "load"]
    sums = {name: sum(getattr(report, name) for report in reports) for name in names}
    refusals = tuple(refusal for report in reports for refusal in report.refusals)
    return replace(reports[0], **sums, wall=sum(report.wall for report in reports), refusals=refusals)
