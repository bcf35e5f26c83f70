"""Documents cut into passages that an encoder can read whole.

A passage ends where a sentence ends, wherever a sentence fits; neighbours share up to ``overlap`` tokens, whole
sentences where such fit. A sentence longer than the limit is cut between words, and a word longer than the limit
between tokens. The cuts are a function of the text, the title, the tokenizer and the two numbers, so passage ids are
stable.

A title that models read before every passage (:func:`passages_of`) leaves the passage so much less room. It is no part
of the passage: offsets count the document's text alone. The passage that begins with the title has it already.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hybrid_search.encode.protocols import Tokenizer
from hybrid_search.errors import SettingsError
from hybrid_search.ingest.stages.heads import NO_HEAD, Head, heads_of
from hybrid_search.ingest.stages.sentences import sentence_starts
from hybrid_search.records import Document, Passage

Span = tuple[int, int]

SEGMENT = 200_000
"""Characters that are tokenized at once: a tokenizer holds some 200 bytes for each of them. No passage reaches from one
segment into the next."""


def passages(document: Document, tokenizer: Tokenizer, *, max_tokens: int, overlap: int) -> list[Passage]:
    """The passages of one document, in order; at least one.

    Every character that is not white space is in a passage, and no passage has more than ``max_tokens`` tokens when
    it is tokenized by itself (a lone token that grows beyond the limit when cut out is the one exception).

    Raises:
        SettingsError: ``max_tokens`` is below 1, or ``overlap`` is not in ``[0, max_tokens)``.
    """
    return passages_of([document], tokenizer, max_tokens=max_tokens, overlap=overlap)[0]


def passages_of(
    documents: Sequence[Document],
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    overlap: int,
    titles: Sequence[str] | None = None,
) -> list[list[Passage]]:
    """The passages of several documents, which are tokenized in one call.

    A document that carries vectors is one passage whatever its length: its vectors are those of the whole text.
    ``titles``, one for each document or empty, stand before every passage for the models, at most
    ``max_tokens // TITLE_SHARE`` tokens of them.
    """
    _check_limits(max_tokens, overlap)
    short = [document for document in documents if not _is_long(document)]
    spans = iter(tokenizer.spans([document.text for document in short]))
    heads = heads_of(titles, tokenizer, max_tokens) if titles else [NO_HEAD] * len(documents)
    found = []
    for document, head in zip(documents, heads, strict=True):
        cutting = Cutting(tokenizer, max_tokens, overlap, head)
        if _is_long(document):
            found.append(_passages_of_long(document, cutting))
        else:
            found.append(_passages(document, _ranges_of(document, next(spans), cutting), head))
    return found


def _is_long(document: Document) -> bool:
    return len(document.text) > SEGMENT and not document.carries_vectors


def _passages_of_long(document: Document, cutting: Cutting) -> list[Passage]:
    """The passages of a long text, which is tokenized a segment at a time."""
    ranges: list[Span] = []
    for begin, end in segments(document.text):
        piece = Document(document.id, document.text[begin:end])
        if not piece.text.isspace():
            found = _ranges_of(piece, cutting.tokenizer.spans([piece.text])[0], cutting)
            ranges += [(begin + start, begin + stop) for start, stop in found]
    return _passages(document, ranges or [_trimmed(document.text, 0, len(document.text))], cutting.head)


def segments(text: str) -> list[Span]:
    """Ranges of at most :data:`SEGMENT` characters that cover a text, cut at line ends, else at spaces."""
    found: list[Span] = []
    begin = 0
    while len(text) - begin > SEGMENT:
        most, half = begin + SEGMENT, begin + SEGMENT // 2
        places = (text.rfind(mark, half, most) + len(mark) for mark in ("\n\n", "\n", ". ", " "))
        end = next((place for place in places if place > half), most)
        found.append((begin, end))
        begin = end
    return [*found, (begin, len(text))]


def _passages(document: Document, ranges: Sequence[Span], head: Head) -> list[Passage]:
    return [
        Passage(document, number, start, end, head.before(document.text, start))
        for number, (start, end) in enumerate(ranges)
    ]


def _check_limits(max_tokens: int, overlap: int) -> None:
    if max_tokens < 1:
        raise SettingsError(f"must be at least 1, got {max_tokens}", where="chunking.max_tokens")
    if not 0 <= overlap < max_tokens:
        raise SettingsError(
            f"must be at least 0 and less than the passage's limit of {max_tokens} tokens, got {overlap}",
            where="chunking.overlap",
        )


def _ranges_of(document: Document, tokens: Sequence[Span], cutting: Cutting) -> list[Span]:
    text, room = document.text, cutting.room
    whole = _trimmed(text, 0, len(text))
    first = room if cutting.head.before(text, whole[0]) else cutting.max_tokens
    if document.carries_vectors or len(tokens) <= first or text.isspace():
        return [whole]
    return _fitting_ranges(text, tokens, cutting)


def _fitting_ranges(text: str, tokens: Sequence[Span], cutting: Cutting) -> list[Span]:
    """Character ranges whose own tokens fit, with those of the head.

    A piece tokenized by itself can have more tokens than it had inside the text (a word piece becomes a word, a word
    loses the space before it), so the pieces are counted again, and cut smaller where one grew.
    """
    limit = cutting.room
    while True:
        cuts = _Cuts.of(text, tokens, limit, min(cutting.overlap, limit - 1))
        ranges = _advancing(_range(text, tokens, begin, end) for begin, end in cuts.passages())
        pieces = [cutting.head.over(text[start:end]) for start, end in ranges]
        excess = max(map(len, cutting.tokenizer.spans(pieces))) - cutting.max_tokens
        if excess <= 0 or limit == 1:
            return ranges
        limit = max(1, limit - excess)


def _range(text: str, tokens: Sequence[Span], begin: int, end: int) -> Span:
    """Characters of the tokens ``[begin, end)``, with those up to the next token that the tokenizer left out."""
    start = tokens[begin][0] if begin else 0
    stop = max(tokens[end][0], tokens[end - 1][1]) if end < len(tokens) else len(text)
    return _trimmed(text, start, stop)


def _advancing(ranges: Iterable[Span]) -> list[Span]:
    """Without those that add nothing: tokens of white space are trimmed away."""
    kept: list[Span] = []
    for start, end in ranges:
        if start < end and (not kept or end > kept[-1][1]):
            kept.append((start, end))
    return kept


def _trimmed(text: str, start: int, end: int) -> Span:
    """The range without white space at its ends; empty when there is nothing else."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + max(left, len(piece.rstrip()))


