"""What of one query is reranked and what a reranker reads, and the pairs of many queries scored together."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from hybrid_search.engine import layout
from hybrid_search.errors import HybridSearchError, ModelTimeoutError
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.boosts import parted
from hybrid_search.search.fetch import fetch
from hybrid_search.search.fusion import Fused
from hybrid_search.search.outcomes import Failed, Late, missed
from hybrid_search.search.rerank import Reranked, Reranking, checked_scores, combine
from hybrid_search.search.stages import Progress
from hybrid_search.search.steps import ScorePairs, Step

FIRST_SLICE = 16
"""Hits that are scored first; how long that takes says how many more there is time for."""

NEXT_SLICE = 0.5
"""The share of the time that is left which the next slice may take, as far as the ones before foretell it."""

TOGETHER = 256
"""Pairs of many queries that are scored in one step: by length they leave hardly any padding, and others get a turn."""


READ_TOGETHER = 100
"""Passages that are read in one request."""


@dataclass(frozen=True, slots=True)
class Window:
    """The hits of one query that are reranked, and those around them.

    Attributes:
        query: its text.
        above: pinned hits.
        hits: those behind them, of which the first ``len(texts)`` are scored.
        below: buried hits.
        texts: what is read, best first.
        stored: token states instead; empty where they are not there.
    """

    query: str
    above: Sequence[Fused]
    hits: Sequence[Fused]
    below: Sequence[Fused]
    texts: Sequence[str]
    stored: Sequence[bytes]

    @classmethod
    def of(cls, one: Progress, reranking: Reranking) -> Window:
        """The window of a query whose hits were fetched."""
        above, hits, below = parted(ranked.hit for ranked in one.ranked)
        passages = [one.retrieved.best(hit).passage_id for hit in hits[: reranking.window]]
        found = [one.stored[passage] for passage in takewhile(one.stored.__contains__, passages)]
        texts = [source[layout.TEXT] for source in found]
        return cls(one.retrieved.query.plain, above, hits, below, texts, tokens_of(found) if reranking.stored else [])

    def ranked(self, scores: Sequence[float], weight: float) -> list[Reranked]:
        """All hits, of which the first were scored."""
        within = combine(self.hits, scores, weight, above=len(self.above))
        return [*as_they_are(self.above), *within, *as_they_are(self.below)]


def as_they_are(hits: Iterable[Fused]) -> list[Reranked]:
    """Hits that no reranker has read."""
    return [Reranked(hit, hit.score, None) for hit in hits]


def tokens_of(sources: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The token states of all passages; none where one lacks them, because another program wrote it."""
    if not all(isinstance(source.get(layout.LATE), str) for source in sources):
        return []
    try:
        return [b64decode(source[layout.LATE]) for source in sources]
    except ValueError:  # no base64: somebody else's
        return []


def read_to_score(
    passage_ids: Sequence[str], target: Target, *, stored: bool, timeout: float
) -> Generator[Step, Any, tuple[dict[str, str], list[bytes]]]:
    """What a reranker needs of passages outside of a search: texts by id, and the token states of all, or none.

    Passages that are gone are left out. ``stored`` as in :class:`~hybrid_search.search.rerank.Reranking`.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for begin in range(0, len(passage_ids), READ_TOGETHER):
        ids = passage_ids[begin : begin + READ_TOGETHER]
        found |= yield from fetch([ids], target, Budget(timeout), late=stored)
    texts = {id_: source[layout.TEXT] for id_, source in found.items()}
    return texts, tokens_of(list(found.values())) if stored else []


def score_together(
    windows: Sequence[Window], patience: float, whole: Budget
) -> Generator[Step, Any, tuple[list[list[float]], Failed | Late | None]]:
    """The scores of each window's first texts, and why there are not those of all.

    The best hits of every query come first, then the next ones of every query. The first step is of one query; how
    long it took says how many pairs are a step that takes no longer than a part of one search's time.

    Args:
        windows: of the queries.
        patience: seconds that one step is waited for.
        whole: the time of all of them.
    """
    order, scores = _best_first(windows), [list[float]() for _ in windows]
    begun, done, size = whole.left, 0, FIRST_SLICE
    while done < len(order):
        part = order[done : done + size]
        pairs = [(windows[n].query, windows[n].texts[row]) for n, row in part]
        try:
            found = yield from _asked(pairs, min(patience, whole.left))
        except HybridSearchError as error:
            return scores, missed(error)
        for (n, _), score in zip(part, found, strict=True):
            scores[n].append(score)
        done, taken = done + len(part), begun - whole.left
        foretold = min(patience, whole.left) * NEXT_SLICE * done / taken if taken > 0 else TOGETHER
        size = int(max(1, min(TOGETHER, foretold)))
    return scores, None


def _best_first(windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Places of windows and of texts in them: some of each window, then the next of each."""
    longest = max((len(window.texts) for window in windows), default=0)
    return [
        (n, row)
        for start in range(0, longest, FIRST_SLICE)
        for n, window in enumerate(windows)
        for row in range(start, min(start + FIRST_SLICE, len(window.texts)))
    ]


def _asked(pairs: Sequence[tuple[str, str]], left: float) -> Generator[Step, Any, list[float]]:
    require_time(left)
    return checked_scores((yield ScorePairs(pairs, left)), len(pairs))


def require_time(left: float) -> None:
    """Raise where no second is left for a reranker."""
    if left <= 0:
        raise ModelTimeoutError("no time is left for it", remedy="Give the search more: search.timeout")
