"""Hard negatives from the hybrid index itself: what all legs together rank high, and is not relevant.

Of the fused ranking of a training query, documents of ranks 10 to 100 are taken, drawn by chance: those above are often
relevant and unjudged. Three filters take out what may be relevant all the same: whatever is judged above 0, a
near-duplicate of a relevant passage, and, where a reranker is set, what it does not place clearly below the best
relevant one (positive-aware mining: Moreira et al. 2024, arXiv:2407.15831). Judged grades of 0 are hard negatives that
somebody has looked at, and come first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Corpus, Pair
from hybrid_search.evaluate.pairs import Pairs
from hybrid_search.evaluate.retrieval import OnProgress, retrieve_in_full
from hybrid_search.records import Query
from hybrid_search.search import Fusion, SearchClient
from hybrid_search.search.request import SearchOptions
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.train.records import Judged
from hybrid_search.train.split import NEAR, words_of
from hybrid_search.train.structure import without

FIRST, LAST = 10, 100
"""Ranks of the fused list, from 1, that negatives are drawn from."""

CLEARLY = 0.5
"""Standard deviations of a query's reranker scores by which a negative stands below the best positive."""

SCORED = 30
"""Documents of a query that the reranker scores, at most."""


@dataclass(slots=True)
class Mined:
    """The pairs, and how many candidates each filter took out."""

    pairs: list[Pair] = field(default_factory=list)
    too_alike: int = 0
    too_good: int = 0
    by_chance: int = 0


