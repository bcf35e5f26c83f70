"""Passages of an index in memory: all of a small one, of a larger one those that are asked for and others by chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import Connection, indices, layout
from hybrid_search.engine.attached import refuse_attached
from hybrid_search.engine.point_in_time import point_in_time
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import InputError
from hybrid_search.fields import value_at, words_in
from hybrid_search.ingest.stages.heads import heads_of
from hybrid_search.search.asking import Target
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.table import title_in

PAGE = 1_000
IDS = 500
"""Documents that one request names."""


def read_corpus(
    connection: Connection, searcher: Searcher, limit: int, *, wanted: Iterable[str] = (), seed: int = 0
) -> Corpus:
    """All passages where there are at most ``limit``; else those of ``wanted`` documents, filled up by chance.

    Raises:
        InputError: the index holds no passages.
        EngineError: it cannot be read.
    """
    target = searcher.target
    refuse_attached(target.schema, target.where, "models are trained on passages of our own")
    total = indices.count(connection, target.index)
    if not total:
        raise InputError("holds no passages", where=target.where, remedy="Load documents first: hybrid-search index")
    if total <= limit:
        found = _whole(connection, target)
    else:
        found = _named(connection, target, list(dict.fromkeys(wanted)))
        found = [*found, *_by_chance(connection, target, limit - len(found), seed)]
    rows = {f"{one[layout.DOC_ID]}#{one[layout.PASSAGE]}": one for one in found}
    ordered = sorted(rows.items(), key=lambda row: (str(row[1][layout.DOC_ID]), int(row[1][layout.PASSAGE])))
    return Corpus(
        ids=[id_ for id_, _ in ordered],
        documents=[str(one[layout.DOC_ID]) for _, one in ordered],
        texts=for_models([one for _, one in ordered], target.schema.passage_title, searcher.encoder),
        titles=[title_in(one.get(layout.FIELDS) or {}, target.schema.title) or "" for _, one in ordered],
        total=total,
    )


def for_models(sources: Sequence[Mapping[str, Any]], title: str | None, encoder: TextEncoder | None) -> list[str]:
    """The texts of stored passages as encoders read them: under their documents' titles where the index has it so."""
    texts = [str(one.get(layout.TEXT) or "") for one in sources]
    if title is None or encoder is None or not texts:
        return texts
    titles = [words_in(value_at(layout.user_fields(one), title)) for one in sources]
    heads = heads_of(titles, encoder.tokenizer, encoder.max_tokens)
    below = zip(heads, texts, strict=True)
    return [text if text.startswith(head.title) else head.over(text) for head, text in below]


def _whole(connection: Connection, target: Target) -> list[Mapping[str, Any]]:
    sort = [{layout.DOC_ID: "asc"}, {layout.PASSAGE: "asc"}]
    body = {"size": PAGE, "sort": sort, "_source": list(layout.STORED)}
    with point_in_time(connection, target.index) as point:
        return [source for hits in point.pages(body) for source in _sources(hits)]


def _named(connection: Connection, target: Target, documents: Sequence[str]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for begin in range(0, len(documents), IDS):
        query = {"terms": {layout.DOC_ID: list(documents[begin : begin + IDS])}}
        found += _asked(connection, target, {"query": query, "size": layout.RESULT_WINDOW})
    return found


def _by_chance(connection: Connection, target: Target, count: int, seed: int) -> list[Mapping[str, Any]]:
    """Others in an order by chance, the same for the same documents of an index."""
    if count <= 0:
        return []
    by_chance = {"random_score": {"seed": seed, "field": layout.DOC_ID}, "boost_mode": "replace"}
    body = {"query": {"function_score": by_chance}, "size": min(count, layout.RESULT_WINDOW)}
    return list(_asked(connection, target, body))


def _asked(connection: Connection, target: Target, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    path = f"/{quote(target.index, safe='')}/_search"
    answer = connection.send(Request.json("POST", path, {**body, "_source": list(layout.STORED)}))
    return _sources(answer["hits"]["hits"])


def _sources(hits: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The stored passages; not what another program has written into the index."""
    return (
        source
        for hit in hits
        if isinstance((source := hit["_source"]).get(layout.DOC_ID), str) and layout.PASSAGE in source
    )
