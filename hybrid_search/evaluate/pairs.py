"""Reranker scores of pairs of query and passage, each computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hybrid_search.errors import InputError
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.rerank import checked_scores
from hybrid_search.search.steps import Score


class Pairs:
    """The scores that the client's reranker gives, each computed once however many rankings want it.

    Where the index stores the token states that the reranker compares, those are compared, as in a search.
    """

    def __init__(self, client: SearchClient) -> None:
        self._client = client
        self._scores: dict[tuple[str, str], float] = {}

    def scores(self, query: Query, passage_ids: Sequence[str]) -> list[float]:
        """The score of each passage.

        Raises:
            InputError: a passage that was found is gone: the index changes while it is measured.
            ModelError: the reranker failed, or its scores are ill-formed.
        """
        missing = [id_ for id_ in passage_ids if (query.text, id_) not in self._scores]
        texts, stored = self._client.passages_to_score(missing) if missing else ({}, [])
        if gone := sorted(set(missing) - set(texts)):
            raise InputError(f"the passage {gone[0]} was deleted", remedy="Evaluate while nothing is being indexed")
        if texts:
            step = Score(query.text, list(texts.values()), math.inf, stored)
            found = checked_scores(self._client.searcher.ask_model(step), len(texts))
            self._scores |= {(query.text, id_): score for id_, score in zip(texts, found, strict=True)}
        return [self._scores[query.text, id_] for id_ in passage_ids]
