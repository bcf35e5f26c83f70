"""What is known of a document that is not in an index: that it was refused or left out, or is in the source.

Known are the dead letters of loads that ran on this machine; the file of ``--skip-bad`` and the source are looked
through where they are named. A load that removed a document from an index, as ``--sync`` does, keeps no list of ids:
that a document is in no source says that it may have been.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid_search.errors import HybridSearchError, RecordError, counted
from hybrid_search.ingest.state.bad_records import BAD_RECORDS
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.state.letters import Letter, read_letters
from hybrid_search.ingest.state.lines import own_lines

if TYPE_CHECKING:
    from hybrid_search.settings import Settings

LETTERS = "*.dead-letters.jsonl"


@dataclass(frozen=True, slots=True)
class LookedInto:
    """Where a document is looked for.

    Attributes:
        source: a source of documents, None for none.
        settings: how its records become documents.
        bad: a file of ``--skip-bad``, None for none.
        letters: a file of dead letters; None for all of this user's loads into the index.
    """

    settings: Settings
    source: str | None = None
    bad: Path | None = None
    letters: Path | None = None


def known_of(id_: str, index: str, where: LookedInto) -> tuple[str, ...]:
    """Sentences on what became of a document, for an index by its own name (no alias).

    Raises:
        HybridSearchError: a file that was named, or the source, cannot be read.
    """
    said = [*_refused(id_, index, where.letters), *(() if where.bad is None else _left_out(id_, where.bad))]
    if where.source is not None:
        said.append(_in_source(id_, where.source, where.settings))
    return tuple(said)


def _refused(id_: str, index: str, letters: Path | None) -> Iterator[str]:
    """What dead letters say; files that cannot be read are passed over where none was named."""
    for path in sorted(state_folder().glob(LETTERS)) if letters is None else [letters]:
        try:
            yield from (_letter(letter, path) for letter in read_letters(path) if _is_of(letter, id_, index))
        except HybridSearchError:
            if letters is not None:
                raise


def _is_of(letter: Letter, id_: str, index: str) -> bool:
    return letter.document.id == id_ and (letter.origin is None or letter.origin.index == index)


def _letter(letter: Letter, path: Path) -> str:
    source = "" if letter.origin is None else f" of the source {letter.origin.source}"
    return f"refused at {letter.time} in a load{source}: {letter.reason} ({path})"


def _left_out(id_: str, path: Path) -> Iterator[str]:
    """What the file of bad records says of documents with this id, and of records that hold it."""
    quoted = json.dumps(id_)
    try:
        for place, line in own_lines(path, BAD_RECORDS):
            told = json.loads(line)
            document = told.get("document")
            if document["id"] == id_ if document is not None else quoted in told.get("record", ""):
                yield f"left out of a load, at {told['where']}: {told['what']} ({place})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"not a file of bad records: {error}", where=str(path)) from error


def _in_source(id_: str, source: str, settings: Settings) -> str:
    """Whether a source has the document; it is read to its end, or to the document."""
    from hybrid_search.ingest.origin import origin_of
    from hybrid_search.read import documents

    read = 0
    bad: list[RecordError] = []
    with origin_of(source, settings) as origin:
        found = documents(source, settings.documents, on_bad=lambda error, _data: bad.append(error), origin=origin)
        for document in found:
            read += 1
            if document.id == id_:
                return f"it is in the source {source}, at {document.origin}: load that again"
    rest = f", and {counted(len(bad), 'record is', 'records are')} none" if bad else ""
    return f"it is not in the source {source}, which has {counted(read, 'document', 'documents')}{rest}"
