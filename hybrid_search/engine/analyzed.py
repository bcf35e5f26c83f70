"""Where the text of a document stands that BM25 searches, in an index of several languages.

Each analyzer has a field of its own, ``analyzed.german.text``, and a document's text is in that of its language alone:
a passage matches by the words that its own analyzer makes. What a word counts is measured among the documents of the
same analyzer. The whole text stays under ``text`` for reading, and is not searched there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.engine.layout import ANALYZED, TEXT, escape, text_analyzers
from hybrid_search.fields import value_at
from hybrid_search.languages import matching
from hybrid_search.records import IndexSchema


def analyzer_of_fields(fields: Mapping[str, Any], schema: IndexSchema) -> str:
    """The analyzer of a document with these fields: that of its language, or that of all others."""
    if schema.language is None:
        return schema.analyzer
    code = matching(value_at(fields, schema.language), schema.analyzers)
    return schema.analyzer if code is None else schema.analyzers[code]


def searched_text(fields: Mapping[str, Any], text: str, schema: IndexSchema) -> dict[str, Any]:
    """What a passage holds beside its text, for a document with these fields; nothing where the text is searched."""
    if not schema.analyzers:
        return {}
    return {ANALYZED: {escape(analyzer_of_fields(fields, schema)): {TEXT: text}}}


def with_analyzers(properties: Mapping[str, Any], schema: IndexSchema) -> dict[str, Any]:
    """The properties of a mapping with a text field for every analyzer; as they are for an index of one."""
    if not schema.analyzers:
        return dict(properties)
    whole = properties[TEXT]
    texts = {escape(name): {"properties": {TEXT: {**whole, "analyzer": name}}} for name in text_analyzers(schema)}
    unsearched = {"type": "text", "analyzer": whole["analyzer"], "index": False, "norms": False}
    return {**properties, TEXT: unsearched, ANALYZED: {"dynamic": "strict", "properties": texts}}
