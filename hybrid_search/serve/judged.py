"""The judged queries and how well each is answered, the worst first.

Every query is retrieved once, in the background; its runs are kept, so that another fusion is measured by arithmetic.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hybrid_search.errors import HybridSearchError
from hybrid_search.evaluate.measures import NDCG, measure
from hybrid_search.records import Query
from hybrid_search.search import AsyncSearchClient
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.searcher import BATCH
from hybrid_search.serve.judgements import Judgements

RUN_TIMEOUT = 60.0
"""Seconds that a query of a batch may take: nobody waits for it."""

MOST = 1_000
"""Judged queries that are measured, the first: the runs of one take some 100 KB of memory."""

KEPT = 600.0
"""Seconds for which runs are kept."""


class JudgedQueries:
    """What was retrieved for the judged queries so far.

    Args:
        client: an open one.
        judgements: which queries, and their grades.
        ignore_identical: leave out the document with the query's own id, as for a BEIR folder.
    """

    def __init__(self, client: AsyncSearchClient, judgements: Judgements, *, ignore_identical: bool = False) -> None:
        self._client = client
        self._judgements = judgements
        self._ignore_identical = ignore_identical
        self._retrieved: dict[str, Retrieved] = {}
        self._begun = time.monotonic()
        self._retrieving: asyncio.Task[None] | None = None
        self._error: HybridSearchError | None = None

    async def measured(self, fusion: Fusion) -> dict[str, Any]:
        """nDCG@10 of each judged query by this fusion, the worst first; those not retrieved yet are at the end.

        Raises:
            HybridSearchError: they could not be retrieved; the next call tries again.
        """
        every = self._judgements.queries
        queries = every[:MOST]
        self._forget_old()
        missing = [query for query in queries if query.id not in self._retrieved]
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if missing and (self._retrieving is None or self._retrieving.done()):
            self._retrieving = asyncio.create_task(self._retrieve(missing))
        return {**await asyncio.to_thread(self._measured, queries, fusion), "left_out": len(every) - len(queries)}

    def _forget_old(self) -> None:
        """The index may have changed: what was retrieved a while ago is so again, once nobody is at it."""
        is_at_it = self._retrieving is not None and not self._retrieving.done()
        if time.monotonic() - self._begun > KEPT and not is_at_it:
            self._retrieved, self._begun = {}, time.monotonic()

    async def close(self) -> None:
        """Stop retrieving."""
        if self._retrieving is not None:
            self._retrieving.cancel()
            await asyncio.gather(self._retrieving, return_exceptions=True)

    async def _retrieve(self, queries: Sequence[Query]) -> None:
        asked = [query for query in queries if query.text.strip()]
        try:
            for begin in range(0, len(asked), BATCH):
                batch = asked[begin : begin + BATCH]
                found = await self._client.retrieve(batch, timeout=RUN_TIMEOUT)
                self._retrieved |= {str(query.id): one for query, one in zip(batch, found, strict=True)}
        except HybridSearchError as error:
            self._error = error

    def _measured(self, queries: Sequence[Query], fusion: Fusion) -> dict[str, Any]:
        qrels = self._judgements.qrels
        retrieved = {str(query.id): self._retrieved.get(str(query.id)) for query in queries}
        there = {id_: one for id_, one in retrieved.items() if one is not None}
        values = self._values({id_: qrels[id_] for id_ in there}, there, fusion)
        listed: list[dict[str, Any]] = [
            {"id": id_, "text": query.text, "value": values.get(id_), "judged": len(qrels[id_])}
            for id_, query in zip(retrieved, queries, strict=True)
        ]
        return {
            "measure": NDCG,
            "mean": sum(values.values()) / len(values) if values else None,
            "retrieved": len(there),
            "total": len(queries),
            "queries": sorted(listed, key=lambda one: (one["value"] is None, one["value"] or 0.0)),
        }

    def _values(
        self, qrels: Mapping[str, Mapping[str, int]], retrieved: Mapping[str, Retrieved], fusion: Fusion
    ) -> Mapping[str, float]:
        if not qrels:
            return {}
        rankings = {
            id_: [(hit.id, hit.score) for hit in one.fused(fusion) if not (self._ignore_identical and hit.id == id_)]
            for id_, one in retrieved.items()
        }
        judged = {id_: dict(grades) for id_, grades in qrels.items()}
        return measure(judged, rankings, [NDCG]).by_query[NDCG]
