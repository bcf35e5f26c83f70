"""Reranker scores of pairs of query and passage, each computed once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hybrid_search.errors import InputError
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.rerank import checked_scores
from hybrid_search.search.steps import Score, ScorePairs

QUERIES = 32
"""Queries whose pairs are scored together."""


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
        ids = list(dict.fromkeys(id_ for _, id_ in missing))
        texts, stored = self._client.passages_to_score(ids)
        if gone := sorted(set(ids) - set(texts)):
            raise InputError(f"the passage {gone[0]} was deleted", remedy="Evaluate while nothing is being indexed")
        steps: Iterable[tuple[Score | ScorePairs, Sequence[tuple[str, str]]]]
        if stored:
            steps = _by_query(missing, texts, dict(zip(texts, stored, strict=True)))
        else:
            steps = [(ScorePairs([(text, texts[id_]) for text, id_ in missing], math.inf), missing)]
        for step, of in steps:
            found = checked_scores(self._client.searcher.ask_model(step), len(of))
            self._scores |= zip(of, found, strict=True)


def _by_query(
    pairs: Sequence[tuple[str, str]], texts: Mapping[str, str], stored: Mapping[str, bytes]
) -> Iterator[tuple[Score, Sequence[tuple[str, str]]]]:
    """A step for each query, with the token states of its passages, and the pairs that it scores."""
    for query in dict.fromkeys(text for text, _ in pairs):
        of = [pair for pair in pairs if pair[0] == query]
        yield Score(query, [texts[id_] for _, id_ in of], math.inf, [stored[id_] for _, id_ in of]), of
