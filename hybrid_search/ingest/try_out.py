"""The first documents of a source, tried before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.ingest.stages.chunking import Chunking
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.images import decoded_first
from hybrid_search.ingest.target import passage_title, schema_of
from hybrid_search.ingest.work import Batch, NumberedDocument
from hybrid_search.records import Document
from hybrid_search.settings import Settings


def try_out(first: Sequence[Document], encoder: TextEncoder, settings: Settings, *, skips: bool = False) -> None:
    """Decode, cut and encode the first passage of some documents, to see that the models work; nothing is kept.

    Raises:
        RecordError: an image cannot be decoded, unless bad records are skipped.
        ModelError: the models do not encode them.
    """
    if any(document.images for document in first):
        first = decoded_first(first, settings.images, schema_of(encoder, settings), skips=skips)
    numbered = [NumberedDocument(number, document, "") for number, document in enumerate(first)]
    cut = Chunking(encoder, settings.chunking, passage_title(settings))(Batch(0, len(numbered), numbered))
    short = [replace(item, passages=item.passages[:1]) for item in cut.items]
    Encoding(encoder)(replace(cut, items=short))
