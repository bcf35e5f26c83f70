"""The three reasons why a passage was found, as highlights: words, terms of the sparse model, a sentence's meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.errors import ModelError
from hybrid_search.found import Highlighted
from hybrid_search.records import Query, SparseVector
from hybrid_search.search.encoding import ill_formed
from hybrid_search.search.highlight import Highlight
from hybrid_search.search.highlight_text import Span, cut, html, pieces, sentences
from hybrid_search.search.steps import Encoded, Token

WORDS, TERMS, MEANING = "words", "terms", "meaning"

MOST_SENTENCES = 32
"""Of a passage, that are compared with the query: a passage of 512 tokens has about twenty."""

MOST_TERMS = 20
"""That a highlight names, the largest products first."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored passage: its text, where in the document that begins, and the weights of its terms, where known."""

    text: str
    start: int
    weights: SparseVector | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """What pieces are cut from: a text of a field, which begins at ``start`` of its document."""

    field: str
    text: str
    start: int
    form: Highlight

    def piece(self, kind: str, span: Span, marks: Sequence[Span]) -> Highlighted:
        """One piece, with its marks."""
        return Highlighted(
            kind,
            self.field,
            self.text[span[0] : span[1]],
            self.start + span[0],
            self.start + span[1],
            tuple((self.start + first, self.start + last) for first, last in marks),
            html(self.text, span, marks, self.form),
        )


def _of(passage: Passage, form: Highlight) -> _Source:
    return _Source(layout.TEXT, passage.text, passage.start, form)


def by_words(
    passage: Passage,
    marked: Mapping[str, tuple[str, Sequence[Span]]],
    form: Highlight,
    *,
    attached: bool = False,
) -> Iterator[Highlighted]:
    """Pieces with the words that the engine marked, by text field.

    A field whose value is part of the passage is left out: its words are marked there. But those of an index that
    others own (``attached``) are the only ones that are marked, whatever they are called.
    """
    for name, (plain, spans) in marked.items():
        if name != layout.TEXT or attached:
            if plain in passage.text and not attached:
                continue
            source = _Source(name, plain, 0, form)
        elif passage.text.startswith(plain):
            source = _of(passage, form)
        else:
            continue  # of another version of the passage
        for piece, marks in pieces(source.text, spans, form):
            yield source.piece(WORDS, piece, marks)


def met(query: SparseVector, passage: Passage) -> dict[str, float]:
    """The terms that a query and a passage share, with their products; its own weights where the others are unknown."""
    weights = passage.weights
    if weights is None:
        return dict(query)
    return {term: float(weight) * weights[term] for term, weight in query.items() if term in weights}


def by_terms(passage: Passage, query: SparseVector, tokens: Sequence[Token], form: Highlight) -> Iterator[Highlighted]:
    """Pieces with the words in which terms that met stand; none where no term of them is a word of the passage."""
    common = met(query, passage)
    words = [(match.start(), match.end()) for match in _WORD.finditer(passage.text)]
    found: dict[Span, dict[str, float]] = {}
    at = 0
    for term, start, end in tokens:
        while at < len(words) and words[at][1] <= start:
            at += 1
        if term in common and at < len(words) and words[at][0] < end:
            found.setdefault(words[at], {})[_written(passage.text, start, end, words[at])] = common[term]
    for piece, marks in pieces(passage.text, sorted(found), form):
        named = {name: product for mark in marks for name, product in found[mark].items()}
        heaviest = sorted(named, key=lambda name: (-named[name], name))[:MOST_TERMS]
        made = _of(passage, form).piece(TERMS, piece, marks)
        yield replace(made, terms={name: named[name] for name in heaviest})


def _written(text: str, start: int, end: int, word: Span) -> str:
    """A term as people know it: the word, or the part of it that the model's vocabulary has."""
    return text[max(start, word[0]) : min(end, word[1])].lower()


def sentences_of(passage: Passage) -> list[Span]:
    """The first sentences of a passage."""
    return sentences(passage.text)[:MOST_SENTENCES]


def nearness(query: Query, encoded: Encoded, rows: Sequence[int], kind: str) -> list[float]:
    """How near sentences are to a query: the cosine of their meaning, or the dot product of their terms.

    Args:
        query: with its vector.
        encoded: vectors of n texts.
        rows: which of them.
        kind: ``meaning`` or ``terms``.

    Raises:
        ModelError: what was given are no such vectors.
    """
    vectors = encoded.vectors.dense if kind == MEANING else encoded.vectors.sparse
    if vectors is None:
        raise ModelError("the encoder gave no vectors of sentences")
    if kind == TERMS:
        mine = query.sparse or {}
        return [sum(mine[term] * weight for term, weight in vectors[row].items() if term in mine) for row in rows]
    for row in rows:
        if fault := ill_formed(vectors, row, len(vectors)):
            raise ModelError(f"the encoder gave {fault}")
    matrix = np.asarray([vectors[row] for row in rows], np.float64)
    vector = np.asarray(query.dense, np.float64)
    cosines = matrix @ vector / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector))
    return [float(cosine) for cosine in cosines]


def by_sentence(
    passage: Passage, spans: Sequence[Span], scores: Sequence[float] | None, form: Highlight, kind: str = MEANING
) -> list[Highlighted]:
    """The sentence of the highest score, the first of equals, marked as a whole; without scores the only one."""
    if not spans:
        return []
    best = 0 if scores is None else max(range(len(spans)), key=lambda n: (scores[n], -n))
    span = cut(passage.text, spans[best], form.length)
    made = _of(passage, form).piece(kind, span, [span])
    return [replace(made, score=None if scores is None else scores[best])]
