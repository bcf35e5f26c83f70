"""What a judge says of the first hits of searches, and how far that is what people said."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hybrid_search.errors import InputError
from hybrid_search.evaluate.judge.agreement import cohens_kappa
from hybrid_search.evaluate.judge.asking import Judge
from hybrid_search.evaluate.retrieval import MEASURING, OnProgress
from hybrid_search.read import Qrels
from hybrid_search.records import Query
from hybrid_search.search import SearchClient
from hybrid_search.search.searcher import BATCH

HITS = 10
AT_ONCE = 4
"""Questions that the endpoint is asked at the same time."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's grades, and those of people for the same pairs.

    Attributes:
        qrels: grade by query id and document id.
        unclear: answers without a grade; these pairs are not judged.
        both: ``(judge, people)`` grades of the pairs that both judged.
    """

    qrels: Qrels
    unclear: int
    both: Sequence[tuple[int, int]]

    @property
    def kappa(self) -> float | None:
        """Cohen's, of the grades."""
        return cohens_kappa([judge for judge, _ in self.both], [people for _, people in self.both])

    @property
    def kappa_relevant(self) -> float | None:
        """Cohen's, of whether a document is relevant at all."""
        return cohens_kappa([judge > 0 for judge, _ in self.both], [people > 0 for _, people in self.both])


def judge_searches(
    client: SearchClient,
    judge: Judge,
    queries: Sequence[Query],
    *,
    hits: int = HITS,
    given: Qrels | None = None,
    progress: OnProgress | None = None,
) -> Judged:
    """Ask the judge about the first hits of each query, by the passage that each was found by.

    Args:
        client: whose hits are judged.
        judge: the endpoint.
        queries: those without text are left out.
        hits: how many of each.
        given: judgements of people, to compare with.
        progress: told about every pair.

    Raises:
        InputError: no query has a text.
        ModelError: the endpoint does not answer, or refuses.
        EngineError: a search failed.
    """
    asked = [query for query in queries if query.text.strip()]
    if not asked:
        raise InputError("no query has a text", remedy="Give queries")
    pairs = [
        (query, hit.id, hit.text)
        for begin in range(0, len(asked), BATCH)
        for query, found in zip(
            asked[begin : begin + BATCH],
            client.search_many(asked[begin : begin + BATCH], hits, timeout=MEASURING),
            strict=True,
        )
        for hit in found
    ]
    qrels: Qrels = {}
    unclear = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda pair: judge.grade(pair[0].text, pair[2]), pairs)
        for done, ((query, document, _), grade) in enumerate(zip(pairs, answers, strict=True), start=1):
            unclear += grade is None
            if grade is not None:
                qrels.setdefault(str(query.id), {})[document] = grade
            if progress is not None:
                progress("judge", done, len(pairs))
    return Judged(qrels, unclear, _both(qrels, given or {}))


def _both(qrels: Qrels, given: Qrels) -> list[tuple[int, int]]:
    return [
        (grade, given[query][document])
        for query, some in qrels.items()
        for document, grade in some.items()
        if document in given.get(query, {})
    ]
