"""Near-duplicates and paraphrases among the documents of an index, by their stored dense vectors.

The vectors are read page by page, in the order of documents (``search_after``: no state on the server; what is written
meanwhile may be seen or not). Then

exact: every vector is compared with every other, as products of blocks of :data:`BLOCK` rows. The vectors are in a
temporary file, ``passages x dimension x 4`` bytes; in memory are two blocks, their product (16 MiB), the pairs of one
block, the ids, and the best pairs. The work grows with the square of the passages.

by the graph: the engine is asked for the neighbours of each vector, :data:`ASKED` searches in a request. In memory are
a page of vectors and the pairs. What the graph misses is missed, and cosines are as the engine scores them: rounded
where the index is quantised.

A pair of documents has the cosine of the two passages that are most alike.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from hybrid_search.engine import layout
from hybrid_search.engine.attached import refuse_attached
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import AliasMovedError, QueryError
from hybrid_search.records import IndexSchema, Vector
from hybrid_search.search import legs
from hybrid_search.search.asking import Answered, Budget, Target, ask, named, send
from hybrid_search.search.duplicates_pairs import TOLERANCE, Pairs, alike
from hybrid_search.search.duplicates_records import MiningReport, MiningRequest, SimilarPair
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.retrieve import passing
from hybrid_search.search.searcher import Searcher
from hybrid_search.search.similar_held import answered, dense_of
from hybrid_search.search.steps import Steps

EXACT_UP_TO = 50_000
"""Passages up to which exact is the usual way: a minute of one core where the graph would take several."""

BLOCK = 2048
"""Rows of a block."""

NUMBERS = 400_000
"""Components of the vectors of a page: some 5 MB of JSON."""

MOST_ROWS = 2_000
"""Passages of a page, whatever their dimension."""

ASKED = 32
"""Searches of the graph in one request."""

OWN = 100
"""Most passages of the document itself that are asked for beside its neighbours, which they would hide."""

_SORT = [{layout.DOC_ID: "asc"}, {layout.PASSAGE: "asc"}, {"_score": "desc"}]


class Mining:
    """One run through an index: :meth:`read` until nothing is left, then :meth:`compare`, then :meth:`best`.

    A context manager, which removes its file.
    """

    def __init__(self, request: MiningRequest) -> None:
        self._request = request
        self._matching: legs.Filter = None
        self._among: tuple[str, ...] | None = None
        self._exact = False
        self._after: Sequence[Any] | None = None
        self._passages = self._read = self._crowded = 0
        self._compared = 0.0
        self._pairs = Pairs(request.limit)
        self._numbers: dict[str, int] = {}
        self._dimension = 0
        self._file = tempfile.TemporaryFile(prefix="hybrid-search-vectors-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def report(self) -> MiningReport:
        """How far it is."""
        return MiningReport(
            self._exact,
            self._passages,
            self._read,
            self._compared,
            len(self._pairs),
            self._pairs.left_out,
            self._crowded,
        )

    def read(self, searcher: Searcher) -> Steps[bool]:
        """Read the next page, and ask the graph for its neighbours unless it is exact; whether more may be left.

        Raises:
            QueryError: the index holds no dense vectors, or cannot be filtered so; nothing was sent.
            AliasMovedError: the index is another than that of the page before.
            EngineError: the engine refuses, or does not answer in time.
        """
        target, timeout = searcher.target, self._request.timeout
        if self._among is None:
            yield from self._begin(searcher, timeout)
        elif target.among != self._among:
            what = f"{target.index} has moved to {named(target.among)} since this began"
            raise AliasMovedError(what, where=target.where, remedy="Begin again")
        size = min(MOST_ROWS, max(1, NUMBERS // self._dimension))
        body = partial(_page, size=size, after=self._after, matching=self._matching, target=target)
        [answer] = yield from ask([body], target, Budget(timeout))
        hits = answered(answer).hits
        found = [(hit, vector) for hit in hits if (vector := _vector(hit, self._dimension)) is not None]
        if self._exact:
            self._keep(found)
        else:
            yield from self._ask_graph(found, target, timeout)
        self._read += len(found)
        self._after = hits[-1]["sort"] if hits else None
        self._tell()
        return len(hits) == size

    def _begin(self, searcher: Searcher, timeout: float) -> Steps[None]:
        schema, target = searcher.target.schema, searcher.target
        refuse_attached(schema, target.where, "duplicates are looked for among passages of our own")
        self._dimension = check_mined(schema)
        _, _, given = searcher.planned(SearchRequest(filter=self._request.filter, rerank=False))
        self._matching = passing(given, schema)
        query = {"query": {"bool": {"filter": _passing(self._matching)}}}
        path = f"/{quote(target.index, safe='')}/_count"
        answer = yield from send(Request.json("POST", path, query), target, Budget(timeout))
        self._passages = int(answer["count"]) if isinstance(answer, Mapping) and "count" in answer else 0
        exact = self._request.exact
        self._exact = self._passages <= EXACT_UP_TO if exact is None else exact
        self._among = target.among

    def _keep(self, found: Sequence[tuple[Mapping[str, Any], Vector]]) -> None:
        for hit, vector in found:
            self._pairs.name(str(hit["_id"]))
            self._file.write(unit(vector).tobytes())

    def _ask_graph(
        self, found: Sequence[tuple[Mapping[str, Any], Vector]], target: Target, timeout: float
    ) -> Steps[None]:
        for begin in range(0, len(found), ASKED):
            some = found[begin : begin + ASKED]
            bodies = [partial(self._neighbours, hit, vector, target) for hit, vector in some]
            answers = yield from ask(bodies, target, Budget(timeout))
            for (hit, _), answer in zip(some, answers, strict=True):
                self._take(hit, answered(answer))

    def _neighbours(self, hit: Mapping[str, Any], vector: Vector, target: Target, within: float) -> legs.Body:
        """The search for the neighbours of a passage, and as many more as its document has passages."""
        size = self._asked_for(hit)
        matching = legs.both(self._matching, target.within)
        query = legs.dense(vector, target.dialect, size=size, candidates=2 * size, filter=matching)
        return legs.passage_search(query, size=size, timeout=within)

    def _asked_for(self, hit: Mapping[str, Any]) -> int:
        own = int(hit["_source"].get(layout.PASSAGES) or 1)
        return self._request.neighbours + min(max(own, 1), OWN)

    def _take(self, hit: Mapping[str, Any], answer: Answered) -> None:
        """The pairs of a passage and those of its neighbours that are near enough."""
        name = str(hit["_id"])
        near = [
            (str(other["_id"]), 2 * float(other["_score"]) - 1)
            for other in answer.hits
            if 2 * float(other["_score"]) - 1 >= self._request.threshold - TOLERANCE
        ]
        self._crowded += len(near) == self._asked_for(hit)
        pairs = [(self._number(name), self._number(other), cosine) for other, cosine in near if other != name]
        if pairs:
            first, second, cosines = zip(*pairs, strict=True)
            self._pairs.add(np.array(first), np.array(second), np.array(cosines, dtype=np.float32))

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = self._pairs.name(name)
        return self._numbers[name]

    def compare(self) -> Iterator[None]:
        """Compare blocks with blocks, one after the other; nothing where the graph was asked."""
        self._file.flush()
        if self._exact and self._read:
            kept = (self._read, self._dimension)
            vectors: NDArray[np.float32] = np.memmap(self._file, dtype=np.float32, mode="r", shape=kept)
            starts = range(0, self._read, BLOCK)
            blocks = [(one, other) for one in starts for other in starts if one <= other]
            for done, (one, other) in enumerate(blocks, start=1):
                self._compare(vectors, one, other)
                self._compared = done / len(blocks)
                self._tell()
                yield
        self._compared = 1.0

    def _compare(self, vectors: NDArray[np.float32], one: int, other: int) -> None:
        left, right = np.asarray(vectors[one : one + BLOCK]), np.asarray(vectors[other : other + BLOCK])
        rows, columns, cosines = alike(left, right, max(self._request.threshold, self._pairs.floor))
        once = rows + one < columns + other
        self._pairs.add(rows[once] + one, columns[once] + other, cosines[once])

    def best(self) -> Iterator[SimilarPair]:
        """The pairs that were found, the most alike first."""
        pairs = self._pairs.best()
        self._tell()
        return pairs

    def _tell(self) -> None:
        if self._request.on_progress is not None:
            self._request.on_progress(self.report)


def check_mined(schema: IndexSchema) -> int:
    """The dimension of the vectors; QueryError where the index holds none."""
    if schema.dense is None or schema.dense.dimension is None:
        raise QueryError(
            "the index holds no dense vectors, by which documents are compared",
            remedy="Index again with a dense model.",
        )
    return schema.dense.dimension


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _page(within: float, *, size: int, after: Sequence[Any] | None, matching: legs.Filter, target: Target) -> legs.Body:
    body: legs.Body = {
        "query": {"bool": {"filter": _passing(matching)}},
        "size": size,
        "sort": _SORT,
        "_source": whole_source(target.dialect, [layout.DENSE, layout.PASSAGES]),
        "track_total_hits": False,
        "timeout": f"{round(within * 1000)}ms",
    }
    return body if after is None else {**body, "search_after": list(after)}


def _passing(matching: legs.Filter) -> list[Mapping[str, Any]]:
    return [{"exists": {"field": layout.DENSE}}, *([] if matching is None else [matching])]


def _vector(hit: Mapping[str, Any], dimension: int) -> Vector | None:
    """The stored vector; None for what is none, as in documents that another program wrote."""
    try:
        vector = dense_of(hit.get("_source", {}).get(layout.DENSE))
    except (TypeError, ValueError):
        return None
    is_one = vector is not None and vector.shape == (dimension,) and bool(np.isfinite(vector).all() and vector.any())
    return vector if is_one else None
