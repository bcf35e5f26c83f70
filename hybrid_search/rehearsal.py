"""A load in thought: what becomes of a sample with the settings that were written for it. No model, no engine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from hybrid_search.errors import EmptyTextError, RecordError, SourceError
from hybrid_search.ingest.stages.checks import Strays, check_document
from hybrid_search.ingest.stages.chunk import passages_of
from hybrid_search.ingest.stages.prepare import content_hash
from hybrid_search.read.compose import Composer
from hybrid_search.read.fields import field_readings
from hybrid_search.read.raw import RawRecord
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import EngineSettings, Settings
from hybrid_search.settings.documents import REFUSE, DocumentSettings

TOKENS = 256
"""A usual limit of models; a token is taken for a word or a mark."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of a sample: documents, about how many passages, those without text, the errors of others, notes."""

    documents: int
    passages: int
    empty: int
    refused: Sequence[RecordError]
    notes: Sequence[str]


class Words:
    """Words and marks as tokens: what is needed to cut a text without a model."""

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets of each text's words and marks."""
        return [[found.span() for found in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


def rehearsed(records: Sequence[RawRecord], text: str, source: str) -> Rehearsal:
    """Read, check and cut the records with the settings of a text.

    Raises:
        SourceError: none of them makes a document.
        SettingsError: the settings contradict each other.
    """
    tables = tomllib.loads(text)
    analyzers = tables.get("engine", {}).get("analyzers", {})
    settings = Settings(
        documents=msgspec.convert(tables.get("documents", {}), DocumentSettings),
        engine=EngineSettings(analyzers=msgspec.convert(analyzers, dict[str, str])),
    )
    refused: list[RecordError] = []
    repetitions, strays = Repetitions(), Strays()
    schema = schema_for(settings.documents)
    documents = list(_checked(records, settings, schema, refused, repetitions))
    if not documents:
        what = f"none of the {len(records):,} records that were looked at makes a document; the first: {refused[0]}"
        raise SourceError(what, where=source, remedy="Name the fields in settings of your own, or mend the source")
    for document in documents:
        strays.count(document, schema)
    overlap = min(settings.chunking.overlap, TOKENS - 1)
    passages = passages_of(documents, Words(), max_tokens=TOKENS, overlap=overlap)
    notes = [*repetitions.notes(), *strays.notes()]
    errors = [error for error in refused if not isinstance(error, EmptyTextError)]
    return Rehearsal(len(documents), sum(map(len, passages)), len(refused) - len(errors), errors, notes)


def schema_for(documents: DocumentSettings) -> IndexSchema:
    """The schema of an index without models."""
    return IndexSchema(
        None,
        None,
        keyword_fields=(*documents.keyword, *documents.boolean),
        number_fields=documents.number,
        date_fields=documents.date,
        geo_fields=documents.geo,
        readings=field_readings(documents),
    )


def _checked(
    records: Sequence[RawRecord],
    settings: Settings,
    schema: IndexSchema,
    refused: list[RecordError],
    repetitions: Repetitions,
) -> Iterator[Document]:
    """The documents that a load would take; the errors of the others are noted."""
    rule = settings.documents.repeated_ids

    def composed(errors: list[RecordError]) -> Iterator[Document]:
        composer = Composer(settings.documents, unique_ids=rule == REFUSE)
        for record in records:
            try:
                document = replace(composer.document(record), position=None)
                check_document(document, None)
                content_hash(document, settings.chunking, schema)
            except RecordError as error:
                errors.append(error)
                continue
            yield document

    if rule == REFUSE:
        return composed(refused)
    return settled(composed(refused), rule, lambda: composed([]), repetitions)
