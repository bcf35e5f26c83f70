"""Names of an index's fields, and names that may hold any character.

One engine document is one passage. Dots in a field or feature name mean a path to both engines (Elasticsearch
refuses them in features, OpenSearch then silently matches nothing), so the names of users and of tokens are escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybrid_search.records import MAX_DOCUMENT_ID_BYTES, IndexSchema, TextField

DOC_ID = "doc_id"
PASSAGE = "passage"
START = "start"
END = "end"
TEXT = "text"
CONTENT_HASH = "content_hash"
DENSE = "dense"
SPARSE = "sparse"
LATE = "late"
FIELDS = "fields"
FILTER = "filter"
SOURCE = "source"
LOAD = "load"
PASSAGES = "passages"
STATE = "state"
EXACT = "exact"
ANALYZED = "analyzed"
WORDS = "words"
BEFORE = "before"
AFTER = "after"
"""With ``BEFORE``, where a passage keeps, under ``STATE``, the white space around it, which no passage has: every
index stores that object and never looks into it."""

SHOWN, THUMBNAIL = "shown", "thumbnail"
"""Under ``STATE`` of a passage that is an image: the beginning of its document's text, which is shown with it, and the
JPEG that was made of it, in base64."""

SHOWN_CHARACTERS = 300
SHOWN_PATH, THUMBNAIL_PATH = f"{STATE}.{SHOWN}", f"{STATE}.{THUMBNAIL}"

VECTORS = "vectors"
"""Which models made the vectors of a passage, where that is not those of the index: :data:`LATER`, or their mark."""

LATER = "later"
"""In place of models: the passage has no vectors yet."""

ATTACHED = "hybrid_search"
"""The one object under which everything is that we add to the documents of another owner."""

ATTACHED_MODELS, ATTACHED_DIGEST = f"{ATTACHED}.models", f"{ATTACHED}.digest"
ATTACHED_PASSAGES = f"{ATTACHED}.passages"

STORED = (DOC_ID, PASSAGE, START, END, TEXT, FIELDS)
"""What an answer's ``_source`` holds; vectors stay in the index (OpenSearch would send them by default)."""

MAX_ID_BYTES = MAX_DOCUMENT_ID_BYTES + len("#9999999")
"""Longest ``_id`` of both engines, in bytes of UTF-8: 512."""

RESULT_WINDOW = 10_000
"""``index.max_result_window`` of both engines: from + size may not pass it."""

MIN_WEIGHT = 1.1754943508222875e-38
"""Smallest weight of a sparse term: the smallest normal float32, for ``rank_features`` keeps no smaller one."""

MAX_WEIGHT = 3.4028234663852886e38
"""Largest weight of a sparse term: the largest float32."""

_ESCAPES = {"%": "%25", ".": "%2E"}


def escape(name: str) -> str:
    """A name without dots that :func:`unescape` turns back; the name itself where it has neither ``.`` nor ``%``."""
    if "." not in name and "%" not in name:
        return name
    for character, escaped in _ESCAPES.items():
        name = name.replace(character, escaped)
    return name


def unescape(name: str) -> str:
    """The name that :func:`escape` was given."""
    for character, escaped in reversed(_ESCAPES.items()):
        name = name.replace(escaped, character)
    return name


def filter_root(schema: IndexSchema) -> str:
    """The object of the index under which the fields to filter on are mapped."""
    return FIELDS if schema.layout == 1 else FILTER


def field_path(name: str, schema: IndexSchema) -> str:
    """The path of a field to filter on, given by the user's name."""
    if schema.attached is not None:
        return schema.attached.paths[name]
    return f"{filter_root(schema)}.{escape(name)}"


def document_clause(id_: str, schema: IndexSchema) -> dict[str, Any]:
    """What all passages of a document match, and nothing else."""
    return {"term": {DOC_ID: id_}} if schema.attached is None else {"ids": {"values": [id_]}}


def exact_path(name: str, schema: IndexSchema) -> str | None:
    """The path at which a number field's whole numbers are exact; None for layout 1, which has doubles alone."""
    return None if schema.layout == 1 or schema.attached is not None else f"{field_path(name, schema)}.{EXACT}"


def feature_path(name: str, field: str = SPARSE) -> str:
    """The path of a sparse term, for a ``rank_feature`` query."""
    return f"{field}.{escape(name)}"


@dataclass(frozen=True, slots=True)
class VectorField:
    """Where vectors are: the path of the field, and of the nested object that it lies in, None for none.

    ``says_place`` has every hit say which of its nested objects is the best. A sparse search of a hundred hits
    takes almost three times as long so: it is asked of those alone that are shown.
    """

    path: str
    within: str | None = None
    says_place: bool = False


