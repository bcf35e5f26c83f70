"""Sending the documents of a dead-letter file again, once the cause of their refusal is gone."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import SourceError
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.pipeline import index_documents
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.ingest.state.letters import DeadLetters, read_letters
from hybrid_search.settings import Settings


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
    the replay refused.

    Raises what :func:`hybrid_search.ingest.pipeline.index_documents` raises; SourceError for a file that is missing
    or holds something else; IngestError when another process has it open.
    """
    if not letters.is_file():
        raise SourceError("no such file", where=str(letters))
    again = letters.with_name(f"{letters.name}.again")
    again.unlink(missing_ok=True)
    with closing(DeadLetters(letters)), closing(DeadLetters(again)) as refused:
        report = index_documents(
            (letter.document for letter in read_letters(letters)),
            index,
            connection,
            encoder,
            settings,
            dead_letters=refused,
            progress=progress,
            options=options,
        )
        again.replace(letters)
    return dataclasses.replace(report, dead_letters=letters)
