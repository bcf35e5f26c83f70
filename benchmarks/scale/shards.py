"""What 100 shards change: recall of each leg and of the fused list, by shards and candidates, over real documents.

    python benchmarks/scale/shards.py SCIFACT_FOLDER > benchmarks/results/scale-shards.txt

Documents are dealt to shards by a hash of their ids, as an engine does. Everything is computed here, as an engine would
on each shard, so that 100 shards need no cluster:

  dense     vectors: TF-IDF over words and pairs of words, to 128 dimensions (truncated SVD), of length 1. They stand
            for those of a model: what is measured is how near neighbours are spread over shards, not how good they are
  exact     each shard's k nearest, merged by score: the same as over all, for any number of shards
  graph     each shard's nearest, as a greedy search of its own graph finds them that keeps num_candidates
  bm25      k1 .9, b .4; idf and average length of each shard (query_then_fetch), or of all (dfs_query_then_fetch)
  fused     reciprocal rank fusion (k 60) of both, window 100

Recall: the share of the first 10 that the same search finds over one shard with exact vectors and global idf.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import heapq
import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHARDS = (1, 4, 16, 100)
CANDIDATES = (10, 20, 50, 100, 200)
K, WINDOW, RANK_CONSTANT = 10, 100, 60
K1, B = 0.9, 0.4
M = 16
SEED = 7
Vectors = NDArray[np.float32]


def lines(path: Path) -> list[dict[str, str]]:
    """The records of a file of JSON lines, packed or not."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


