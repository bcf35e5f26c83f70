"""Indexing in one call: the cluster and the models of the settings, and a load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from hybrid_search.encode import load_encoder
from hybrid_search.engine import connect
from hybrid_search.errors import EmptyTextError, RecordError
from hybrid_search.ingest import IngestReport
from hybrid_search.ingest import index_documents as load
from hybrid_search.ingest.left_out import LeftOut
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.pipeline import PROGRAM
from hybrid_search.read.repeated import Repetitions
from hybrid_search.read.rows import documents_of
from hybrid_search.read.settings_file import load_settings
from hybrid_search.settings import Settings

MOST_LEFT_OUT: Limit = SourceOptions().max_bad
"""Of rows without text, as of the records of a file."""


def index_documents(
    documents: Any,
    index: str,
    *,
    url: str | None = None,
    settings: Settings | None = None,
    source: str = PROGRAM,
) -> IngestReport:
    """Load documents into an index, which is made if it is not there; a document loaded again replaces itself.

    For journals, dead letters, progress and a connection of your own see :func:`hybrid_search.ingest.index_documents`.

    Args:
        documents: :class:`Document` objects or dicts, in any iterable; a frame of pandas or polars; a table, batch,
            reader or data set of pyarrow, or anything else that has ``__arrow_c_stream__``; a data set of Hugging Face.
            What each field of a row is, is said by ``settings.documents``; the fields of a :class:`Document` by itself.
            Rows without text are left out and counted, as those of files are.
        index: an index, or an alias of one.
        url: the cluster, instead of that of the settings; without either, the local node.
        settings: None takes the defaults and the environment.
        source: the source's name; documents of another source are not overwritten.

    Returns:
        What became of them. ``excess`` is a sentence where more rows had no text than one in a hundred.

    Raises:
        SourceError: what is given holds no rows, or two columns of one name.
        RecordError: a bad row, by its number from 1, or a document that no index can hold; those before it are loaded.
        IndexMismatchError: the index was made with other models, or settings that only a new one can have.
        IngestError: the engine refused documents, the first is named; or an id belongs to another source.
        EngineError: the cluster cannot be reached, or refuses.
    """
    settings = load_settings() if settings is None else settings
    engine = settings.engine if url is None else msgspec.structs.replace(settings.engine, url=url)
    left_out, repetitions = LeftOut(), Repetitions()

    def refuse(error: RecordError, data: bytes) -> None:
        if not isinstance(error, EmptyTextError):
            raise error
        left_out.refuse(error, data)

    found = documents_of(documents, settings.documents, on_bad=refuse, repetitions=repetitions)
    with connect(engine) as connection:
        report = load(found, index, connection, load_encoder(settings), settings, source=source)
    report = left_out.counted(report, 0, MOST_LEFT_OUT)
    return replace(report, notes=(*report.notes, *repetitions.notes(), *left_out.notes()))
