"""A model measured where it will be used: its leg exactly, over passages in memory, and fused with the other legs.

What the other legs found was retrieved from the index, once. The leg that is trained takes the place of the one of the
index, before training and after it in the same way, so that only the model differs: every passage is compared, passages
of one document count by the best, and fusion is the one that searches use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.finetune.records import Corpus, Validation
from hybrid_search.evaluate.comparison import comparisons
from hybrid_search.evaluate.measures import NDCG, Scores, measure
from hybrid_search.evaluate.runs import Ranking
from hybrid_search.search import Fusion
from hybrid_search.search.collapse import Best
from hybrid_search.search.outcomes import Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.train.records import Change, Judged

FUSED, RERANKED = "fused", "reranked"
SIGNIFICANT = 0.05

Systems = Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class Bench:
    """Judged queries and what every leg of the index found for them.

    Attributes:
        judged: the queries, all with judgements.
        retrieved: of each query, in their order.
        corpus: the passages that the trained leg ranks.
        fusion: of the settings.
        legs: those that are fused.
        leg: the one that is trained.
        window: documents that a leg ranks.
    """

    judged: Judged
    retrieved: Sequence[Retrieved]
    corpus: Corpus
    fusion: Fusion
    legs: tuple[str, ...]
    leg: str
    window: int

    def unchanged(self) -> Systems:
        """The legs that are not trained, as the index finds them."""
        found = {}
        for leg in self.legs:
            if leg != self.leg:
                runs = {
                    str(one.query.id): [(best.id, best.score) for best in one.runs.get(leg, {}).values()]
                    for one in self.retrieved
                }
                found[leg] = self._measured(runs)
        return found

    def measured(self, scores: NDArray[np.float32]) -> Systems:
        """The trained leg alone, and all legs fused; ``scores`` of shape (queries, passages), higher is better."""
        return self._replaced([self._run(row) for row in scores])

    def validation(self) -> Validation:
        """The same for whoever trains, and knows of neither legs nor judgements."""

        def fused(scores: NDArray[np.float32]) -> float:
            return self.measured(scores)[FUSED].mean[NDCG]

        return Validation([query.text for query in self.judged.queries], self.corpus.texts, fused)

    def found(self, retrieved: Sequence[Retrieved]) -> Systems:
        """The same by the leg as the index finds it: of the queries, in their order."""
        return self._replaced([LegRun(one.runs.get(self.leg, {})) for one in retrieved])

    def _replaced(self, leg: Sequence[LegRun]) -> Systems:
        runs, fused = {}, {}
        for one, run in zip(self.retrieved, leg, strict=True):
            legs, id_ = {**one.legs, self.leg: Found(run)}, str(one.query.id)
            runs[id_] = [(best.id, best.score) for best in run.hits.values()]
            fused[id_] = [(hit.id, hit.score) for hit in replace(one, legs=legs).fused(self.fusion, self.legs)]
        return {self.leg: self._measured(runs), FUSED: self._measured(fused)}

    def fused(self) -> Systems:
        """All legs fused, as they were retrieved."""
        runs = {
            str(one.query.id): [(hit.id, hit.score) for hit in one.fused(self.fusion, self.legs)]
            for one in self.retrieved
        }
        return {FUSED: self._measured(runs)}

    def measure(self, runs: Mapping[str, Ranking], *, only: Collection[str] | None = None) -> Scores:
        """How good rankings are, of all queries or ``only`` some."""
        return self._measured(runs, only)

    def _run(self, row: NDArray[np.float32]) -> LegRun:
        """Documents by their best passage, the first of the window; ties by id, as in every run."""
        starts = _starts(self.corpus.documents)
        best = np.maximum.reduceat(row, starts)
        names = [self.corpus.documents[start] for start in starts]
        keep = min(self.window, len(best))
        floor = np.partition(best, len(best) - keep)[len(best) - keep]
        some = sorted(np.flatnonzero(best >= floor).tolist(), key=lambda n: (-best[n], names[n]))[:keep]
        ends = [*starts[1:], len(row)]
        hits = {}
        for n in some:
            if self.leg == "sparse" and best[n] <= 0:
                break  # the engine finds no passage without a common term
            place = starts[n] + int(np.argmax(row[starts[n] : ends[n]]))
            hits[names[n]] = Best(names[n], self.corpus.ids[place], float(best[n]))
        return LegRun(hits)

    def _measured(self, runs: Mapping[str, Ranking], only: Collection[str] | None = None) -> Scores:
        if self.judged.identical:
            runs = {id_: [hit for hit in run if hit[0] != id_] for id_, run in runs.items()}
        qrels = {id_: some for id_, some in self.judged.qrels.items() if only is None or id_ in only}
        return measure(qrels, runs, (NDCG,))


def _starts(documents: Sequence[str]) -> list[int]:
    """Where the passages of each document begin."""
    return [n for n, one in enumerate(documents) if n == 0 or documents[n - 1] != one]


def changes(unchanged: Systems, before: Systems, after: Systems) -> list[Change]:
    """Every system before and after; p-values are corrected for the number of those that were trained."""
    told = [Change(name, one.mean[NDCG], one.mean[NDCG], None) for name, one in unchanged.items()]
    found = [comparisons([after[name].by_query[NDCG]], before[name].by_query[NDCG])[0] for name in before]
    corrected = _corrected([one.p_value for one in found])
    for name, one, p_value in zip(before, found, corrected, strict=True):
        compared = replace(one, p_holm=p_value)
        told.append(Change(name, before[name].mean[NDCG], after[name].mean[NDCG], compared))
    return told


def _corrected(p_values: Sequence[float]) -> list[float]:
    from hybrid_search.evaluate.significance import holm

    return holm(p_values)


def is_better(found: Sequence[Change], system: str = FUSED) -> bool:
    """Whether the system is better after training, beyond chance."""
    compared = next(change.comparison for change in found if change.system == system)
    return compared is not None and compared.difference > 0 and compared.p_holm < SIGNIFICANT