@dataclass(frozen=True, slots=True)
class Cutting:
    """How one document is cut: into passages of ``max_tokens``, the head's among them."""

    tokenizer: Tokenizer
    max_tokens: int
    overlap: int
    head: Head

    @property
    def room(self) -> int:
        """Tokens of a passage's own, at least one."""
        return max(1, self.max_tokens - self.head.tokens)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where a text of ``count`` tokens may be cut: token numbers at which sentences and words begin, ascending."""

    count: int
    sentences: Sequence[int]
    words: Sequence[int]
    limit: int
    overlap: int

    @classmethod
    def of(cls, text: str, tokens: Sequence[Span], limit: int, overlap: int) -> _Cuts:
        starts = [start for start, _ in tokens]
        sentences = sorted({bisect_left(starts, offset) for offset in sentence_starts(text)} | {len(tokens)})
        words = [number for number, start in enumerate(starts) if _begins_word(text, start)]
        return cls(len(tokens), sentences, words, limit, overlap)

    def passages(self) -> list[tuple[int, int]]:
        """Token ranges ``[begin, end)`` that cover all tokens, each of at most ``limit``."""
        ranges: list[tuple[int, int]] = []
        begin = end = 0
        while end < self.count:
            end = self._end(begin, end)
            ranges.append((begin, end))
            begin = self._next_begin(begin, end)
        return ranges

    def _end(self, begin: int, done: int) -> int:
        """The last place to cut after ``done`` within the limit: between sentences, else words, else tokens."""
        most = begin + self.limit
        for places in (self.sentences, self.words):
            place = bisect_right(places, most) - 1
            if place >= 0 and places[place] > done:
                return places[place]
        return most

    def _next_begin(self, begin: int, end: int) -> int:
        """The start of the overlap before ``end``: as early as allowed if the sentence that follows still fits."""
        least = max(begin + 1, end - self.overlap)
        starts = _between(self.sentences, least, end) or _between(self.words, least, end)
        sentence_end = self.sentences[min(bisect_right(self.sentences, end), len(self.sentences) - 1)]
        fitting = (start for start in (*starts, end) if sentence_end - start <= self.limit)
        return next(fitting, starts[0] if starts else least)


def _begins_word(text: str, start: int) -> bool:
    """Whether white space comes before a token, or begins it, as with byte-level vocabularies."""
    return start == 0 or text[start - 1].isspace() or text[start : start + 1].isspace()


def _between(places: Sequence[int], least: int, below: int) -> Sequence[int]:
    return places[bisect_left(places, least) : bisect_left(places, below)]