OWN_DENSE, OWN_SPARSE = VectorField(DENSE), VectorField(SPARSE)


def dense_field(schema: IndexSchema, *, says_place: bool = False) -> VectorField:
    """Where the dense vectors are."""
    if schema.attached is None:
        return OWN_DENSE
    return VectorField(f"{ATTACHED_PASSAGES}.{schema.attached.dense}", ATTACHED_PASSAGES, says_place)


def sparse_field(schema: IndexSchema, *, says_place: bool = False) -> VectorField:
    """Where the sparse vectors are."""
    if schema.attached is None:
        return OWN_SPARSE
    return VectorField(f"{ATTACHED_PASSAGES}.{schema.attached.sparse}", ATTACHED_PASSAGES, says_place)


def models_field(schema: IndexSchema) -> str:
    """Where it is said which models made the vectors."""
    return VECTORS if schema.attached is None else ATTACHED_MODELS


@dataclass(frozen=True, slots=True)
class TextPath:
    """A text that BM25 searches.

    Attributes:
        name: the user's name of the field; ``text`` for the whole text of a passage.
        path: where it is in the index.
        analyzer: the engine's name of what makes words of it.
        weight: how much one of its words counts; 0 leaves it out.
    """

    name: str
    path: str
    analyzer: str
    weight: float = 1.0


def text_paths(schema: IndexSchema) -> tuple[TextPath, ...]:
    """Every text of an index that is searched by words: the whole text of a passage first, then fields on their own.

    In an index of several languages a text has one path for each of their analyzers (:func:`of_language`).
    An attached index has the fields of its owner.
    """
    if schema.attached is not None:
        return tuple(TextPath(one.name, one.name, one.analyzer, one.weight) for one in schema.text_fields)
    alone = [(one, word_path(one.name)) for one in schema.text_fields]
    texts = [(TextField(TEXT, schema.analyzer, schema.text_weight), TEXT), *alone]
    return tuple(path for one, key in texts for path in _paths(one, key, schema))


def whole_text_paths(schema: IndexSchema) -> list[str]:
    """Where the whole texts of passages are searched: one path, or one for each analyzer or field of an owner."""
    return [path.path for path in text_paths(schema) if path.name == TEXT or schema.attached is not None]


def _paths(one: TextField, key: str, schema: IndexSchema) -> list[TextPath]:
    if not follows_language(one, schema):
        return [TextPath(one.name, key, one.analyzer, one.weight)]
    return [TextPath(one.name, of_language(name, key), name, one.weight) for name in analyzers_in(schema)]


def analyzers_in(schema: IndexSchema) -> tuple[str, ...]:
    """Every analyzer of the whole text: that of languages without one of their own first."""
    return tuple(dict.fromkeys((schema.analyzer, *schema.analyzers.values())))


def follows_language(one: TextField, schema: IndexSchema) -> bool:
    """Whether a field is read by the analyzer of its document's language: one of an analyzer of its own is not."""
    return bool(schema.analyzers) and one.analyzer == schema.analyzer


def of_language(analyzer: str, key: str) -> str:
    """Where the texts are that an analyzer reads, in an index of several languages; ``key`` as without them."""
    return f"{ANALYZED}.{escape(analyzer)}.{key}"


def word_path(name: str) -> str:
    """The path of a field that is searched on its own, given by the user's name; behind that of an analyzer, if any."""
    return f"{WORDS}.{word_key(name)}"


def word_key(name: str) -> str:
    """Its name under ``words``: without the signs by which queries over several fields give weights and patterns."""
    return escape(name).replace("^", "%5E").replace("*", "%2A")


def user_fields(source: Mapping[str, Any]) -> dict[str, Any]:
    """The user's fields of an answer's ``_source``, by the user's names."""
    return {unescape(name): value for name, value in source.get(FIELDS, {}).items()}


def as_shown(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stored passage as it is shown: one that is an image with the beginning of its document's text."""
    shown = (source.get(STATE) or {}).get(SHOWN)
    if not isinstance(shown, str):
        return source
    rest = {name: value for name, value in source.items() if name != STATE}
    return {**rest, TEXT: shown, START: 0, END: len(shown)}


def thumbnail_in(source: Mapping[str, Any]) -> bytes:
    """The JPEG that a passage has; empty where it has none."""
    stored = (source.get(STATE) or {}).get(THUMBNAIL)
    return base64.b64decode(stored) if isinstance(stored, str) else b""
