"""The index that a load goes into."""

from __future__ import annotations

from dataclasses import replace

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.analyzers import check_analyzers
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.models import check_models
from hybrid_search.engine.names import check_target
from hybrid_search.errors import RequestRefusedError, SettingsError
from hybrid_search.ingest.patience import RetryPolicy, patient
from hybrid_search.languages import tag_of
from hybrid_search.read.fields import field_readings
from hybrid_search.records import IndexSchema, TextField
from hybrid_search.settings import Settings, TextFieldSettings
from hybrid_search.settings.documents import WITH_TITLE
from hybrid_search.settings.text import TEXT_WEIGHT, TITLE_WEIGHT, WHOLE


def opened_or_created(
    connection: Connection, index: str, encoder: TextEncoder, settings: Settings, retry: RetryPolicy | None = None
) -> indices.OpenedIndex:
    """The index, made if it is not there, with fields to filter on that it lacks added.

    Raises:
        IndexMismatchError: it was made with other models, or with settings that only a new index can have.
        SettingsError: the node lacks an analyzer; nothing was made.
    """
    connection, wanted = patient(connection, retry), schema_of(encoder, settings)
    if not indices.exists(connection, index):
        check_analyzers(connection, named_analyzers(settings))
        try:
            indices.create_index(connection, index, wanted)
        except RequestRefusedError:
            if not indices.exists(connection, index):
                raise  # else somebody, or an attempt whose answer was lost, has made it
    opened = opened_as_it_is(connection, index, encoder, retry)
    if settings.chunking.with_title is None:
        wanted = headed_as(opened.schema, settings, wanted)
    return indices.add_fields(connection, opened, wanted)


def headed_as(made: IndexSchema, settings: Settings, wanted: IndexSchema) -> IndexSchema:
    """What is wanted, with the title before passages as in an index that is ``made``: the settings leave it open."""
    if made.passage_title == wanted.passage_title:
        return wanted
    named = settings.text.keys()
    fields = tuple(one for one in wanted.text_fields if one.name in named)
    if made.passage_title is not None and made.passage_title not in named:
        fields = (*fields, *(one for one in made.text_fields if one.name == made.passage_title))
    return replace(wanted, passage_title=made.passage_title, text_fields=fields)


def check_destination(
    connection: Connection, index: str, settings: Settings, retry: RetryPolicy | None, *, sync: bool
) -> None:
    """Refuse a name that no load can go to.

    Raises:
        SettingsError: no index can be called so, or made as the settings say; or a sync through an alias with a filter:
            what it removes is of the whole index, shown by the alias or not.
    """
    connection = patient(connection, retry)
    check_target(connection, index)
    check_layout(connection, index, settings)
    if sync and indices.shown_by(connection, index) is not None:
        raise SettingsError(
            "an alias with a filter shows a part of its index, and a sync would remove from all of it",
            where=f"--sync {index}",
            remedy="Name the index itself, or an alias without a filter",
        )


def check_layout(connection: Connection, index: str, settings: Settings) -> None:
    """Raise SettingsError where the index is not there, and this cluster could not make it as the settings say."""
    if not indices.exists(connection, index):
        check_analyzers(connection, named_analyzers(settings))


def named_analyzers(settings: Settings) -> dict[str, str]:
    """Every analyzer that an index of these settings needs, by the key that names it."""
    of_languages = {f"engine.analyzers.{code}": name for code, name in settings.engine.analyzers.items()}
    alone = {f"text.{name}.analyzer": one.analyzer for name, one in settings.text.items() if one.analyzer is not None}
    return {"engine.analyzer": settings.engine.analyzer, **of_languages, **alone}


def opened_as_it_is(
    connection: Connection, index: str, encoder: TextEncoder, retry: RetryPolicy | None = None
) -> indices.OpenedIndex:
    """The index, which must be there. Raises IndexMismatchError where it was made with other models."""
    connection = patient(connection, retry)
    opened = indices.open_index(connection, index)
    check_models(opened, encoder)
    indices.migrate(connection, opened)
    return opened


def passage_title(settings: Settings) -> str | None:
    """The field that models read before every passage of a new index; None where they read passages as they are."""
    wanted = settings.chunking.with_title
    return settings.documents.heading if (WITH_TITLE if wanted is None else wanted) else None


def schema_of(encoder: TextEncoder, settings: Settings) -> IndexSchema:
    """What an index for this encoder and these settings must hold."""
    documents, engine = settings.documents, settings.engine
    title = passage_title(settings)
    whole = settings.text.get(WHOLE)
    return IndexSchema(
        dense=encoder.dense,
        sparse=encoder.sparse,
        late=getattr(encoder, "late", None),
        keyword_fields=(*documents.keyword, *documents.boolean),
        number_fields=documents.number,
        date_fields=documents.date,
        geo_fields=documents.geo,
        readings=field_readings(documents),
        title=documents.title,
        text_fields=_text_fields(settings, title),
        text_weight=TEXT_WEIGHT if whole is None else whole.weight,
        passage_title=title,
        language=documents.language,
        analyzers={str(tag_of(code)): name for code, name in engine.analyzers.items()},
        detects_language=documents.detect_language,
        analyzer=engine.analyzer,
        bm25_k1=engine.bm25_k1,
        bm25_b=engine.bm25_b,
        dense_index=engine.dense_index,
        sparse_index=engine.sparse_index,
        hnsw_m=engine.hnsw_m,
        hnsw_ef_construction=engine.hnsw_ef_construction,
        shards=engine.shards,
        replicas=engine.replicas,
    )


def _text_fields(settings: Settings, title: str | None) -> tuple[TextField, ...]:
    """Those of the settings in their order, then the title that heads passages."""
    named = {name: field for name, field in settings.text.items() if name != WHOLE}
    if title is not None:
        named.setdefault(title, TextFieldSettings(weight=TITLE_WEIGHT))
    usual = settings.engine.analyzer
    return tuple(TextField(name, field.analyzer or usual, field.weight) for name, field in named.items())
