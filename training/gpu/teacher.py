"""Mined negatives and the teacher: an ensemble of BM25, cosine and MaxSim, each normalised per query.

For every training query the ensemble is computed over its own passage and ``NEGATIVES`` others, mined from the best
of BM25 and of the bi-encoder. No judged set and no licence-bound model takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from hybrid_search.encode.dense import DenseEncoder
from hybrid_search.encode.late import max_sim

NEGATIVES = 15
POOL = 60  # ranks of each method that negatives are drawn from
SKIPPED = 2  # the very best others are often as good as the natural passage
K1, B = 0.9, 0.4
QUERY_BLOCK = 256


@dataclass(frozen=True)
class Lists:
    """``passages`` int64 (queries, 1 + NEGATIVES), the natural one first; the teacher's ``scores``, same shape."""

    passages: NDArray[np.int64]
    scores: NDArray[np.float32]


def term_counts(ids: Sequence[Sequence[int]], vocabulary: int) -> scipy.sparse.csr_matrix:
    """How often each token occurs in each text (n, vocabulary)."""
    rows = np.repeat(np.arange(len(ids)), [len(row) for row in ids])
    ones = np.ones(len(rows), np.float32)
    return scipy.sparse.csr_matrix((ones, (rows, np.concatenate(ids))), (len(ids), vocabulary))


def bm25_weights(counts: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """BM25 weights of passages (n, vocabulary): a query's score is the sum over its tokens."""
    coordinates = counts.tocoo()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    frequency = np.bincount(coordinates.col, minlength=counts.shape[1])
    idf = np.log1p((counts.shape[0] - frequency + 0.5) / (frequency + 0.5))
    norm = K1 * (1 - B + B * lengths[coordinates.row] / lengths.mean())
    weights = idf[coordinates.col] * coordinates.data * (K1 + 1) / (coordinates.data + norm)
    return scipy.sparse.csr_matrix((weights.astype(np.float32), (coordinates.row, coordinates.col)), counts.shape)


def normalised(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row with mean 0 and deviation 1, so that methods can be added."""
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6)


def mined(
    query_weights: scipy.sparse.csr_matrix,
    passage_weights: scipy.sparse.csr_matrix,
    query_dense: torch.Tensor,
    passage_dense: torch.Tensor,
    chance: np.random.Generator,
) -> NDArray[np.int64]:
    """Rows of the natural passage and the negatives of each query (queries, 1 + NEGATIVES)."""
    count = len(query_dense)
    lists = np.empty((count, 1 + NEGATIVES), np.int64)
    for start in range(0, count, QUERY_BLOCK):
        rows = np.arange(start, min(start + QUERY_BLOCK, count))
        lexical = (query_weights[rows] @ passage_weights.T).toarray()
        semantic = (query_dense[rows] @ passage_dense.T).cpu().numpy()
        for place, row in enumerate(rows):
            best = [np.argsort(-scores[place])[SKIPPED : SKIPPED + POOL] for scores in (lexical, semantic)]
            pool = np.setdiff1d(np.concatenate(best), [row])
            drawn = chance.choice(pool, NEGATIVES, replace=len(pool) < NEGATIVES)
            lists[row] = [row, *drawn]
    return lists


@torch.inference_mode()
def max_sim_scores(
    encoder: DenseEncoder, queries: Sequence[str], passages: Sequence[str], lists: NDArray[np.int64]
) -> NDArray[np.float32]:
    """MaxSim of every query with the passages of its list (queries, 1 + NEGATIVES)."""
    scores = np.empty(lists.shape, np.float32)
    for row, (query, own) in enumerate(zip(queries, lists, strict=True)):
        _, output = next(encoder.forward([query], query=True))
        units = torch.nn.functional.normalize(output.states[0], dim=-1)
        for places, batch in encoder.forward([passages[n] for n in own], query=False):
            states = torch.nn.functional.normalize(batch.states, dim=-1)
            scores[row, places] = max_sim(units, states, batch.mask).cpu().numpy()
    return scores


def build(encoder: DenseEncoder, queries: Sequence[str], passages: Sequence[str], seed: int) -> Lists:
    """Lists and teacher scores of all queries; ``passages[n]`` is the natural passage of ``queries[n]``."""
    tokenizer = encoder.backbone.tokenizer
    size = tokenizer.get_vocab_size()
    query_ids, passage_ids = (
        [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        for texts in (queries, passages)
    )
    lexical_queries, lexical_passages = term_counts(query_ids, size), bm25_weights(term_counts(passage_ids, size))
    dense_queries = torch.from_numpy(encoder.encode_queries(queries))
    dense_passages = torch.from_numpy(encoder.encode_documents(passages))
    lists = mined(lexical_queries, lexical_passages, dense_queries, dense_passages, np.random.default_rng(seed))
    lexical = np.stack([(lexical_queries[n] @ lexical_passages[own].T).toarray()[0] for n, own in enumerate(lists)])
    cosine = torch.einsum("qh,qlh->ql", dense_queries, dense_passages[torch.from_numpy(lists)]).numpy()
    late = max_sim_scores(encoder, queries, passages, lists)
    return Lists(lists, sum(normalised(scores) for scores in (lexical, cosine, late)) / 3)
