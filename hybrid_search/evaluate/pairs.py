"""Reranker scores of pairs of query and passage, each computed once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hybrid_search.errors import InputError
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.rerank import checked_scores
from hybrid_search.search.steps import ScorePairs

QUERIES = 32
"""Queries whose pairs are scored together."""


class Pairs:
    """The scores that the client's reranker gives, each computed once however many rankings want it."""

    def __init__(self, client: SearchClient) -> None:
        self._client = client
        self._scores: dict[tuple[str, str], float] = {}

    def scores(self, query: Query, passage_ids: Sequence[str]) -> list[float]:
        """The score of each passage.

        Raises:
            InputError: a passage that was found is gone: the index changes while it is measured.
            ModelError: the reranker failed, or its scores are ill-formed.
        """
        self._score([(query.text, id_) for id_ in passage_ids])
        return [self._scores[query.text, id_] for id_ in passage_ids]

    def prepare(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Score the passages that many queries want, by their texts; those of :data:`QUERIES` queries together.

        Raises:
            InputError, ModelError: as :meth:`scores`.
        """
        texts = list(wanted)
        for start in range(0, len(texts), QUERIES):
            self._score([(text, id_) for text in texts[start : start + QUERIES] for id_ in wanted[text]])

    def _score(self, pairs: Sequence[tuple[str, str]]) -> None:
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in self._scores]
        if not missing:
            return
        passages = self._client.passages(list(dict.fromkeys(id_ for _, id_ in missing)))
        if gone := sorted({id_ for _, id_ in missing} - set(passages)):
            raise InputError(f"the passage {gone[0]} was deleted", remedy="Evaluate while nothing is being indexed")
        step = ScorePairs([(text, passages[id_]) for text, id_ in missing], math.inf)
        found = checked_scores(self._client.searcher.ask_model(step), len(missing))
        self._scores |= zip(missing, found, strict=True)
