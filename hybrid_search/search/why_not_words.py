"""The words of a query as the index reads them, and the sparse terms that a query and a passage share."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from itertools import chain
from typing import Any

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.layout import TextPath
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import SparseVector
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Target, send
from hybrid_search.search.steps import Step
from hybrid_search.search.why_not_records import QueryWord, SharedTerm

LOOKED_AT = 1000
"""Characters of the query whose words are looked at."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")

Analyzed = Mapping[str, Mapping[str, tuple[str, ...]]]
"""The words of a text, each with the terms that are made of it, by the path of the text that is searched for them."""


def analyzed(text: str, paths: Sequence[TextPath], target: Target, budget: Budget) -> Generator[Step, Any, Analyzed]:
    """The words of ``text`` with the terms that the index makes of them for each of its texts that is searched.

    Every analyzer is asked once; there are no words where it may not be asked.
    """
    text = text[:LOOKED_AT]
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for analyzer in dict.fromkeys(path.analyzer for path in paths):
        its = [path.path for path in paths if path.analyzer == analyzer]
        body = {"field": its[0], "text": text}
        try:
            answer = yield from send(Request.json("POST", target.analyze, body), target, budget)
        except EngineError:
            continue
        tokens = answer.get("tokens") if isinstance(answer, Mapping) else None
        for word, terms in _words(text, tokens if isinstance(tokens, list) else []):
            found.setdefault(word, {}).update(dict.fromkeys(its, terms))
    return found


def _words(text: str, tokens: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
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


def term_clauses(words: Analyzed) -> dict[str, legs.Body]:
    """A clause for every word: a passage matches it that holds one of its terms in one of the texts."""
    clauses: dict[str, legs.Body] = {}
    for word, by_path in words.items():
        wanted = [{"terms": {path: list(terms)}} for path, terms in by_path.items() if terms]
        if wanted:
            clauses[word] = {"bool": {"should": wanted, "minimum_should_match": 1}}
    return clauses


def query_words(words: Analyzed, holding: Mapping[str, int]) -> tuple[QueryWord, ...]:
    """The words with their terms and with how many passages hold each."""
    return tuple(
        QueryWord(word, tuple(dict.fromkeys(chain(*by_path.values()))), holding.get(word, 0))
        for word, by_path in words.items()
    )


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
