"""The words of a query as the index reads them, and the sparse terms that a query and a passage share."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import layout
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import IndexSchema, SparseVector
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Target, send
from hybrid_search.search.scored_text import best_of
from hybrid_search.search.steps import Step
from hybrid_search.search.why_not_records import QueryWord, SharedTerm

LOOKED_AT = 1000
"""Characters of the query whose words are looked at."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")

Analyzed = list[tuple[str, tuple[str, ...]]]
"""Words of a text with the terms that are made of each."""


def analyzed(text: str, target: Target, budget: Budget) -> Generator[Step, Any, Analyzed]:
    """The words of ``text`` with the terms that the index makes of them; none where its analyzer may not be asked."""
    text = text[:LOOKED_AT]
    path = f"/{quote(target.index, safe='')}/_analyze"
    try:
        answer = yield from send(Request.json("POST", path, {"field": layout.TEXT, "text": text}), target, budget)
    except EngineError:
        return []
    tokens = answer.get("tokens") if isinstance(answer, Mapping) else None
    return _words(text, tokens if isinstance(tokens, list) else [])


def _words(text: str, tokens: Sequence[Mapping[str, Any]]) -> Analyzed:
    """Each word with the terms that touch it; terms that touch none stand for themselves (a script without blanks)."""
    places = _places(text)
    spans = [(places[token["start_offset"]], places[token["end_offset"]], str(token["token"])) for token in tokens]
    found: dict[tuple[int, int], list[str]] = {match.span(): [] for match in _WORD.finditer(text)}
    for start, end, term in spans:
        word = next((span for span in found if span[0] < end and start < span[1]), (start, end))
        found.setdefault(word, []).append(term)
    said: dict[str, tuple[str, ...]] = {}
    for (start, end), terms in sorted(found.items()):
        said.setdefault(text[start:end], tuple(dict.fromkeys(terms)))
    return list(said.items())


def _places(text: str) -> list[int]:
    """The character at each of the engine's offsets, which count 16-bit units."""
    places: list[int] = []
    for place, character in enumerate(text):
        places += [place] * (1 if ord(character) <= 0xFFFF else 2)
    return [*places, len(text)]


def term_clauses(words: Analyzed, schema: IndexSchema) -> dict[str, legs.Body]:
    """A clause for every word: a passage matches it that holds one of its terms in a text that reads words so."""
    paths = [path.path for path in layout.text_paths(schema) if path.analyzer == schema.analyzer]
    return {word: best_of([{"terms": {path: list(terms)}} for path in paths]) for word, terms in words if terms}


def query_words(words: Analyzed, holding: Mapping[str, int]) -> tuple[QueryWord, ...]:
    """The words with how many passages hold each."""
    return tuple(QueryWord(word, terms, holding.get(word, 0)) for word, terms in words)


def shared_terms(query: SparseVector, passage: SparseVector, names: Mapping[str, str]) -> tuple[SharedTerm, ...]:
    """The terms of both with the products of their weights, the largest first; ``names`` are words by term."""
    met = [
        SharedTerm(term, names.get(term), float(query[term]), float(passage[term]), float(query[term] * passage[term]))
        for term in query
        if term in passage
    ]
    return tuple(sorted(met, key=lambda one: (-one.product, one.term)))


def vocabulary_of(encoder: TextEncoder | None) -> dict[str, str]:
    """Words by the names of sparse terms, as the tokenizer of the sparse model knows them; none where there is none."""
    limits = getattr(encoder, "query_limits", None)
    limit = limits().get("sparse") if limits is not None else None
    known = getattr(getattr(limit, "tokenizer", None), "vocabulary", None)
    return {} if known is None else {str(number): word for word, number in known().items()}
