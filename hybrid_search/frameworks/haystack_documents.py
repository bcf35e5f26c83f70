"""Haystack's documents as ours and back, with nothing lost.

What an index holds as it is, it holds so: the content is the text, and metadata are fields, which any other client
reads too. The rest is in one field beside them, :data:`KEPT`, as JSON: embeddings in full precision, blobs, content
that is no text (none at all, white space, decomposed letters), and metadata that an engine would refuse or change.
"""

from __future__ import annotations

import base64
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.dataclasses import Document as HaystackDocument

from hybrid_search.engine.layout import MIN_WEIGHT
from hybrid_search.errors import RecordError
from hybrid_search.frameworks import metadata_terms
from hybrid_search.frameworks.haystack_filters import TERMS
from hybrid_search.records import Document, Hit, SparseVector, Vector

KEPT = "haystack"
"""The field of an index that holds what its own fields do not."""
WITHOUT_TEXT = "\N{EM DASH}"
"""The text of a document without one: an index holds no document without, and no analyzer makes a word of it."""
DEEPEST = 8
"""Levels of objects and lists that an engine is given as they are."""
_TAG = "\N{SECTION SIGN}"
"""Key of an object that stands for a value that JSON has not."""


@dataclass(frozen=True, slots=True)
class Legs:
    """Which vectors of documents are searched: those that the index was made for."""

    dense: bool = False
    sparse: bool = False


def to_ours(document: HaystackDocument, legs: Legs, place: int) -> Document:
    """The document as an index takes it.

    Args:
        document: with an id.
        legs: which of its vectors are searched.
        place: ascends in the order in which documents are written.

    Raises:
        RecordError: metadata of a type that cannot be written.
    """
    content = document.content
    text = content if content is not None and content.strip() and _is_said(content) else WITHOUT_TEXT
    kept: dict[str, Any] = {"place": place, "size": len(unicodedata.normalize("NFC", text))}
    if text != content or not unicodedata.is_normalized("NFC", text):
        kept["content"] = written(content, document.id)
    plain = {key: value for key, value in document.meta.items() if _is_plain(key, value)}
    others = {key: value for key, value in document.meta.items() if key not in plain}
    if others:
        kept["meta"] = written(others, document.id)
    kept |= {name: value for name, value in _extras(document) if value is not None}
    fields = {**plain, KEPT: orjson.dumps(kept).decode(), TERMS: _terms(document)}
    dense = dense_vector(document.embedding) if legs.dense else None
    sparse = sparse_vector(document.sparse_embedding) if legs.sparse else None
    return Document(document.id, text, fields, dense=dense, sparse=sparse)


def to_haystack(id_: str, text: str, fields: Mapping[str, Any], score: float | None = None) -> HaystackDocument:
    """The document that was written; of an index that others filled, its text and fields.

    Args:
        id_: its id.
        text: the whole of it.
        fields: as the index has them.
        score: of a search; None leaves the document that which it was written with.
    """
    kept = orjson.loads(fields[KEPT]) if KEPT in fields else {}
    meta = {key: value for key, value in fields.items() if key not in {KEPT, TERMS}}
    return HaystackDocument(
        id=id_,
        content=read(kept["content"]) if "content" in kept else text,
        blob=_blob_of(kept.get("blob")),
        meta=meta | read(kept.get("meta", {})),
        score=read(kept.get("score")) if score is None else score,
        embedding=_numbers_of(kept.get("embedding")),
        sparse_embedding=_sparse_of(kept.get("sparse_embedding")),
    )


def passage_of(hit: Hit) -> HaystackDocument:
    """The best passage of a hit as a document of its own, which says of which it is a part as Haystack's splitter does.

    A document that is found by its only passage, the whole of it, is as it was written, but for these metadata.
    """
    whole = to_haystack(hit.id, hit.text, hit.fields, hit.score)
    meta = {**whole.meta, "source_id": hit.id, "split_idx_start": hit.start}
    return replace(whole, id=hit.passage_id, content=whole.content if is_whole(hit) else hit.text, meta=meta)


def is_whole(hit: Hit) -> bool:
    """Whether the passage of a hit is known to be the whole text of its document."""
    size = orjson.loads(hit.fields[KEPT]).get("size") if KEPT in hit.fields else None
    return hit.start == 0 and hit.end == size


def place_of(fields: Mapping[str, Any]) -> int:
    """Where the document stands in the order of writing; 0 for what others wrote."""
    return int(orjson.loads(fields[KEPT])["place"]) if KEPT in fields else 0


def _extras(document: HaystackDocument) -> Iterator[tuple[str, Any]]:
    if document.blob is not None:
        blob = document.blob
        said = [written(one, document.id) for one in (blob.meta, blob.mime_type)]
        yield "blob", [base64.b64encode(blob.data).decode(), *said]
    yield "score", written(document.score, document.id)
    yield "embedding", None if document.embedding is None else _packed(document.embedding)
    if document.sparse_embedding is not None:
        sparse = document.sparse_embedding
        yield "sparse_embedding", [list(map(int, sparse.indices)), _packed(sparse.values)]


def _terms(document: HaystackDocument) -> list[str]:
    """What the document is found by: its metadata, its id, its content as a whole, and what else it has."""
    given = [("id", document.id), ("score", document.score), *((f"meta.{k}", v) for k, v in document.meta.items())]
    vectors = {"blob": document.blob, "embedding": document.embedding, "sparse_embedding": document.sparse_embedding}
    found = metadata_terms.all_terms(given)
    found += [metadata_terms.there(name) for name, value in vectors.items() if value is not None]
    if document.content is not None:
        found += [metadata_terms.there("content"), metadata_terms.hashed("content", document.content)]
    return found


