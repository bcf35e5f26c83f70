"""What of a passage BM25 searches, and where it stands in the index.

In an index of several languages each analyzer has fields of its own, ``analyzed.german.text``, and the texts of a
document are in those of its language alone: a passage matches by the words that its own analyzer makes. What a word
counts is measured among the documents of the same analyzer. The whole text stays under ``text`` to be read, and is not
searched there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.engine.layout import ANALYZED, TEXT, WORDS, analyzers_in, escape, follows_language, word_key
from hybrid_search.fields import own_text, value_at
from hybrid_search.languages import matching
from hybrid_search.records import Document, IndexSchema, TextField

Body = dict[str, Any]


def analyzer_of(document: Document, schema: IndexSchema) -> str:
    """The analyzer of a document: that of its language, or that of all others."""
    if schema.language is None:
        return schema.analyzer
    code = matching(value_at(document.fields, schema.language), schema.analyzers)
    return schema.analyzer if code is None else schema.analyzers[code]


def searched_texts(document: Document, text: str, schema: IndexSchema) -> Body:
    """What a passage of this text holds to be searched by words, beside the text itself.

    Each passage has all of the fields that are searched on their own, not the first alone: one that has the rest of the
    query's words is then found by those of the title too, and where the title is on one passage alone, that one wins
    whatever the others say.
    """
    following = [one for one in schema.text_fields if follows_language(one, schema)]
    alone = [one for one in schema.text_fields if one not in following]
    searched: Body = {WORDS: _words(document, alone)} if alone else {}
    if schema.analyzers:
        own: Body = {TEXT: text, **({WORDS: _words(document, following)} if following else {})}
        searched[ANALYZED] = {escape(analyzer_of(document, schema)): own}
    return searched


def _words(document: Document, fields: list[TextField]) -> dict[str, str]:
    named = ((one.name, own_text(document, one.name)) for one in fields)
    return {word_key(name): text for name, text in named if text.strip()}


def words_mapped(field: Mapping[str, Any], schema: IndexSchema) -> Body:
    """The properties of the texts that stand alone whatever the language is; ``field`` is the mapping of a text."""
    fields = [one for one in schema.text_fields if not follows_language(one, schema)]
    return {word_key(one.name): {**field, "analyzer": one.analyzer} for one in fields}


def with_analyzed(properties: Mapping[str, Any], field: Mapping[str, Any], schema: IndexSchema) -> Body:
    """The properties of a mapping with fields for every analyzer; as they are for an index of one."""
    if not schema.analyzers:
        return dict(properties)
    unsearched = {"type": "text", "analyzer": schema.analyzer, "index": False, "norms": False}
    analyzed = {escape(name): _of_analyzer(name, field, schema) for name in analyzers_in(schema)}
    return {**properties, TEXT: unsearched, ANALYZED: {"type": "object", "dynamic": "strict", "properties": analyzed}}


def _of_analyzer(name: str, field: Mapping[str, Any], schema: IndexSchema) -> Body:
    """The fields of one analyzer: equal ones, for BM25 over several asks for equal statistics."""
    own: Body = {**field, "analyzer": name}
    words = {word_key(one.name): own for one in schema.text_fields if follows_language(one, schema)}
    return {"dynamic": "strict", "properties": {TEXT: own, **({WORDS: {"properties": words}} if words else {})}}
