"""The vectors of queries that were encoded before: the latest of them, by the models' fingerprints and the text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from hybrid_search.encode.protocols import EncodedTexts, TextEncoder
from hybrid_search.records import SparseVector, Vector
from hybrid_search.search.encoding import ill_formed
from hybrid_search.search.steps import Encoded

LONGEST = 4096
"""Characters of a text that is kept; longer ones are hardly searched for twice."""

Key = tuple[str, str]
"""The fingerprints of the models as :func:`fingerprint_of` gives them, and a text."""


@dataclass(frozen=True, slots=True)
class QueryVectors:
    """What an encoder made of one text: ``dense`` float32 of shape (dimension,), ``sparse`` weights by term.

    ``cut`` has, for each leg whose model cuts the text, the tokens that it reads and those that there are.
    """

    dense: Vector | None
    sparse: SparseVector | None
    cut: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class QueryCache:
    """The ``size`` texts that were used last, and what an encoder made of them; safe to share between threads.

    ``hits`` and ``misses`` count the texts that were looked for. Of 384 components and 100 terms an entry takes some
    12 KB.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.hits = self.misses = 0
        self._kept: OrderedDict[Key, QueryVectors] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def found(self, fingerprint: str | None, texts: Sequence[str]) -> list[QueryVectors | None]:
        """What is kept of each text; nothing where there is no fingerprint."""
        if fingerprint is None or not self.size:
            return [None] * len(texts)
        with self._lock:
            rows = [self._kept.get((fingerprint, text)) for text in texts]
            for text, row in zip(texts, rows, strict=True):
                if row is not None:
                    self._kept.move_to_end((fingerprint, text))
        return rows

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Keep and find nothing meanwhile: where encoding is timed. What was kept is gone."""
        size, self.size = self.size, 0
        with self._lock:
            self._kept.clear()
        try:
            yield
        finally:
            self.size = size

    def count(self, rows: Sequence[QueryVectors | None]) -> None:
        """Texts that a search has looked for."""
        with self._lock:
            hits = sum(row is not None for row in rows)
            self.hits += hits
            self.misses += len(rows) - hits

    def keep(self, fingerprint: str | None, texts: Sequence[str], rows: Sequence[QueryVectors]) -> None:
        """Keep what an encoder made, and leave out what was used least recently."""
        if fingerprint is None or not self.size:
            return
        with self._lock:
            for text, row in zip(texts, rows, strict=True):
                if len(text) <= LONGEST and _is_sound(row):
                    self._kept[fingerprint, text] = row
                    self._kept.move_to_end((fingerprint, text))
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)


def fingerprint_of(encoder: TextEncoder | None) -> str | None:
    """What tells the vectors of one encoder from those of another; None where nothing is encoded."""
    models = [getattr(encoder, part, None) for part in ("dense", "sparse")]
    return None if models == [None, None] else repr(models)


def rows_of(encoded: object, count: int) -> list[QueryVectors] | None:
    """An encoder's answer to ``count`` texts, text by text; None where it is no such answer."""
    if not isinstance(encoded, Encoded):
        return None
    dense, sparse = encoded.vectors.dense, encoded.vectors.sparse
    if any(vectors is not None and not _has_rows(vectors, count) for vectors in (dense, sparse)):
        return None
    cuts: list[dict[str, tuple[int, int]]] = [{} for _ in range(count)]
    for leg, cut in encoded.cut.items():
        for row, tokens in cut.items():
            cuts[row][leg] = tokens
    return [
        QueryVectors(
            None if dense is None else np.array(dense[n]), None if sparse is None else _terms(sparse[n]), cuts[n]
        )
        for n in range(count)
    ]


def joined(rows: Sequence[QueryVectors]) -> Encoded:
    """The answer to several texts, made of theirs: copies, so that nobody changes what is kept."""
    dense = [row.dense for row in rows if row.dense is not None]
    sparse = [row.sparse for row in rows if row.sparse is not None]
    cut: dict[str, dict[int, tuple[int, int]]] = {}
    for n, row in enumerate(rows):
        for leg, tokens in row.cut.items():
            cut.setdefault(leg, {})[n] = tokens
    vectors = EncodedTexts(
        np.stack(dense) if len(dense) == len(rows) else None,
        [_terms(terms) for terms in sparse] if len(sparse) == len(rows) else None,
    )
    return Encoded(vectors, cut)


def _terms(terms: SparseVector) -> SparseVector:
    return dict(terms) if isinstance(terms, Mapping) else terms


def _has_rows(vectors: object, count: int) -> bool:
    is_list = isinstance(vectors, Sequence) or (isinstance(vectors, np.ndarray) and vectors.ndim > 0)
    return is_list and len(vectors) == count  # type: ignore[arg-type]  # either has a length


def _is_sound(row: QueryVectors) -> bool:
    """Whether an encoder would have to make it again: what is no vector is not kept."""
    made = [vector for vector in (row.dense, row.sparse) if vector is not None]
    return bool(made) and all(ill_formed([vector], 0, 1) is None for vector in made)