def _is_plain(key: Any, value: Any) -> bool:
    """Whether an engine holds a field of this name and value, and gives it back as it is."""
    is_name = isinstance(key, str) and bool(key.strip()) and key not in {KEPT, TERMS} and _is_said(key)
    return is_name and _is_plain_value(value, DEEPEST)


def _is_plain_value(value: Any, depth: int) -> bool:
    if isinstance(value, list | dict) and depth == 0:
        return False
    check = _PLAIN.get(type(value))
    return check is not None and check(value, depth)


_PLAIN: dict[type, Callable[[Any, int], bool]] = {
    type(None): lambda *_: True,
    bool: lambda *_: True,
    str: lambda text, _: _is_said(text),
    int: lambda number, _: -(1 << 63) <= number < 1 << 63,
    float: lambda number, _: math.isfinite(number),
    list: lambda items, depth: all(_is_plain_value(one, depth - 1) for one in items),
    dict: lambda pairs, depth: all(_is_plain_key(key) and _is_plain_value(pairs[key], depth - 1) for key in pairs),
}
"""Of each type, which values an engine holds at this depth; of the types that are derived from them, none."""


def _is_plain_key(key: Any) -> bool:
    """Whether an object of an engine may have this key: dots are paths there."""
    return isinstance(key, str) and bool(key.strip()) and "." not in key and _is_said(key)


def _is_said(text: str) -> bool:
    """Whether UTF-8 can say it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def written(value: Any, id_: str) -> Any:
    """A value as JSON that :func:`read` turns back: dates, tuples, sets, bytes and odd numbers are tagged.

    Raises:
        RecordError: a value of another type.
    """
    if value is None or isinstance(value, bool) or _is_plain_scalar(value):
        return value
    if type(value) is list:
        return [written(one, id_) for one in value]
    if type(value) is dict and all(isinstance(key, str) and _is_said(key) and key != _TAG for key in value):
        return {key: written(inner, id_) for key, inner in value.items()}
    kind, inner = _tagged(value, id_)
    return {_TAG: kind, "value": inner}


def _is_plain_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) and _is_plain_value(value, 0)


def _tagged(value: Any, id_: str) -> tuple[str, Any]:
    if isinstance(value, dict):
        return "pairs", [[written(key, id_), written(inner, id_)] for key, inner in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        name = next(one.__name__ for one in (list, tuple, set, frozenset) if isinstance(value, one))
        return name, [written(one, id_) for one in value]
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return kind.__name__, write(value)
    raise RecordError(
        f"metadata hold a {type(value).__name__}, which cannot be written: {value!r:.60}",
        where=f"document {id_[:80]!r}",
        remedy="Give what JSON holds, a date, or bytes: a text or a number, lists and dictionaries of them",
    )


_WRITERS: dict[type, Callable[[Any], str]] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    bytes: lambda value: base64.b64encode(value).decode(),
    str: lambda value: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(),
    int: int.__repr__,
    float: float.__repr__,
}
"""How values are written that JSON has not; a date with a time before one without, which it is too."""


def read(value: Any) -> Any:
    """What :func:`written` was given."""
    if isinstance(value, list):
        return [read(one) for one in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: read(inner) for key, inner in value.items()}
    return _READERS[value[_TAG]](value["value"])


_READERS: dict[str, Any] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "bytes": base64.b64decode,
    "str": lambda value: base64.b64decode(value).decode("utf-8", "surrogatepass"),
    "int": int,
    "float": float,
    "pairs": lambda value: {read(key): read(inner) for key, inner in value},
    "list": read,
    "tuple": lambda value: tuple(read(value)),
    "set": lambda value: set(read(value)),
    "frozenset": lambda value: frozenset(read(value)),
}


def _packed(numbers: list[float]) -> str:
    """Numbers as base64 of their bytes, of four each where that is exact, else of eight."""
    exact = np.asarray(numbers, dtype="<f8")
    with np.errstate(over="ignore"):
        short = exact.astype("<f4")
    is_short = np.array_equal(short.astype("<f8"), exact, equal_nan=True)
    return ("4" if is_short else "8") + base64.b64encode((short if is_short else exact).tobytes()).decode()


def _numbers_of(packed: str | None) -> list[float] | None:
    if packed is None:
        return None
    found: list[float] = np.frombuffer(base64.b64decode(packed[1:]), dtype=f"<f{packed[0]}").astype("<f8").tolist()
    return found


def _blob_of(kept: list[Any] | None) -> ByteStream | None:
    return None if kept is None else ByteStream(base64.b64decode(kept[0]), *read(kept[1:]))


def _sparse_of(kept: list[Any] | None) -> SparseEmbedding | None:
    return None if kept is None else SparseEmbedding(kept[0], _numbers_of(kept[1]) or [])


def dense_vector(embedding: list[float] | None) -> Vector | None:
    """What the dense leg searches; a vector of zeros, in float32, has no direction and is kept only."""
    vector = None if embedding is None else np.asarray(embedding, dtype=np.float32)
    return vector if vector is not None and np.vdot(vector, vector) != 0 else None


def sparse_vector(embedding: SparseEmbedding | None) -> SparseVector | None:
    """What the sparse leg searches, by the numbers of the terms; a weight that is nothing in float32 is kept only."""
    if embedding is None:
        return None
    pairs = zip(embedding.indices, embedding.values, strict=True)
    return {str(index): float(value) for index, value in pairs if abs(value) >= MIN_WEIGHT} or None
