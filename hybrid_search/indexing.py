"""Indexing in one call: the cluster and the models of the settings, and a load."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hybrid_search.encode import load_encoder
from hybrid_search.engine import connect
from hybrid_search.ingest import IngestReport
from hybrid_search.ingest import index_documents as load
from hybrid_search.ingest.pipeline import PROGRAM
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Document
from hybrid_search.settings import Settings


def index_documents(
    documents: Iterable[Document],
    index: str,
    *,
    url: str | None = None,
    settings: Settings | None = None,
    source: str = PROGRAM,
    vectors_later: bool = False,
) -> IngestReport:
    """Load documents into an index, which is made if it is not there; a document loaded again replaces itself.

    For journals, dead letters, progress and a connection of your own see :func:`hybrid_search.ingest.index_documents`.

    Args:
        documents: iterated once.
        index: an index, or an alias of one.
        url: the cluster, instead of that of the settings; without either, the local node.
        settings: None takes the defaults and the environment.
        source: the source's name; documents of another source are not overwritten.
        vectors_later: write texts alone, which :func:`hybrid_search.ingest.attach.enrich` encodes afterwards.

    Raises:
        RecordError: a document that no index can hold; those before it are loaded.
        IndexMismatchError: the index was made with other models, or settings that only a new one can have.
        IngestError: the engine refused documents, the first is named; or an id belongs to another source.
        EngineError: the cluster cannot be reached, or refuses.
    """
    settings = load_settings() if settings is None else settings
    engine = settings.engine if url is None else msgspec.structs.replace(settings.engine, url=url)
    with connect(engine) as connection:
        encoder = load_encoder(settings)
        return load(documents, index, connection, encoder, settings, source=source, vectors_later=vectors_later)
