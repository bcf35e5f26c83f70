"""Zero-shot retrieval scores of a head on a judged set: what checkpoints are chosen by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from ir_measures import R, calc_aggregate, nDCG
from numpy.typing import NDArray

from hybrid_search.encode.starter_head import StarterHead
from training.judged import JudgedSet
from training.states import StateFile, length_batches

DEPTH = 100


@dataclass(frozen=True)
class Pruning:
    """How many terms of a document and of a query are kept."""

    document: int = 128
    query: int = 32


@dataclass(frozen=True)
class Scores:
    """nDCG@10 and recall@100 with encoded and with inference-free queries, and mean terms per vector."""

    ndcg: float
    recall: float
    inference_free_ndcg: float
    document_terms: float
    query_terms: float

    def __str__(self) -> str:
        return (
            f"nDCG@10 {self.ndcg:.4f} R@100 {self.recall:.4f} inference-free {self.inference_free_ndcg:.4f} "
            f"terms {self.document_terms:.0f}/{self.query_terms:.1f}"
        )


def sparse_rows(vectors: torch.Tensor, terms: int) -> scipy.sparse.csr_matrix:
    """The ``terms`` heaviest positive weights of each row (n, vocabulary)."""
    weights, ids = vectors.topk(terms, dim=1)
    kept = weights > 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(1).numpy())])
    return scipy.sparse.csr_matrix((weights[kept].numpy(), ids[kept].numpy(), ends), vectors.shape)


Encode = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@torch.inference_mode()
def vectors(encode: Encode, texts: StateFile, terms: int) -> scipy.sparse.csr_matrix:
    """Sparse vectors of all texts, in their order; ``encode`` is a head, or its ``query``."""
    parts, order = [], []
    for batch in length_batches(texts.lengths):
        parts.append(sparse_rows(encode(*texts.batch(batch)), terms))
        order.append(batch)
    return scipy.sparse.vstack(parts).tocsr()[np.argsort(np.concatenate(order))]


@torch.inference_mode()
def inference_free(head: StarterHead, texts: StateFile) -> scipy.sparse.csr_matrix:
    """Query vectors without a forward pass."""
    ids, _, mask = texts.batch(np.arange(len(texts)))
    return sparse_rows(head.inference_free(ids, mask), QUERY_PIECES)


QUERY_PIECES = 64


def ranked(scores: NDArray[np.float32], query_ids: list[str], document_ids: list[str]) -> dict[str, dict[str, float]]:
    """The best documents of each query with a positive score; ties in the order of the corpus."""
    run = {}
    for row, query_id in zip(scores, query_ids, strict=True):
        best = np.argsort(-row, kind="stable")[:DEPTH]
        run[query_id] = {document_ids[n]: float(row[n]) for n in best if row[n] > 0}
    return run


def measure(head: StarterHead, judged: JudgedSet, pruning: Pruning = Pruning()) -> Scores:
    """Scores of a head on a judged set."""
    encoded = vectors(head, judged.documents, pruning.document)
    queries = vectors(head.query, judged.queries, pruning.query)
    found = []
    for form in (queries, inference_free(head, judged.queries)):
        run = ranked((form @ encoded.T).toarray(), judged.query_ids, judged.document_ids)
        found.append(calc_aggregate([nDCG @ 10, R @ 100], judged.judgements, run))
    return Scores(
        ndcg=found[0][nDCG @ 10],
        recall=found[0][R @ 100],
        inference_free_ndcg=found[1][nDCG @ 10],
        document_terms=encoded.nnz / len(judged.document_ids),
        query_terms=queries.nnz / len(judged.query_ids),
    )
