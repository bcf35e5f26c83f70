"""Blue/green: a new index beside the live one, compared with it, and an alias that moves in one step.

Readers search an alias. :func:`reindex` loads the next index (``docs-2`` beside ``docs-1``), measures both on judged
queries and moves the alias only if the new one is not worse; :func:`rollback` moves it back. No search ever falls
between the two or on a mixture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices
from hybrid_search.engine.connection import Connection
from hybrid_search.errors import IndexMismatchError, IndexMissingError
from hybrid_search.evaluate import measure, randomisation_p
from hybrid_search.evaluate.measures import NDCG, Scores
from hybrid_search.ingest.load import LoadOptions
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.source import LoadFiles, index_source
from hybrid_search.ingest.state.ledger import OnProgress
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

WAS_LIVE, REPLACED = "was_live", "replaced"
"""Names in an index's ``_meta``: whether the alias ever stood for it, and for which index before."""

DEPTH = 100
"""Hits per query that are measured."""


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
    """

    alias: str
    before: str | None
    after: str
    load: IngestReport
    moved: bool
    reason: str
    scores: tuple[float, float] | None = None
    p_value: float | None = None

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
    files: LoadFiles | None = None,
    progress: OnProgress | None = None,
    options: LoadOptions | None = None,
) -> Reindexed:
    """Build the next index beside the live one and move the alias to it if it is not worse.

    Interrupted, it goes on with the same index when it is called again.

    Args:
        source: all documents, as for :func:`hybrid_search.ingest.source.index_source`.
        alias: what readers search; where it does not exist it is made.
        connection: the cluster.
        encoders: of the new index, and of the live one.
        settings: of the new index.
        judged: queries to compare both indices on; without them only refused documents keep the alias where it is.
        force: move the alias even if documents were refused or the new index is worse.
        files: where the load keeps its files.
        progress: see :func:`hybrid_search.ingest.pipeline.index_documents`, as for ``options``.
        options: see there.

    Raises:
        IndexMismatchError: the name is an index and no alias, or an unfinished index of other models is in the way.
        EngineError, IngestError, RecordError: as for a load.
    """
    before = live_index(connection, alias)
    after = next_index(connection, alias, before)
    load = index_source(
        source, after, connection, encoders.new, settings, files=files, progress=progress, options=options
    )
    compared = None
    if judged is not None and before is not None:
        live = SearchClient(before, settings=encoders.live_settings, encoder=encoders.live, connection=connection)
        new = SearchClient(after, settings=settings, encoder=encoders.new, connection=connection)
        compared = _measured(live, judged), _measured(new, judged)
    reason, is_good = _verdict(load, compared)
    if is_good or force:
        indices.update_meta(connection, after, {WAS_LIVE: True, REPLACED: before})
        indices.point_alias(connection, alias, after)
    means = None if compared is None else (compared[0].mean[NDCG], compared[1].mean[NDCG])
    p_value = None if compared is None else randomisation_p(compared[0].by_query[NDCG], compared[1].by_query[NDCG])
    return Reindexed(alias, before, after, load, is_good or force, reason, means, p_value)


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
    return now, replaced


def live_index(connection: Connection, alias: str) -> str | None:
    """The one index that the alias stands for, None where there is no such alias."""
    behind = indices.aliased(connection, alias)
    if len(behind) > 1:
        raise IndexMismatchError(f"the alias stands for several indices: {', '.join(behind)}", where=alias)
    if not behind and indices.exists(connection, alias):
        raise IndexMismatchError(
            "this is an index and no alias, so nothing can take its place unnoticed",
            where=f"{connection.where}/{alias}",
            remedy="Reindex to a new name and let readers search that; it will be an alias",
        )
    return behind[0] if behind else None


def next_index(connection: Connection, alias: str, live: str | None) -> str:
    """``alias-n`` with the first n after the live index's that was never live: new, or left unfinished."""
    numbered = re.fullmatch(rf"{re.escape(alias)}-(\d+)", live or "")
    number = int(numbered[1]) + 1 if numbered else 1
    while True:
        name = f"{alias}-{number}"
        if not indices.exists(connection, name) or not indices.read_meta(connection, name).get(WAS_LIVE):
            return name
        number += 1


def _measured(client: SearchClient, judged: Judged) -> Scores:
    results = client.search_many([query for query in judged.queries if query.id in judged.qrels], DEPTH)
    rankings = {str(result.query.id): [(hit.id, hit.score) for hit in result.hits] for result in results}
    return measure({id_: judged.qrels[id_] for id_ in rankings}, rankings, [NDCG])


def _verdict(load: IngestReport, compared: tuple[Scores, Scores] | None) -> tuple[str, bool]:
    """Why the alias should move or not, and whether."""
    if load.refused or load.skipped:
        return f"{load.refused} documents were refused and {load.skipped} skipped", False
    if compared is None:
        return "nothing to compare", True
    before, after = (scores.mean[NDCG] for scores in compared)
    is_good = after >= before
    return f"nDCG@10 {after:.4f} is {'not worse' if is_good else 'worse'} than {before:.4f}", is_good
