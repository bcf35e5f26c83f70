"""The fused ranking scored again by a cross-encoder: what it is measured by, before, while and after it is trained."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid_search.encode.finetune.cross import Score
from hybrid_search.encode.finetune.records import Corpus
from hybrid_search.evaluate.runs import Ranking
from hybrid_search.search.rerank import Reranking, combine
from hybrid_search.train.bench import RERANKED, Bench, Systems

LOOKED_AT, DEEP = 60, 20
"""Validation queries, and hits of each, that are scored at a look."""


def look_by(bench: Bench, corpus: Corpus, reranking: Reranking, score: Score) -> float:
    """nDCG@10 of a few queries, for a look while a model is trained."""
    return reranked(bench, corpus, reranking, score, deep=DEEP, most=LOOKED_AT)[RERANKED].mean["nDCG@10"]


def reranked(
    bench: Bench,
    corpus: Corpus,
    reranking: Reranking,
    score: Score | None,
    *,
    deep: int | None = None,
    most: int | None = None,
) -> Systems:
    """The fused ranking with its first hits scored again, as a search does it; as it is without ``score``.

    Args:
        bench: queries and what the legs found.
        corpus: with the passages of those hits; others keep their place below.
        reranking: window and weight.
        score: of passages for a query.
        deep: hits that are scored, fewer than the window has.
        most: queries that are measured, the first.
    """
    place = {id_: number for number, id_ in enumerate(corpus.ids)}
    window = min(reranking.window, deep or reranking.window)
    runs: dict[str, Ranking] = {}
    for one in bench.retrieved[:most]:
        fused = one.fused(bench.fusion, bench.legs)
        texts = [_text(corpus, place, one.best(hit).passage_id) for hit in fused[:window]]
        if score is None or not texts:
            runs[str(one.query.id)] = [(hit.id, hit.score) for hit in fused]
            continue
        scores = score(one.query.text, texts).tolist()
        runs[str(one.query.id)] = [(hit.hit.id, hit.score) for hit in combine(fused, scores, reranking.weight)]
    return {RERANKED: bench.measure(runs, only=runs)}


def _text(corpus: Corpus, place: Mapping[str, int], passage_id: str) -> str:
    return corpus.texts[place[passage_id]] if passage_id in place else ""
