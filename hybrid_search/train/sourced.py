"""Where there is no index yet: a source is loaded into one of its own, which goes when the model is there.

A run that was broken off finds it again by its name, and loads what is not there yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from hybrid_search.encode import load_encoder
from hybrid_search.engine import Connection, indices
from hybrid_search.errors import IngestError, SourceError
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.ingest.report import IngestProgress
from hybrid_search.ingest.source import index_source
from hybrid_search.read.hub import PREFIX as HUB
from hybrid_search.read.ir_datasets import is_collection
from hybrid_search.read.places import is_pattern
from hybrid_search.settings import Settings

BEGIN = "hybrid-search-train-"


def is_source(target: str) -> bool:
    """Whether this is written as a source of documents: a path, a pattern or a data set; no index has such a name."""
    return "/" in target or "." in target or target.startswith(HUB) or is_collection(target) or is_pattern(target)


def name_for(target: str, settings: Settings) -> str:
    """The index of a source and its models."""
    return BEGIN + hashlib.sha256(f"{target} {settings.dense} {settings.sparse}".encode()).hexdigest()[:12]


@contextmanager
def index_of(target: str, connection: Connection, settings: Settings, progress: OnProgress) -> Iterator[str]:
    """The index itself, or one that a source was loaded into and that is deleted once the block has succeeded.

    Raises:
        SourceError: there is neither an index nor a source of this name.
        IngestError: documents were refused.
    """
    if not is_source(target) or indices.exists(connection, target):
        yield target
        return
    name = name_for(target, settings)

    def follow(one: IngestProgress) -> None:
        progress("load", one.documents, max(one.documents, one.expected or 0))

    try:
        report = index_source(target, name, connection, load_encoder(settings), settings, progress=follow)
    except SourceError as error:
        if indices.exists(connection, name):
            indices.delete_index(connection, name)
        remedy = "Name an index, or a source of documents"
        raise SourceError(f"neither an index nor a source ({error.what})", where=target, remedy=remedy) from error
    if report.refused:
        raise IngestError(f"{report.refused:,} documents were refused", where=name, remedy="Load them by: index")
    yield name
    indices.delete_index(connection, name)
