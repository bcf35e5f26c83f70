"""What the index holds of one document: its passages with their vectors, for what compares them again."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from hybrid_search.engine import layout
from hybrid_search.engine.foreign import whole_source
from hybrid_search.errors import EngineError, QueryError
from hybrid_search.records import MAX_DOCUMENT_ID_BYTES, IndexSchema, SparseVector, Vector
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask
from hybrid_search.search.attached import as_passages, passages_in
from hybrid_search.search.collapse import document_id
from hybrid_search.search.steps import Step

MOST = 100
"""Passages of one document that are looked at, the first ones."""

NEAR = 3
"""Ids that are named where an id is not in the index."""

_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class HeldPassage:
    """A passage as it is stored.

    Attributes:
        id: of the passage.
        text: of the passage.
        fields: the user's fields of its document.
        dense: float32 of shape (dimension,); None where the index has none.
        sparse: weights by the names of terms; None where the index has none.
        of: how many passages its document has, as it says itself.
        named: the names of the clauses that it matched, where some were asked for.
    """

    id: str
    text: str
    fields: Mapping[str, Any]
    dense: Vector | None
    sparse: SparseVector | None
    of: int
    named: frozenset[str] = field(default_factory=frozenset)


def check_document_id(id_: object) -> str:
    """The id; QueryError where no document could have it."""
    if not isinstance(id_, str):
        raise QueryError(f"{id_!r} is no id of a document", remedy="Give a string.")
    try:
        size = len(id_.encode())
    except UnicodeEncodeError as error:
        raise QueryError(f"the id {id_!r} holds half a surrogate pair", remedy="Write it in UTF-8.") from error
    if not 0 < size <= MAX_DOCUMENT_ID_BYTES:
        raise QueryError(f"an id of {size:,} bytes", remedy=f"Ids have 1 to {MAX_DOCUMENT_ID_BYTES} bytes of UTF-8.")
    return id_


def held_passages(
    id_: str, target: Target, budget: Budget, named: Mapping[str, legs.Body] | None = None
) -> Generator[Step, Any, list[HeldPassage]]:
    """The first :data:`MOST` passages of a document with their vectors, in their order; none where it is not there.

    ``named`` are clauses by name, of which each passage says which it matches.

    Raises:
        EngineError: the engine refuses, or does not answer in time.
    """
    answers = yield from ask([lambda within: passages_search(id_, target, within, named)], target, budget)
    hits = answered(answers[0]).hits
    return [_passage(hit) for hit in hits] if target.schema.attached is None else _attached(hits, target.schema)


def _attached(hits: Sequence[Mapping[str, Any]], schema: IndexSchema) -> list[HeldPassage]:
    """The passages that lie in the one document of another owner; all match what it does."""
    found = []
    for hit in hits:
        of = passages_in(hit["_source"])
        ids = [f"{document_id(str(hit['_id']))}#{number}" for number in range(max(1, of))]
        stored = as_passages([hit], ids[:MOST], schema)
        found += [_passage({**hit, "_id": id_, "_source": source}) for id_, source in stored.items()]
    return found


def answered(answer: Answered | EngineError) -> Answered:
    """The answer, or its error raised."""
    if isinstance(answer, EngineError):
        raise answer
    return answer


def passages_search(id_: str, target: Target, within: float, named: Mapping[str, legs.Body] | None = None) -> legs.Body:
    """A whole search body for the passages of a document with vectors; see :func:`held_passages`."""
    attached = target.schema.attached is not None
    wanted: legs.Body = {"filter": [layout.document_clause(id_, target.schema)]}
    if named:
        wanted["should"] = [{"bool": {"filter": [clause], "_name": name}} for name, clause in named.items()]
        wanted["minimum_should_match"] = 0
    return {
        "query": {"bool": wanted},
        "size": MOST,
        # the score is asked for: every hit must have one
        "sort": [*([] if attached else [{layout.PASSAGE: "asc"}]), {"_score": "desc"}],
        "_source": whole_source(target.dialect, None if attached else _READ),
        "track_total_hits": False,
        "timeout": f"{round(within * 1000)}ms",
    }


_READ = (*layout.STORED, layout.SHOWN_PATH, layout.PASSAGES, layout.DENSE, layout.SPARSE)


def _passage(hit: Mapping[str, Any]) -> HeldPassage:
    source = layout.as_shown(hit["_source"])
    sparse = source.get(layout.SPARSE)
    return HeldPassage(
        id=str(hit["_id"]),
        text=str(source.get(layout.TEXT, "")),
        fields=layout.user_fields(source),
        dense=dense_of(source.get(layout.DENSE)),
        sparse=None if sparse is None else {layout.unescape(term): float(weight) for term, weight in sparse.items()},
        of=int(source.get(layout.PASSAGES) or 0),
        named=frozenset(hit.get("matched_queries", ())),
    )


def dense_of(value: Any) -> Vector | None:
    """A stored vector as float32: an array, or the big-endian base64 text that Elasticsearch was given."""
    if value is None:
        return None
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value), dtype=">f4").astype(np.float32)
    return np.asarray(value, dtype=np.float32)


def nearest_ids(id_: str, target: Target, budget: Budget) -> Generator[Step, Any, tuple[str, ...]]:
    """At most :data:`NEAR` ids of the index that look like one that it has not."""
    wanted: list[legs.Body] = [
        {"term": {layout.DOC_ID: document_id(id_)}},  # somebody may give the id of a passage
        {"fuzzy": {layout.DOC_ID: {"value": id_, "fuzziness": "AUTO"}}},
        {"prefix": {layout.DOC_ID: {"value": id_[: max(1, len(id_) * 2 // 3)]}}},
        {"wildcard": {layout.DOC_ID: {"value": _escaped(id_), "case_insensitive": True}}},
    ]
    found: dict[str, None] = {}
    if target.schema.attached is not None:  # whose ids cannot be compared with anything
        return ()
    try:
        answers = yield from ask([lambda within: _ids_search(wanted, within)], target, budget)
        for hit in answered(answers[0]).hits:
            found.setdefault(document_id(str(hit["_id"])))
    except EngineError:  # a hint, which a cluster that allows no expensive queries does without
        return ()
    return tuple(sorted(found, key=lambda one: (-SequenceMatcher(None, id_, one).ratio(), one))[:NEAR])


def _ids_search(wanted: Sequence[legs.Body], within: float) -> legs.Body:
    query = {"bool": {"should": list(wanted), "filter": [{"term": {layout.PASSAGE: 0}}], "minimum_should_match": 1}}
    return legs.fused_search({"query": query}, size=_CANDIDATES, timeout=within)


def _escaped(id_: str) -> str:
    return "".join(f"\\{one}" if one in "\\*?" else one for one in id_)
