"""The synchronous client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload
from uuid import uuid4

import msgspec

from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.errors import AliasMovedError, ModelError
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Query, SearchResult, StoredPassage
from hybrid_search.search.admission import Admission
from hybrid_search.search.asking import Budget
from hybrid_search.search.duplicates import Mining, check_mined
from hybrid_search.search.duplicates_pairs import groups
from hybrid_search.search.duplicates_records import (
    THRESHOLD,
    DuplicateGroup,
    MiningOptions,
    MiningRequest,
    SimilarPair,
)
from hybrid_search.search.opening import PASSING, open_target, opened_too_late
from hybrid_search.search.procedure import ResultOrError
from hybrid_search.search.query_cache import QueryCache
from hybrid_search.search.request import SearchOptions, SearchRequest
from hybrid_search.search.reranking import read_to_score
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.searcher import BATCH, Searcher, Wanted, open_searcher
from hybrid_search.search.similar import more_like
from hybrid_search.search.steps import ModelStep, Send, Single, Steps, T, boundary, run
from hybrid_search.search.telemetry import Observed, observing
from hybrid_search.search.tracing import headers_of
from hybrid_search.search.why_not import why_not
from hybrid_search.search.why_not_records import WhyNot
from hybrid_search.search.workers import Asked, ModelWorkers
from hybrid_search.settings import EngineSettings, Settings
from hybrid_search.settings.section import MAX_SECONDS


class SearchClient:
    """Searches one index; safe to share between threads, and a context manager.

    Opening reads what the index holds, loads its models and refuses others. An alias is searched by its name: its
    filter and routing are kept. When it moves to another index, as after a reindex, the next search opens that one
    and goes on there, or raises why its models do not fit. What an alias stands for is looked at once a minute.

    Args:
        index: an index or alias that hybrid-search made.
        url: the cluster, instead of that of ``settings``; without either, the local node.
        settings: models, fusion and engine; a model that is left at its default is the one that made the index.
        encoder: instead of the one that the settings name.
        reranker: instead of the one that the settings name.
        connection: an open one, which the caller closes, instead of a new one.
        opaque_id: sent as ``X-Opaque-Id`` with every request, so that slow logs and tasks of the cluster name this
            client; one of its own by default. A search may have another (:class:`SearchRequest`).

    Raises:
        IndexMissingError: no such index.
        IndexMismatchError: the index was made with other models, or not by this package.
        ModelError: a model cannot be found, loaded or trusted.
        EngineError: the cluster cannot be reached, or refuses.
    """

    def __init__(
        self,
        index: str,
        *,
        url: str | None = None,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
        reranker: Reranker | None = None,
        connection: Connection | None = None,
        opaque_id: str | None = None,
    ) -> None:
        self._preference = uuid4().hex
        self._headers = headers_of(f"hybrid-search-{self._preference[:8]}" if opaque_id is None else opaque_id)
        self._owns_connection = connection is None
        self._connection = connect(engine_settings(settings, url)) if connection is None else connection
        self._index = index
        self._wanted = Wanted(settings or Settings(), encoder, reranker)
        search = self._wanted.settings.search
        self._admission = Admission(search.concurrency)
        self._workers = ModelWorkers(search.cached_queries, lambda: self._admission.entered)
        self._opening = threading.Lock()
        try:
            self._searcher = self._open()
        except BaseException:
            self.close()
            raise

    @property
    def searcher(self) -> Searcher:
        """What was opened: the index and its schema, the settings and the models."""
        return self._searcher

    @property
    def query_cache(self) -> QueryCache:
        """The vectors of the queries that were searched for last."""
        return self._workers.cache

    def search(self, query: str | Query, k: int | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The best hits for one query.

        Args:
            query: a text, or a :class:`Query` with vectors, a filter or an id of its own.
            k: hits on the page; None as in the settings.
            options: see :class:`SearchRequest`.

        Raises:
            QueryError: the query or an option is wrong; nothing was sent.
            EngineError: no leg could be searched. A leg that fails alone is named in the result's ``warnings``.
            BusyError: the client has ``search.concurrency`` searches in progress.
        """
        return self.search_many([query], k, **options)[0]

    @overload
    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[False] = False,
        **options: Unpack[SearchOptions],
    ) -> list[SearchResult]: ...

    @overload
    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: Literal[True],
        **options: Unpack[SearchOptions],
    ) -> list[ResultOrError]: ...

    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int | None = None,
        *,
        return_errors: bool = False,
        **options: Unpack[SearchOptions],
    ) -> Sequence[ResultOrError]:
        """The same for many queries, encoded together and sent together, 32 at a time; results in order.

        With ``return_errors`` a query that is wrong or cannot be searched has its error in the place of its result,
        and the others are answered; without, the first error is raised.
        """
        with boundary():
            request = SearchRequest.of(k, **options)
            budget = self._searcher.budget(request) if len(queries) <= BATCH else None
            observed = observed_search(self._searcher, self._connection.where, queries, request)
        with observing(observed) as seen:
            asked = seen.joined(request)
            found = self._run(
                lambda searcher: searcher.search(
                    queries, asked, return_errors=return_errors, budget=budget, watch=seen.stopwatch
                ),
                budget,
            )
            seen.found(found)
        return found

    def retrieve(self, queries: Sequence[str | Query], **options: Unpack[SearchOptions]) -> list[Retrieved]:
        """What each leg found for each query, before fusion: for evaluation and for fusions of one's own."""
        return self._run(lambda searcher: searcher.retrieve(queries, SearchRequest.of(**options)))

    def why_not(
        self, query: str | Query, doc_id: str, k: int | None = None, **options: Unpack[SearchOptions]
    ) -> WhyNot:
        """Why a document is not among the hits of a search; of one that is, its rank.

        Args:
            query: as :meth:`search` takes it.
            doc_id: the document.
            k: hits on the page; None as in the settings.
            options: those of the search (:class:`SearchRequest`).

        Raises:
            QueryError: the query, an option or the id is wrong; nothing was sent.
            EngineError: nothing could be searched.
        """
        return self._run(lambda searcher: why_not(searcher, query, doc_id, SearchRequest.of(k, **options)))

    def more_like(self, doc_id: str, k: int | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The best hits for what is stored of a document: its vectors, its terms, its significant words.

        Nothing is encoded, and the document itself is left out. Of several passages the mean of the vectors, the
        largest weights and the words of all count.

        Args:
            doc_id: the document.
            k: hits on the page; None as in the settings.
            options: those of a search (:class:`SearchRequest`); reranking only where it is asked for.

        Raises:
            QueryError: an option or the id is wrong, and nothing was sent; or there is no such document.
            EngineError: no leg could be searched.
        """
        return self._run(lambda searcher: more_like(searcher, doc_id, SearchRequest.of(k, **options)))

    def similar_pairs(self, threshold: float = THRESHOLD, **options: Unpack[MiningOptions]) -> Iterator[SimilarPair]:
        """Pairs of documents whose stored vectors are alike, the most alike first: paraphrase mining.

        Args:
            threshold: the least cosine, from 0 to 1.
            options: see :class:`~hybrid_search.search.duplicates_records.MiningRequest`.

        Raises:
            QueryError: an option is wrong, or the index has no dense vectors; nothing was sent.
            EngineError: while pairs are asked for: the engine refuses, or does not answer in time.
        """
        request = MiningRequest.of(threshold, **options)
        check_mined(self._searcher.target.schema)
        return self._mined(request)

    def duplicates(self, threshold: float = THRESHOLD, **options: Unpack[MiningOptions]) -> Iterator[DuplicateGroup]:
        """Groups of documents that hang together by such pairs, that with the best pair first."""
        return _grouped(self.similar_pairs(threshold, **options))

    def _mined(self, request: MiningRequest) -> Iterator[SimilarPair]:
        with Mining(request) as mining:
            while self._run(mining.read):
                pass
            for _ in mining.compare():
                pass
            yield from mining.best()

    def passages(self, passage_ids: Sequence[str]) -> dict[str, str]:
        """The texts of passages by their ids; those that are gone are left out."""
        return self._run(lambda searcher: searcher.passages(passage_ids))

    def passages_to_score(self, passage_ids: Sequence[str]) -> tuple[dict[str, str], list[bytes]]:
        """Texts of passages by their ids, and the token states of all of them that the index stores for the reranker.

        Passages that are gone are left out. The states are none where one passage lacks them, or the reranker compares
        none, or others.
        """

        def read(searcher: Searcher) -> Steps[tuple[dict[str, str], list[bytes]]]:
            stored, timeout = searcher.compares_stored, searcher.settings.search.timeout
            return read_to_score(passage_ids, searcher.target, stored=stored, timeout=timeout)

        return self._run(read)

    def stored(self, passage_ids: Sequence[str]) -> dict[str, StoredPassage]:
        """Passages by their ids, with the fields of their documents; those that are gone are left out."""
        return self._run(lambda searcher: searcher.stored(passage_ids))

    def thumbnails(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """A JPEG of the first image of each document, by its id; documents without one are left out."""
        return self._run(lambda searcher: searcher.thumbnails(list(dict.fromkeys(doc_ids))))

    def reopen(self) -> None:
        """Read anew what the index holds, such as fields to filter on that a load has added; searches go on meanwhile.

        Raises:
            IndexMissingError: it is gone.
            IndexMismatchError: it is another now, made with other models.
        """
        with boundary():
            self._opened_again(self._searcher, Budget(MAX_SECONDS))

    def close(self) -> None:
        """Close the connection, unless the caller gave it, and end the threads of the models."""
        self._workers.close()
        if self._owns_connection:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, before: Searcher | None = None, timeout: float | None = None) -> Searcher:
        steps = open_target(
            self._index,
            self._connection.dialect,
            self._connection.where,
            preference=self._preference,
            timeout=timeout,
            headers=self._headers,
        )
        opened, target = run(steps, partial(self._carry_out, None))
        with boundary():
            return open_searcher(opened, target, self._wanted, before=before)

    def _run(self, steps: Callable[[Searcher], Steps[T]], budget: Budget | None = None) -> T:
        """Carry out a procedure that has this budget, if any; once more where the alias turns out to have moved."""
        with self._admission, boundary():
            searcher = self._searcher
            budget = budget or Budget(MAX_SECONDS)
            if searcher.is_due:
                searcher = self._opened_again(searcher, budget, only_look=True)
            try:
                return run(steps(searcher), partial(self._carry_out, searcher), partial(self._begin, searcher))
            except AliasMovedError:
                searcher = self._opened_again(searcher, budget)
            return run(steps(searcher), partial(self._carry_out, searcher), partial(self._begin, searcher))

    def _opened_again(self, stale: Searcher, budget: Budget, *, only_look: bool = False) -> Searcher:
        """The searcher of what the name stands for now; opened by whoever comes first.

        Others do not wait for one who only looks: until he has seen something, what was opened is searched.
        """
        if not self._opening.acquire(timeout=0 if only_look else budget.left):
            if only_look:
                return self._searcher
            raise opened_too_late(budget, self._index)
        try:
            if self._searcher is stale:
                try:
                    self._searcher = self._open(stale, budget.for_a_look if only_look else budget.left / 2)
                except PASSING:
                    self._searcher = replace(stale, opened_at=time.monotonic())
            return self._searcher
        finally:
            self._opening.release()

    def _carry_out(self, searcher: Searcher | None, step: Single) -> Any:
        if isinstance(step, Send):
            return self._connection.send(step.request)
        return self._begin(searcher, step)()

    def _begin(self, searcher: Searcher | None, step: ModelStep) -> Callable[[], Any]:
        if searcher is None:
            raise ModelError("nothing is open that could answer")
        return begun_by(self._workers, searcher, step).answer


def begun_by(workers: ModelWorkers, searcher: Searcher, step: ModelStep) -> Asked:
    """What a model of the searcher was asked."""
    return workers.begin(searcher.ask_model, step, together=searcher.is_one_model, fingerprint=searcher.fingerprint)


def observed_search(searcher: Searcher, where: str, queries: Sequence[str | Query], request: SearchRequest) -> Observed:
    """What is known of a search before it begins; its texts only where the settings ask for it."""
    target, search = searcher.target, searcher.settings.search
    texts = [one.text if isinstance(one, Query) else str(one) for one in queries] if search.trace_queries else []
    return Observed(
        target.dialect.engine, target.index, where, len(queries), request.traceparent, texts, search.overlap
    )


def _grouped(pairs: Iterator[SimilarPair]) -> Iterator[DuplicateGroup]:
    """The groups, once all pairs are known: nothing is mined before the first is asked for."""
    yield from groups(pairs)


def engine_settings(settings: Settings | None, url: str | None) -> EngineSettings:
    """The engine of ``settings``, else of the environment, at ``url`` where that is given."""
    engine = load_settings().engine if settings is None else settings.engine
    return engine if url is None else msgspec.structs.replace(engine, url=url)
