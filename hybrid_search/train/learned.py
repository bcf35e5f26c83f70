"""What is learned from, read: judgements, click logs, and what is still to be made of the documents of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hybrid_search import read
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.engine import Connection
from hybrid_search.errors import InputError
from hybrid_search.evaluate.clicks import fit, judge_clicks, read_clicks
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.train.asked import asked_for
from hybrid_search.train.corpus import read_corpus
from hybrid_search.train.records import Judged
from hybrid_search.train.structure import kinds_of, made_of

LEAST_CLICKS, LEAST_SHOWN = 2, 2
"""Of a query and of a document: training stands more noise than a measurement does."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What is learned from.

    Attributes:
        judged: queries to train on, with grades.
        test: queries to test by, where they are named; else some of ``judged`` are held out.
        kinds: pairs to be made of the documents, by :data:`hybrid_search.train.structure.KINDS`.
        asking: address, model and passages of an endpoint that writes queries.
        near: by query id, the text of the document that a query was made of.
        more: queries to train on alone, which were made of documents while judged ones are at hand to measure by.
    """

    judged: Judged
    test: Judged | None = None
    kinds: tuple[str, ...] = ()
    asking: tuple[str, str, int] | None = None
    near: Mapping[str, str] = field(default_factory=dict)
    more: Judged | None = None


def read_learned(
    *,
    queries: Path | None = None,
    qrels: Path | None = None,
    split: str = "train",
    test_queries: Path | None = None,
    test_qrels: Path | None = None,
    test_split: str | None = None,
    clicks: Sequence[str] = (),
    pairs: str | None = None,
    asking: tuple[str, str, int] | None = None,
) -> Learned:
    """Read what is named; queries made of documents are made later, once the index is open.

    Raises:
        SourceError: a file cannot be read, or holds nothing.
        RecordError: a line is broken.
        InputError: a click log in which looking and liking cannot be told apart.
        SettingsError: an unknown kind of pairs.
    """
    kinds = kinds_of(pairs)
    parts = []
    if queries is not None and qrels is not None:
        parts.append(judgements(queries, qrels, split))
    if clicks:
        parts.append(clicked(clicks))
    test = None
    if test_split is not None and qrels is not None and queries is not None:
        test = judgements(test_queries or queries, qrels, test_split)
    elif test_qrels is not None and (named := test_queries or queries) is not None:
        test = judgements(named, test_qrels, "test")
    return Learned(joined(parts), test, kinds, asking)


def judgements(queries: Path, qrels: Path, split: str) -> Judged:
    """Judged queries of files.

    Raises:
        InputError: none of the queries is judged.
    """
    found = read.qrels(qrels, split=split)
    asked = [query for query in read.queries(queries, empty=True) if query.id in found]
    if not asked:
        remedy = "Give queries and qrels of the same set"
        raise InputError("none of the queries has judgements", where=str(qrels), remedy=remedy)
    some = {str(query.id): found[str(query.id)] for query in asked}
    origin = f"judgements of {len(asked):,} queries"
    return Judged(asked, some, origin, identical=read.is_beir(qrels))


def clicked(paths: Sequence[str]) -> Judged:
    """Judged queries of a click log, corrected for the positions at which hits were shown.

    Where no document was shown at two positions they are taken to be looked at as ``1 / position``.
    """
    log = read_clicks(paths)
    positions = {position for _, _, position in log.shown}
    try:
        model = fit(log)
    except InputError:
        model = fit(log, examination={position: 1 / position for position in positions})
    judged = judge_clicks(log, model, least_clicks=LEAST_CLICKS, least_shown=LEAST_SHOWN)
    asked = [Query(text, id=id_) for id_, text in judged.queries.items()]
    return Judged(asked, judged.qrels, f"clicks of {len(asked):,} queries")


def joined(parts: Sequence[Judged]) -> Judged:
    """Several sets of judged queries as one; of two queries with one id the first is kept."""
    queries: dict[str, Query] = {}
    grades: dict[str, Mapping[str, int]] = {}
    for part in parts:
        for query in part.queries:
            id_ = str(query.id)
            if id_ not in queries:
                queries[id_], grades[id_] = query, part.qrels[id_]
    origin = " and ".join(part.origin for part in parts) or "documents"
    is_identical = any(part.identical for part in parts)
    return Judged(list(queries.values()), {id_: dict(some) for id_, some in grades.items()}, origin, is_identical)


def with_made(
    learned: Learned, client: SearchClient, connection: Connection, recipe: Recipe, progress: OnProgress
) -> Learned:
    """The same with the queries that are to be made of the documents of the index.

    Beside judged queries they are trained on and measure nothing; alone, some of them are held out.

    Raises:
        EngineError: the index cannot be read.
        ModelError: the endpoint does not answer, or refuses.
    """
    if not learned.kinds and learned.asking is None:
        return learned
    corpus = read_corpus(connection, client.searcher, recipe.pool, seed=recipe.seed)
    parts = [made_of(corpus, learned.kinds)] if learned.kinds else []
    if learned.asking is not None:
        parts.append(asked_for(corpus, learned.asking, recipe.seed, progress))
    made = joined([part.judged for part in parts])
    near = {id_: text for part in parts for id_, text in part.near.items()}
    if learned.judged.queries:
        return replace(learned, more=made)
    return replace(learned, judged=made, near=near)
