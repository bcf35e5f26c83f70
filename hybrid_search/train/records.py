"""What stages of training hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybrid_search.encode.finetune.records import Fitted
from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.read import Qrels
from hybrid_search.records import Query


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries, and grades by query id and document id; ``origin`` says in words where they come from.

    ``identical`` says that the document with a query's own id is no answer to it (BEIR's rule, or a query that was made
    of that document's title while others are looked for).
    """

    queries: Sequence[Query]
    qrels: Qrels
    origin: str = "judgements"
    identical: bool = False

    def only(self, ids: Sequence[str]) -> Judged:
        """The same of some queries, in the order of the ids."""
        by_id = {str(query.id): query for query in self.queries}
        return Judged([by_id[id_] for id_ in ids], {id_: self.qrels[id_] for id_ in ids}, self.origin, self.identical)

    @property
    def relevant(self) -> dict[str, set[str]]:
        """Ids of the relevant documents of each query."""
        return {id_: {document for document, grade in some.items() if grade > 0} for id_, some in self.qrels.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One system before and after: its mean nDCG@10, and the difference; None where nothing was trained in it."""

    system: str
    before: float
    after: float
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run made.

    Attributes:
        folder: the model.
        changes: before and after, leg by leg and fused, on test queries.
        fitted: how training went.
        counts: pairs, queries and passages, by name.
        notes: what was left out, and what the figures do not say.
        origins: where the pairs come from, in words.
        is_better: whether fused nDCG@10 is higher, beyond chance.
        values: nDCG@10 of each query before and after, by system.
        card: what stands in the folder's ``training.json``.
    """

    folder: str
    changes: Sequence[Change]
    fitted: Fitted
    counts: Mapping[str, int]
    notes: Sequence[str]
    is_better: bool
    origins: Sequence[str] = ()
    values: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