def words(text: str) -> list[str]:
    """Words of a text in lower case, without a plural s."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [word[:-1] if word.endswith("s") and len(word) > 3 else word for word in found]


def vectors_of(documents: list[str], queries: list[str], dimension: int) -> tuple[Vectors, Vectors]:
    """Hashed TF-IDF, projected on its first singular vectors."""
    size = 1 << 11

    def counted(texts: list[str]) -> Vectors:
        rows = np.zeros((len(texts), size), np.float32)
        for n, text in enumerate(texts):
            every = words(text)
            for term in [*every, *map(" ".join, pairwise(every))]:
                rows[n, int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest()) % size] += 1
        return np.log1p(rows)

    held, asked = counted(documents), counted(queries)
    idf = np.log(len(held) / (1 + (held > 0).sum(axis=0)))
    held, asked = held * idf, asked * idf
    _, _, components = np.linalg.svd(held.T @ held, hermitian=True)

    def projected(rows: Vectors) -> Vectors:
        found = rows @ components[:dimension].T
        return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float32)

    return projected(held), projected(asked)


class Graph:
    """One layer of HNSW over the vectors of a shard: each joined to near ones of a sample, searched greedily.

    Malkov and Yashunin, arXiv 1603.09320: the search keeps the ``width`` best that it has seen and stops when the next
    to visit is worse than all of them. Edges are the M nearest, made mutual, and some at random for reach.
    """

    def __init__(self, held: Vectors, random: np.random.Generator) -> None:
        self.held = held
        scores = held @ held.T
        np.fill_diagonal(scores, -2)
        near = np.argsort(-scores, axis=1)[:, :M]
        edges: list[set[int]] = [set(map(int, row)) for row in near]
        for one, row in enumerate(near):
            for other in row:
                edges[int(other)].add(one)
        for one in range(len(held)):
            edges[one].update(map(int, random.integers(0, len(held), 2)))
        self.edges = [np.array(sorted(found - {one}), dtype=np.int64) for one, found in enumerate(edges)]

    def search(self, query: Vectors, width: int) -> list[tuple[float, int]]:
        first = float(self.held[0] @ query)
        seen, waiting, best = {0}, [(-first, 0)], [(first, 0)]
        while waiting:
            score, place = heapq.heappop(waiting)
            if -score < best[0][0] and len(best) >= width:
                break
            fresh = [int(other) for other in self.edges[place] if int(other) not in seen]
            seen.update(fresh)
            for found, other in zip(self.held[fresh] @ query if fresh else (), fresh, strict=True):
                if len(best) < width or found > best[0][0]:
                    heapq.heappush(waiting, (-float(found), other))
                    heapq.heappush(best, (float(found), other))
                    if len(best) > width:
                        heapq.heappop(best)
        return sorted(best, reverse=True)


class Words:
    """BM25 as Lucene computes it, with the figures of one shard or of all."""

    def __init__(self, texts: list[list[str]]) -> None:
        self.counts = [Counter(text) for text in texts]
        self.lengths = [len(text) for text in texts]
        self.postings: dict[str, list[int]] = {}
        for n, counted in enumerate(self.counts):
            for term in counted:
                self.postings.setdefault(term, []).append(n)

    def search(self, query: list[str], among: set[int] | None, size: int) -> list[tuple[float, int]]:
        """The best of ``among``, with the figures of ``among`` alone; None is all of them."""
        total = len(self.counts) if among is None else len(among)
        chosen = range(len(self.counts)) if among is None else among
        length = sum(self.lengths[n] for n in chosen) / max(1, total)
        return self._scored(query, among, (total, length), size, local=True)

    def search_with(self, query: list[str], among: set[int], size: int) -> list[tuple[float, int]]:
        """The best of ``among``, with the figures of all: dfs_query_then_fetch."""
        return self._scored(query, among, (len(self.counts), sum(self.lengths) / len(self.lengths)), size, local=False)

    def _scored(
        self, query: list[str], among: set[int] | None, figures: tuple[int, float], size: int, *, local: bool
    ) -> list[tuple[float, int]]:
        (total, length), scores = figures, Counter[int]()
        for term in set(query):
            whole = self.postings.get(term, [])
            own = whole if among is None else [n for n in whole if n in among]
            frequency = len(own) if local else len(whole)
            idf = math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
            for n in own:
                tf = self.counts[n][term]
                scores[n] += idf * tf / (tf + K1 * (1 - B + B * self.lengths[n] / length))
        return sorted(((score, n) for n, score in scores.items()), reverse=True)[:size]


def merged(parts: list[list[tuple[float, int]]], size: int) -> list[int]:
    """The best of all shards by score, ties by number."""
    every = sorted((pair for part in parts for pair in part), key=lambda pair: (-pair[0], pair[1]))
    return [n for _, n in every][:size]


def fused(runs: list[list[int]]) -> list[int]:
    """Reciprocal rank fusion."""
    scores: Counter[int] = Counter()
    for run in runs:
        for rank, n in enumerate(run[:WINDOW], 1):
            scores[n] += 1 / (RANK_CONSTANT + rank)
    return sorted(scores, key=lambda n: (-scores[n], n))


def recall(found: list[list[int]], exact: list[list[int]]) -> float:
    """The mean share of the first K of ``exact`` that is among the first K of ``found``."""
    shares = [len(set(a[:K]) & set(b[:K])) / max(1, len(b[:K])) for a, b in zip(found, exact, strict=True)]
    return float(np.mean(shares))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=100)
    given = parser.parse_args()
    found = lines(given.folder / "corpus.jsonl.gz")
    documents = [f"{one.get('title', '')} {one['text']}" for one in found]
    queries = [one["text"] for one in lines(given.folder / "queries.jsonl")][: given.queries]
    held, asked = vectors_of(documents, queries, 128)
    texts = Words([words(text) for text in documents])
    terms = [words(text) for text in queries]
    exact = [merged([[(float(s), n) for n, s in enumerate(held @ q)]], WINDOW) for q in asked]
    bm25 = [merged([texts.search(q, None, WINDOW)], WINDOW) for q in terms]
    both = [fused([a, b]) for a, b in zip(exact, bm25, strict=True)]
    print(f"python benchmarks/scale/shards.py {given.folder.name}")
    print(f"{len(documents):,} documents, {len(queries)} queries")
    print("recall@10 against one shard, exact and with global idf; seed 7")
    print("shards  candidates    kept  dense graph  bm25 local   bm25 dfs  graph+dfs  graph+local exact+local")
    for shards in SHARDS:
        random = np.random.default_rng(SEED)
        dealt = [int.from_bytes(hashlib.blake2b(one["_id"].encode(), digest_size=4).digest()) % shards for one in found]
        members = [np.array([n for n, at in enumerate(dealt) if at == shard]) for shard in range(shards)]
        graphs = [Graph(held[own], random) for own in members]
        sets = [set(map(int, own)) for own in members]
        local = [merged([texts.search(q, one, WINDOW) for one in sets], WINDOW) for q in terms]
        whole = [merged([texts.search_with(q, one, WINDOW) for one in sets], WINDOW) for q in terms]
        for width in CANDIDATES:
            near = [
                merged(
                    [[(s, int(own[n])) for s, n in g.search(q, width)] for g, own in zip(graphs, members, strict=True)],
                    WINDOW,
                )
                for q in asked
            ]
            figures = [
                recall(near, exact),
                recall(local, bm25),
                recall(whole, bm25),
                recall([fused([a, b]) for a, b in zip(near, whole, strict=True)], both),
                recall([fused([a, b]) for a, b in zip(near, local, strict=True)], both),
                recall([fused([a, b]) for a, b in zip(exact, local, strict=True)], both),
            ]
            shown = "  ".join(f"{figure:10.4f}" for figure in figures)
            print(f"{shards:6}  {width:10}  {shards * width:6,}  {shown}", flush=True)


if __name__ == "__main__":
    main()
