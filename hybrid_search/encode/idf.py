"""The lexical idf encoder: sparse vectors without inference, over the word pieces of the BERT uncased vocabulary.

A passage's weight of a piece is BM25's saturated term frequency, a query's weight is the piece's idf, so that their
dot product is a BM25 over word pieces with a fixed average length (Robertson and Zaragoza 2009, "The Probabilistic
Relevance Framework"; the inference-free query side is that of arXiv:2411.04403)::

    passage: tf * 1.9 / (tf + 0.9 * (0.6 + 0.4 * length / 200))      query: tf * ln(1 + (N - df + 0.5) / (df + 0.5))

It learns nothing and expands nothing; it is what a sparse leg can be where no model is at hand. The idf table comes
with the package (built by ``training/idf.py``); another one can be read from a folder with an ``idf.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.folder import DIGEST_LENGTH, is_model, vocabulary_digest
from hybrid_search.encode.protocols import QueryLimit
from hybrid_search.encode.sources import find_model
from hybrid_search.encode.tokens import TokenSpans, load_tokenizer
from hybrid_search.errors import ModelError
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import DENSE_MODEL

if TYPE_CHECKING:
    import tokenizers

TABLE_FILE = Path(__file__).with_name("idf_bert_uncased.npz")

K1 = 0.9
B = 0.4
TOKENIZED = 200_000
"""Characters of several texts that are tokenized at once."""
NO_LIMIT = 1_000_000_000  # tokens: nothing is cut here
AVERAGE_LENGTH = 200.0  # in word pieces; fixed, so that a passage's vector does not depend on the others


class IdfEncoder:
    """Sparse vectors of word pieces; needs the library ``tokenizers``, no torch. Safe to share between threads.

    Args:
        tokenizer: a tokenizer of the vocabulary that the table is for.
        idf: float32 of shape (vocabulary,).
        name: what explanations call it.
        vocabulary: digest of the tokenizer, for the fingerprint.
        max_terms: keep only so many pieces of a passage, the heaviest.
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        idf: NDArray[np.float32],
        *,
        name: str,
        vocabulary: str,
        max_terms: int | None = None,
    ) -> None:
        if tokenizer.get_vocab_size() != len(idf):
            raise ModelError(
                f"the idf table has {len(idf):,} entries, the tokenizer {tokenizer.get_vocab_size():,}",
                where=name,
                remedy="Use the tokenizer that the table was made for",
            )
        self._tokenizer = tokenizer
        self._weights = idf.tolist()
        self._content = frozenset(_content_pieces(tokenizer))
        self._max_terms = max_terms
        self.tokenizer = TokenSpans(tokenizer)
        self.max_tokens = NO_LIMIT
        self.query_limit = QueryLimit(NO_LIMIT, self.tokenizer)
        self.fingerprint = Fingerprint(
            kind="idf",
            name=name,
            weights=hashlib.sha256(idf.astype("<f4").tobytes()).hexdigest()[:DIGEST_LENGTH],
            vocabulary=vocabulary,
            extra={"k1": K1, "b": B, "average_length": AVERAGE_LENGTH, "max_terms": max_terms},
        )

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Saturated term frequencies by vocabulary id; empty for a text without letters or digits."""
        return [self._passage(ids) for ids in self._ids(texts)]

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Term frequency times idf by vocabulary id; empty for a text without letters or digits."""
        return [
            {
                str(piece): count * self._weights[piece]
                for piece, count in Counter(ids).items()
                if self._weights[piece] > 0
            }
            for ids in self._ids(texts)
        ]

    def _ids(self, texts: Sequence[str]) -> Iterable[list[int]]:
        for group in _groups(texts):
            for encoding in self._tokenizer.encode_batch(group, add_special_tokens=False):
                yield [piece for piece in encoding.ids if piece in self._content]

    def _passage(self, ids: list[int]) -> SparseVector:
        norm = K1 * (1 - B + B * len(ids) / AVERAGE_LENGTH)
        # Ties at the limit are broken by id, or pruning would depend on the order of words.
        kept = sorted(Counter(ids).items(), key=lambda item: (-item[1], -self._weights[item[0]], item[0]))
        return {str(piece): count * (K1 + 1) / (count + norm) for piece, count in kept[: self._max_terms]}


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, so many at a time that the tokenizer, which holds 200 bytes a character, takes 40 MB."""
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) > TOKENIZED:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


def is_table(folder: Path) -> bool:
    """Whether a folder holds an idf table and its tokenizer, and no model."""
    return all((folder / name).is_file() for name in ("idf.json", "tokenizer.json")) and not is_model(folder)


def load_idf(table: Path | None = None, *, max_terms: int | None = None) -> IdfEncoder:
    """The idf encoder with the table of the package, or with that of a folder holding ``idf.json`` and a tokenizer.

    Raises:
        ModelError: no tokenizer for the table, or a table of another shape.
    """
    folder = table or find_model(DENSE_MODEL)
    tokenizer = load_tokenizer(folder)
    idf = _packaged_table() if table is None else _table_of_json(table / "idf.json", tokenizer)
    name = "idf" if table is None else str(table)
    return IdfEncoder(tokenizer, idf, name=name, vocabulary=vocabulary_digest(folder), max_terms=max_terms)


def _packaged_table() -> NDArray[np.float32]:
    with np.load(TABLE_FILE, allow_pickle=False) as table:
        return np.asarray(table["idf"], dtype=np.float32)


def _table_of_json(path: Path, tokenizer: tokenizers.Tokenizer) -> NDArray[np.float32]:
    """The layout of the OpenSearch inference-free models: an object from token to idf."""
    try:
        weights = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"no idf table ({error})", where=str(path), remedy="Give a folder with idf.json") from error
    idf = np.zeros(tokenizer.get_vocab_size(), dtype=np.float32)
    for token, weight in weights.items():
        number = tokenizer.token_to_id(token)
        if number is not None:
            idf[number] = weight
    return idf


def _content_pieces(tokenizer: tokenizers.Tokenizer) -> Iterable[int]:
    """Ids of pieces made of letters and digits: no punctuation, no special tokens."""
    return (number for piece, number in tokenizer.get_vocab().items() if piece.removeprefix("##").isalnum())
