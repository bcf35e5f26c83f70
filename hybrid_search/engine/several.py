"""Several indices that are searched as one: behind an alias, by a pattern (``logs-2026.*``), or in a list (``a,b``).

The engine searches the shards of all of them and merges what they find, leg by leg; so every score must mean the same
in each: the models, the analyzers and the parameters of BM25 have to agree. What says nothing about a score may differ:
the numbers of shards and replicas, the shape of the graph, and which fields can be filtered on, for a time series gets
new ones. A field that an index lacks is one that none of its documents has a value for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from hybrid_search.engine.indices import OpenedIndex, opened
from hybrid_search.engine.schemas import with_fields
from hybrid_search.errors import IndexMismatchError, IndexMissingError, UnsupportedError
from hybrid_search.fields import described_kinds, filter_kinds
from hybrid_search.records import Fingerprint, IndexSchema, TextField

MAY_DIFFER = frozenset(
    {"shards", "replicas", "hnsw_m", "hnsw_ef_construction", "title", "text_weight", "text_fields", "readings"}
    | {"keyword_fields", "number_fields", "date_fields", "geo_fields"}
)
"""Parts of a schema that change no score, or are compared in a way of their own."""


def opened_together(name: str, answer: Mapping[str, Any], where: str) -> tuple[OpenedIndex, tuple[str, ...]]:
    """What one index, or several that can be searched as one, hold; and the names of them all, sorted.

    Of several, the last by name says what is shown and how texts weigh: in a time series it is the newest. It is given
    the fields to filter on of all.

    Args:
        name: of an index or alias, a pattern or a list.
        answer: the mappings (:func:`hybrid_search.engine.indices.opening`).
        where: the cluster, for messages.

    Raises:
        IndexMissingError: the name stands for none.
        IndexMismatchError: one was not made by this package, or differs from the last in what makes scores; it is
            named, with the difference.
    """
    if len(answer) == 1:
        index = opened(name, answer, where)
        return index, (index.name,)
    if not answer:
        raise IndexMissingError(f"no index matches {name}", where=f"{where}/{name}", remedy="Check the name")
    each = [opened(index, {index: answer[index]}, where) for index in sorted(answer)]
    last = each[-1]
    for other in each[:-1]:
        if found := list(_differences(other.schema, last.schema)):
            raise IndexMismatchError(
                f"{name} stands for {len(each)} indices that cannot be searched as one: {other.name} differs from"
                f" {last.name} ({other.name} / {last.name}): {'; '.join(found)}",
                where=f"{where}/{other.name}",
                remedy=f"Leave {other.name} out, or build it anew with the models and settings of {last.name}",
            )
    lacks = any(one.may_lack_vectors for one in each)
    whole = replace(last, name=name, where=f"{where}/{name}", schema=_united(each), may_lack_vectors=lacks)
    return whole, tuple(one.name for one in each)


def refuse_remote(name: str, where: str) -> None:
    """Refuse names of indices in other clusters: no engine hands out a mapping across clusters, where the models are.

    Elasticsearch 9.5 answers ``_mapping`` of ``cluster:index`` with 400 "Cross-cluster calls are not supported in this
    context", OpenSearch 3.6 with 404.

    Raises:
        UnsupportedError: ``name`` has a colon, which no index of this cluster may have.
    """
    remote = [one for one in name.split(",") if ":" in one and not one.startswith("<")]
    if remote:
        raise UnsupportedError(
            f"{remote[0]} is in another cluster, and no engine tells across clusters which models an index has",
            where=f"{where}/{name}",
            remedy="Open that cluster by its own URL, and fuse the results of both: hybrid_search.search.fusion",
        )


def same_in_each(given: Mapping[str, Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """The filters of an alias, by index, as one clause that passes in each index what its own passes; None for none."""
    if all(one is None for one in given.values()):
        return None
    first = next(iter(given.values()))
    if all(one == first for one in given.values()):
        return first
    own = [
        {"bool": {"filter": [{"term": {"_index": index}}, *([] if one is None else [one])]}}
        for index, one in sorted(given.items())
    ]
    return {"bool": {"should": own, "minimum_should_match": 1}}


def _differences(one: IndexSchema, last: IndexSchema) -> Iterator[str]:
    for field in fields(IndexSchema):
        mine, theirs = getattr(one, field.name), getattr(last, field.name)
        if mine == theirs or field.name in MAY_DIFFER:
            continue
        if isinstance(mine, Fingerprint) and isinstance(theirs, Fingerprint):
            if lines := mine.difference(theirs):
                yield f"{field.name}: {'; '.join([f'{mine.name} / {theirs.name}', *lines])}"
        else:
            yield f"{field.name}: {_said(mine)} / {_said(theirs)}"
    mine, theirs = _analyzers(one.text_fields), _analyzers(last.text_fields)
    if mine != theirs:
        yield f"text fields: {_said(mine)} / {_said(theirs)}"
    kinds, others = described_kinds(one), described_kinds(last)
    yield from (f"field {n}: {kinds[n]} / {others[n]}" for n in sorted(kinds.keys() & others) if kinds[n] != others[n])


def _analyzers(texts: Sequence[TextField]) -> dict[str, str]:
    return {one.name: one.analyzer for one in texts}


def _said(value: Any) -> str:
    return value.name if isinstance(value, Fingerprint) else str(value or "none")


def _united(each: Sequence[OpenedIndex]) -> IndexSchema:
    """The schema of the last with the fields to filter on of all."""
    schema = each[-1].schema
    for one in each[:-1]:
        more = {name: kind for name, kind in filter_kinds(one.schema).items() if name not in filter_kinds(schema)}
        schema = with_fields(schema, more, one.schema) if more else schema
    return schema