def retrieved_for(
    client: SearchClient, queries: Sequence[Query], progress: OnProgress, **options: Unpack[SearchOptions]
) -> list[Retrieved]:
    """What the legs of the index find for every query."""
    return retrieve_in_full(client, queries, progress, **options)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its judgements and its fused ranking; documents ``outside`` are no negatives."""

    query: Query
    grades: Mapping[str, int]
    ranking: Sequence[str]
    scores: Mapping[str, float]
    passages: Mapping[str, str]
    outside: frozenset[str]


def _asked(one: Retrieved, fusion: Fusion, judged: Judged) -> _Asked:
    grades, fused = judged.qrels[str(one.query.id)], one.fused(fusion)
    return _Asked(
        query=one.query,
        grades=grades,
        ranking=[hit.id for hit in fused],
        scores={hit.id: hit.score for hit in fused},
        passages={hit.id: one.best(hit).passage_id for hit in fused},
        outside=frozenset([*grades, *([str(one.query.id)] if judged.identical else [])]),
    )


@dataclass(slots=True)
class Miner:
    """Pairs with negatives of training queries.

    Args:
        client: of the index; its reranker judges candidates, where there is one.
        corpus: with the passages of all documents that may be taken.
        fusion: of the settings.
        recipe: how many positives and negatives, and the seed.
    """

    client: SearchClient
    corpus: Corpus
    fusion: Fusion
    recipe: Recipe
    _rows: Mapping[str, list[int]] = field(init=False)
    _place: Mapping[str, int] = field(init=False)
    _scored: Pairs = field(init=False)

    def __post_init__(self) -> None:
        self._rows = self.corpus.rows()
        self._place = {id_: place for place, id_ in enumerate(self.corpus.ids)}
        self._scored = Pairs(self.client)

    def mined(self, judged: Judged, found: Sequence[Retrieved], progress: OnProgress) -> Mined:
        """The pairs of all queries, in an order that the seed decides."""
        chance, mined = random.Random(self.recipe.seed), Mined()  # noqa: S311 - a fixed order, no secret
        for done, one in enumerate(found, start=1):
            self._add(_asked(one, self.fusion, judged), mined, chance)
            progress("mine", done, len(found))
        chance.shuffle(mined.pairs)
        return mined

    def _add(self, asked: _Asked, mined: Mined, chance: random.Random) -> None:
        relevant = [id_ for id_, grade in sorted(asked.grades.items()) if grade > 0 and id_ in self._rows]
        positives = sorted(relevant, key=lambda id_: (-asked.grades[id_], chance.random()))[: self.recipe.positives]
        refused = [id_ for id_, grade in asked.grades.items() if grade <= 0 and id_ in self._rows]
        ranked = [id_ for id_ in asked.ranking[FIRST - 1 : LAST] if id_ not in asked.outside and id_ in self._rows]
        chance.shuffle(ranked)
        chance.shuffle(refused)
        texts = [words_of(self._text(id_, asked)) for id_ in relevant]
        apart = [id_ for id_ in ranked if not _is_near(words_of(self._text(id_, asked)), texts)]
        mined.too_alike += len(ranked) - len(apart)
        below = self._below(asked, positives, [*refused, *apart], mined)
        own = self._filled(below, len(positives), asked, mined, chance)
        for positive, negatives in zip(positives, own, strict=True):
            mined.pairs.append(
                Pair(
                    query_id=str(asked.query.id),
                    query=asked.query.text,
                    document=positive,
                    positive=without(self._text(positive, asked), asked.query.text),
                    negatives=tuple(self._text(id_, asked) for id_ in negatives),
                    margins=tuple(below.get(id_, 1.0) for id_ in negatives),
                )
            )

    def _below(
        self, asked: _Asked, positives: Sequence[str], candidates: Sequence[str], mined: Mined
    ) -> dict[str, float]:
        """The candidates that a reranker places clearly below the best positive, and by how much.

        Without one all of them are, by their fused scores; what is not in the ranking, by one deviation.
        """
        if self.client.searcher.reranker is None or not positives:
            scores = np.array([asked.scores.get(id_, 0.0) for id_ in (*positives, *candidates)])
            margins = _margins(candidates, scores, len(positives))
            return {id_: max(CLEARLY, margin) for id_, margin in margins.items()}
        some = candidates[: max(SCORED - len(positives), len(positives) * self.recipe.negatives)]
        ids = [self._passage(id_, asked) for id_ in (*positives, *some)]
        margins = _margins(some, np.array(self._scored.scores(asked.query, ids)), len(positives))
        kept = {id_: margin for id_, margin in margins.items() if margin >= CLEARLY}
        mined.too_good += len(margins) - len(kept)
        return kept

    def _filled(
        self, below: Mapping[str, float], pairs: int, asked: _Asked, mined: Mined, chance: random.Random
    ) -> list[list[str]]:
        """Negatives for each of so many pairs; what is lacking is drawn by chance, for a batch has as many columns."""
        kept, count = list(below), self.recipe.negatives
        found = [kept[n * count : (n + 1) * count] or kept[:count] for n in range(pairs)]
        others = [id_ for id_ in self._rows if id_ not in asked.outside] or list(self._rows)
        for own in found:
            while len(own) < count:
                own.append(chance.choice(others))
                mined.by_chance += 1
        return found

    def _passage(self, document: str, asked: _Asked) -> str:
        """The passage by which the document was found, else its first."""
        found = asked.passages.get(document, "")
        return found if found in self._place else self.corpus.ids[self._rows[document][0]]

    def _text(self, document: str, asked: _Asked) -> str:
        return self.corpus.texts[self._place[self._passage(document, asked)]]


def _margins(candidates: Sequence[str], scores: NDArray[np.float64], positives: int) -> dict[str, float]:
    """By how many standard deviations each candidate is below the best positive; the positives come first."""
    spread = float(scores.std()) if len(scores) else 0.0
    best = float(scores[:positives].max()) if positives else 0.0
    return {
        id_: (best - float(score)) / (spread or 1.0) for id_, score in zip(candidates, scores[positives:], strict=True)
    }


def _is_near(words: frozenset[str], others: Sequence[frozenset[str]]) -> bool:
    return any(len(words & other) >= NEAR * len(words | other) for other in others if other)
