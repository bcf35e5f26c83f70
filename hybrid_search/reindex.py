"""Blue/green: a new index beside the live one, compared with it, and an alias that moves in one step.

Readers search an alias. :func:`reindex` loads the next index (``docs-2`` beside ``docs-1``), verifies it against the
source, measures both on judged queries and moves the alias only if the new one is not worse; :func:`rollback` moves it
back. No search ever falls between the two or on a mixture. All that can be checked before the load is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from hybrid_search import build
from hybrid_search.build import REPLACED, Stage, live_index
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.names import check_new_name
from hybrid_search.errors import IndexMissingError, IngestError, QueryError, SettingsError, counted
from hybrid_search.evaluate import measure, randomisation_p
from hybrid_search.evaluate.measures import NDCG, Scores
from hybrid_search.evaluate.retrieval import MEASURING
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.source import Opened, SourceOptions
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.read import Qrels
from hybrid_search.read.splits import can_be_split
from hybrid_search.records import Document, Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

DEPTH = 100
"""Hits per query that are measured."""

SIGNIFICANT = 0.05
TOLERANCE = 0.02
"""The most that nDCG@10 may fall, however likely chance is the cause."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries with judgements: grade by query id and document id."""

    queries: Sequence[Query]
    qrels: Qrels


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a reindexing did.

    Attributes:
        alias: what readers search.
        before: the index that it stood for, None for the first.
        after: the new index.
        load: the load of the new index.
        moved: whether the alias stands for the new index now.
        reason: why it was moved or not, a sentence.
        scores: nDCG@10 before and after, where there was something to compare.
        p_value: how likely chance makes such a difference.
        left: older and abandoned indices of the alias that are still there.
        removed: those that were removed.
    """

    alias: str
    before: str | None
    after: str
    load: IngestReport
    moved: bool
    reason: str
    scores: tuple[float, float] | None = None
    p_value: float | None = None
    left: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"load": self.load.as_json()}


@dataclass(slots=True)
class Encoders:
    """The encoder of the new index, and that of the live one where its settings cannot tell it."""

    new: TextEncoder
    live: TextEncoder | None = None
    live_settings: Settings = field(default_factory=Settings)


def reindex(
    source: str | Path,
    alias: str,
    connection: Connection,
    encoders: Encoders,
    settings: Settings,
    *,
    judged: Judged | None = None,
    force: bool = False,
    keep: int | None = None,
    files: LoadFiles | None = None,
    what: SourceOptions | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> Reindexed:
    """Build the next index beside the live one and move the alias to it if it is whole and not worse.

    Interrupted, it goes on with the same index when it is called again with the same source, settings and models.

    See :func:`hybrid_search.ingest.source.index_source` for what is not said here. Both indices are searched as the
    ``search`` section of ``settings`` says. ``judged`` are queries to compare them on; ``what.max_removed`` is how many
    documents of the live index the new one may lack; ``force`` moves the alias even if it lacks more, or is worse.
    ``keep`` is how many older indices of the alias stay, newest first; None removes none.

    Raises:
        IndexMismatchError: the name is an index and no alias.
        SettingsError, QueryError: the judged queries cannot be compared as asked.
        EngineError, IngestError, RecordError, SourceError: as for a load.
    """
    files, what, options = files or LoadFiles(), what or SourceOptions(), options or LoadOptions()
    _check(alias, judged, settings, what)
    waiting = patient(connection, options.retry)
    before = live_index(waiting, alias)
    live = _live_client(before, connection, encoders, settings, judged)
    with Opened(source, encoders.new, settings, files, what) as looked_at:
        new = build.begin(
            waiting, alias, before, source=source, encoder=encoders.new, settings=settings, retry=options.retry
        )
        load = looked_at.load(new, connection, progress, options)
    again = looked_at.again() if can_be_split(source) else None
    fault = _fault(waiting, before, load, what.max_removed) or _difference(waiting, load, again, settings)
    build.mark(waiting, new.name, Stage.LOADED if fault else Stage.VERIFIED)
    compared = None
    if fault is None and live is not None and judged is not None:
        client = SearchClient(new.name, settings=settings, encoder=encoders.new, connection=connection)
        compared = _measured(live, judged), _measured(client, judged)
        build.mark(waiting, new.name, Stage.MEASURED)
    return _decided(
        waiting, Reindexed(alias, before, new.name, load, False, fault or ""), compared, force=force, keep=keep
    )


def _decided(
    connection: Connection, done: Reindexed, compared: tuple[Scores, Scores] | None, *, force: bool, keep: int | None
) -> Reindexed:
    """Move the alias, or not, and say why."""
    is_good, reason = (False, done.reason) if done.reason else _verdict(compared)
    if compared is not None:
        means = compared[0].mean[NDCG], compared[1].mean[NDCG]
        done = replace(done, scores=means, p_value=_p(compared))
    if not (is_good or force):
        return replace(done, reason=reason)
    build.take_place(connection, done.alias, done.before, done.after)
    left, removed = _tidied(connection, done.alias, done.after, keep)
    return replace(done, reason=reason, moved=True, left=left, removed=removed)


def rollback(connection: Connection, alias: str) -> tuple[str, str]:
    """Let the alias stand for the index that it stood for before; the index it leaves and the one it returns to.

    Raises:
        IndexMissingError: no such alias, nothing before it, or the index before it was deleted.
    """
    now = live_index(connection, alias)
    replaced = None if now is None else indices.read_meta(connection, now).get(REPLACED)
    if now is None or replaced is None or not indices.exists(connection, replaced):
        what = "there is no such alias" if now is None else f"the index before {now} is not there ({replaced})"
        raise IndexMissingError(
            what, where=f"{connection.where}/{alias}", remedy="Build one with: hybrid-search reindex"
        )
    indices.point_alias(connection, alias, replaced)
    for index, stage in ((now, Stage.RETIRED), (replaced, Stage.LIVE)):
        build.mark(connection, index, stage)
    return now, replaced


def _check(alias: str, judged: Judged | None, settings: Settings, what: SourceOptions) -> None:
    """What would otherwise be found out after the load."""
    check_new_name(alias)  # of which those of the new indices are made
    if what.limit is not None or what.sync:
        raise SettingsError("a new index holds a whole source", where="reindex", remedy="Leave out limit and sync")
    if judged is None:
        return
    if settings.search.window < DEPTH:
        raise SettingsError(
            f"is {settings.search.window}; both indices are compared on {DEPTH} hits a query",
            where="search.window",
            remedy=f"Set it to {DEPTH} or more",
        )
    if not any(query.id in judged.qrels for query in judged.queries):
        raise QueryError("none of the queries is judged", remedy="Check that the query ids are those of the judgements")


def _live_client(
    before: str | None, connection: Connection, encoders: Encoders, settings: Settings, judged: Judged | None
) -> SearchClient | None:
    """A client on the live index that searches as the new one will be searched; opened before anything is loaded."""
    if judged is None or before is None:
        return None
    same = msgspec.structs.replace(encoders.live_settings, search=settings.search)
    return SearchClient(before, settings=same, encoder=encoders.live, connection=connection)


def _fault(connection: Connection, before: str | None, load: IngestReport, limit: Limit) -> str | None:
    """Why the new index is not whole, a sentence; None if it is, as far as counts tell."""
    if load.refused:
        return f"{counted(load.refused, 'document was', 'documents were')} refused"
    if load.excess is not None:
        return load.excess
    try:
        if before is not None:
            build.check_idle(connection, before)
            build.check_count(connection, before, load.index, limit)
    except IngestError as error:
        return error.what
    return None


def _difference(
    connection: Connection, load: IngestReport, found: Iterable[Document] | None, settings: Settings
) -> str | None:
    """How the new index differs from its source, a sentence; None if it does not, or where a stream cannot tell."""
    if found is None:
        return None
    report = verify(found, load.index, connection, settings.chunking, images=settings.images)
    counts = ", ".join(f"{group.count:,} {name}" for name, group in report.faults.items() if group.count)
    return None if report.is_equal else f"the new index differs from the source: {counts}"


def _measured(client: SearchClient, judged: Judged) -> Scores:
    """What the judged queries achieve; answers that lack something would decide about another index than there is."""
    asked = [query for query in judged.queries if query.id in judged.qrels]
    results = client.search_many(asked, DEPTH, timeout=MEASURING)
    if lacking := next((result for result in results if result.degraded), None):
        raise IngestError(
            f"query {lacking.query.id} was not answered in full: {lacking.warnings[0]}",
            where=client.searcher.target.where,
            remedy="The alias was not moved; try again when the cluster and the models answer",
        )
    rankings = {str(result.query.id): [(hit.id, hit.score) for hit in result.hits] for result in results}
    return measure({id_: judged.qrels[id_] for id_ in rankings}, rankings, [NDCG])


def _p(compared: tuple[Scores, Scores]) -> float:
    return randomisation_p(compared[0].by_query[NDCG], compared[1].by_query[NDCG])


def _verdict(compared: tuple[Scores, Scores] | None) -> tuple[bool, str]:
    """Whether the alias should move, and why."""
    if compared is None:
        return True, "nothing to compare"
    before, after = (scores.mean[NDCG] for scores in compared)
    p = _p(compared)
    if after < before and (p < SIGNIFICANT or before - after > TOLERANCE):
        return False, f"nDCG@10 {after:.4f} is worse than {before:.4f} (p = {p:.3f})"
    return True, f"nDCG@10 {after:.4f} is not worse than {before:.4f} (p = {p:.3f})"


def _tidied(connection: Connection, alias: str, live: str, keep: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The indices of the alias that are not live: those that stay, and those that were removed."""
    known = build.versions(connection, alias)
    others = [version.index for version in known if version.index != live and not version.has_alias]
    if keep is None:
        return tuple(others), ()
    removed = others[: max(0, len(others) - keep)]
    for index in removed:
        indices.delete_index(connection, index)
    return tuple(others[len(removed) :]), tuple(removed)
