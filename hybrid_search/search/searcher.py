"""What both clients share: an opened index, the models beside it, and the procedures for what is asked of them.

Nothing here waits: a searcher turns a call into a generator of steps, which a client carries out.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from itertools import groupby
from typing import Any

from msgspec.structs import replace

from hybrid_search.encode import PRECOMPUTED, load_encoder, load_reranker
from hybrid_search.encode.agreement import near_enough
from hybrid_search.encode.protocols import Reranker, TextEncoder, image_encoder
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.models import check_models
from hybrid_search.errors import CursorError, HybridSearchError, ModelError, QueryError
from hybrid_search.filters import Filter, parse
from hybrid_search.records import TRUNCATED_FROM, Fingerprint, Leg, Query, StoredPassage
from hybrid_search.search import procedure, steps
from hybrid_search.search.asking import Budget, Target
from hybrid_search.search.balance import balance_of
from hybrid_search.search.cursor import Seal
from hybrid_search.search.cursor_seal import paging_of, seal_of
from hybrid_search.search.encoded import encoded_image, encoded_texts
from hybrid_search.search.fetch import fetch, stored_passage
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.highlight_model import read_passages
from hybrid_search.search.images import check_image, is_without_text, pixels_of, plan_for, thumbnails, with_image
from hybrid_search.search.leg import VECTORS, Part
from hybrid_search.search.opening import FRESH
from hybrid_search.search.plan import Plan, check_query, fusion_of, leg_of, plan_search
from hybrid_search.search.procedure import ResultOrError
from hybrid_search.search.query_cache import fingerprint_of
from hybrid_search.search.query_syntax import SYNTAXES, read_query
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranking
from hybrid_search.search.retrieve import encode_and_begin, retrieve
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.scored_text import check_text_fields, scored_text
from hybrid_search.search.scoring import scored_by, takes_pairs
from hybrid_search.search.signals import with_unknown
from hybrid_search.search.stages import Stopwatch
from hybrid_search.search.steps import Encode, EncodeImage, EncodePassages, ModelStep, ScorePairs, Steps, boundary
from hybrid_search.search.tracing import headers_of
from hybrid_search.settings import NO_MODEL, Settings

LATE = "late"
"""The reranker that reads with the encoder."""

BATCH = 32
"""Queries whose legs go to the engine in one ``_msearch``."""

FETCHED = 1000
"""Passages whose texts are read in one request."""


@dataclass(frozen=True, slots=True)
class Searcher:
    """An index that was opened, the settings, and the models that were loaded for it.

    Vectors of queries are kept under ``fingerprint``, where there is one.
    """

    target: Target
    settings: Settings
    encoder: TextEncoder | None
    reranker: Reranker | None
    seal: Seal | None = field(default=None, compare=False)
    opened_at: float = field(default_factory=time.monotonic, compare=False)
    fingerprint: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether it searches an alias, or what had not all of its vectors, that was last looked at a while ago."""
        may_change = self.target.among not in {(), (self.target.index,)} or self.target.coverage is not None
        return may_change and time.monotonic() - self.opened_at > FRESH

    @property
    def is_one_model(self) -> bool:
        """Whether encoder and reranker are the same object."""
        return id(self.encoder) == id(self.reranker)

    @property
    def reranker_name(self) -> str | None:
        """What results call the reranker; None where there is none."""
        return None if self.reranker is None else self.reranker.name

    def budget(self, request: SearchRequest | None = None) -> Budget:
        """The time of a search that begins now."""
        given = None if request is None else request.timeout
        return Budget(self.settings.search.timeout if given is None else given)

    def fusion(self, fusion: str | Fusion | None = None) -> Fusion:
        """A whole fusion as it is; a method's name (None: that of the settings) with the usual weights of the index."""
        return fusion_of(self.target.schema, self.settings.search, fusion)

    def search(
        self,
        queries: Sequence[str | Query],
        request: SearchRequest | None = None,
        *,
        return_errors: bool = False,
        budget: Budget | None = None,
        watch: Callable[[], Stopwatch] = Stopwatch,
    ) -> Steps[list[ResultOrError]]:
        """The procedure that answers ``queries``, in batches of :data:`BATCH`.

        Args:
            queries: texts or queries.
            request: how; None as in the settings.
            return_errors: put the error of a query in the place of its result, and answer the others.
            budget: the time of the first batch, where it began before.
            watch: the clock of each batch.

        Raises:
            QueryError: what the request's check and :func:`plan_search` refuse, before anything is sent; what
                :func:`check_query` refuses, unless errors are returned.
            EngineError: a query could not be searched, unless errors are returned.
        """
        request = request or SearchRequest()
        plan, target = self._plan(request), self._target(request)
        asked = self._all_checked(queries, plan, request)
        if not return_errors:
            _raise_first(asked)
        found: list[ResultOrError] = []
        for batch, how in _batches([query for query in asked if isinstance(query, Query)], plan):
            try:
                paging = paging_of(batch, request, self.seal, target.schema, count=len(queries))
            except CursorError as error:
                found += [error]
            else:
                found += yield from procedure.search(
                    batch, how, target, reranker=self.reranker_name, paging=paging, budget=budget, clock=watch()
                )
            budget = None
            if not return_errors:
                _raise_first(found)
        answers = iter(found)
        return [next(answers) if isinstance(query, Query) else query for query in asked]

    def retrieve(self, queries: Sequence[str | Query], request: SearchRequest | None = None) -> Steps[list[Retrieved]]:
        """The procedure of the legs alone: what each found, before fusion, whatever it weighs.

        This is for evaluation: every query of a batch is given the time of a search.

        Raises:
            QueryError: what :func:`plan_search` and :func:`check_query` refuse, before anything is sent.
            HybridSearchError: all legs of a query failed.
        """
        request = replaced(request or SearchRequest(), fusion=Fusion())
        plan, target = self._plan(request), self._target(request)
        asked = self._all_checked(queries, plan, request)
        _raise_first(asked)
        results: list[Retrieved] = []
        for batch, how in _batches([query for query in asked if isinstance(query, Query)], plan):
            budget = Budget(plan.timeout * len(batch))
            begun = yield from encode_and_begin(batch, how, target, budget)
            retrieved = yield from retrieve(batch, how, target, budget, begun)
            _raise_first([one.error for one in retrieved])
            results += retrieved
        return results

    def prepared(self, query: str | Query, request: SearchRequest) -> tuple[Query, Plan, Target]:
        """One query, how and where it is searched, all of it checked.

        Raises:
            QueryError: what :func:`plan_search` and :func:`check_query` refuse.
        """
        plan = self._plan(request)
        [asked] = self._all_checked([query], plan, request)
        if isinstance(asked, HybridSearchError):
            raise asked
        return asked, plan_for(asked, plan), self._target(request)

    def planned(self, request: SearchRequest) -> tuple[Plan, Target, Query]:
        """How and where what is no text is searched for, checked, and a query of the filter of the request alone.

        Raises:
            QueryError: what :func:`plan_search` refuses, or the filter cannot be read.
        """
        with boundary():
            return (
                self._plan(request),
                self._target(request),
                _query("", request.filter, time.time_ns() // 1_000_000),
            )

    def stored(self, passage_ids: Sequence[str]) -> Steps[dict[str, StoredPassage]]:
        """The procedure that reads passages by their ids; those that are gone are left out."""
        ids = list(dict.fromkeys(passage_ids))
        groups = [ids[begin : begin + FETCHED] for begin in range(0, len(ids), FETCHED)]
        found: dict[str, StoredPassage] = {}
        for group in groups:
            stored = yield from fetch([group], self.target, Budget(self.settings.search.timeout))
            found |= {id_: stored_passage(id_, source) for id_, source in stored.items()}
        return found

    def passages(self, passage_ids: Sequence[str]) -> Steps[dict[str, str]]:
        """The procedure that reads the texts of passages by their ids; those that are gone are left out."""
        stored = yield from self.stored(passage_ids)
        return {id_: passage.text for id_, passage in stored.items()}

    def thumbnails(self, ids: Sequence[str]) -> Steps[dict[str, bytes]]:
        """The procedure that reads the JPEG of the first image of each document; those without are left out."""
        found: dict[str, bytes] = {}
        for begin in range(0, len(ids), FETCHED):
            found |= yield from thumbnails(ids[begin : begin + FETCHED], self.target, self.budget())
        return found

    def ask_model(self, step: ModelStep) -> Any:
        """The answer of the encoder or of the reranker.

        Raises:
            ModelError: there is none, or it failed, for whatever reason.
        """
        with boundary(step):
            if isinstance(step, Encode) and self.encoder is not None:
                return encoded_texts(self.encoder, step.texts)
            if isinstance(step, EncodeImage) and (reading := image_encoder(self.encoder)) is not None:
                return encoded_image(reading, pixels_of(step.image, self.settings.images))
            if isinstance(step, EncodePassages) and self.encoder is not None:
                return read_passages(self.encoder, step)
            if isinstance(step, steps.Score | ScorePairs) and self.reranker is not None:
                return scored_by(self.reranker, step)
        raise ModelError(f"no model for the step {type(step).__name__}")

    def _target(self, request: SearchRequest) -> Target:
        """Where the search goes, with the headers of the caller in the place of the client's."""
        given = headers_of(request.opaque_id, request.traceparent)
        return replaced(self.target, headers={**self.target.headers, **given}) if given else self.target

    def _plan(self, request: SearchRequest) -> Plan:
        schema, settings = self.target.schema, self.settings
        request.check()
        return plan_search(
            schema,
            settings.search,
            request,
            reranking=self._reranking(request.rerank, request.window),
            text=scored_text(schema, settings.text, settings.search, request.text, balance_of(self.target.passages)),
        )

    def _all_checked(
        self, queries: Sequence[str | Query], plan: Plan, request: SearchRequest
    ) -> list[Query | HybridSearchError]:
        """The queries as they are searched, or why they are not; ``now`` is one moment for all of them."""
        now = time.time_ns() // 1_000_000
        checked = [self._checked(query, plan, request, now) for query in queries]
        return with_unknown(checked, self.encoder, plan.fusion, self.settings.search)

    def _checked(self, query: str | Query, plan: Plan, request: SearchRequest, now: int) -> Query | HybridSearchError:
        try:
            with boundary():
                asked = self._read(with_image(_query(query, request.filter, now)), request.syntax)
                check_image(asked, self.encoder)
                check_query(asked, plan_for(asked, plan), self.target.schema, encoded_parts(self.encoder))
        except HybridSearchError as error:
            return error
        return asked

    def _read(self, query: Query, syntax: str) -> Query:
        if syntax not in SYNTAXES:
            raise QueryError(f"unknown syntax {syntax!r}", remedy=f"There are: {', '.join(SYNTAXES)}.")
        if syntax == "text" or not query.text.strip():
            return replaced(query, read=None)
        return replaced(query, read=read_query(query.text, self.target.schema, now=query.now))

    def _reranking(self, rerank: bool | Reranking | None, window: int | None) -> Reranking | None:
        if rerank is False or (rerank is None and self.reranker is None):
            return None
        if self.reranker is None:
            raise QueryError(
                "no reranker is loaded", remedy='Set rerank.model, for example to "late", or pass a reranker.'
            )
        reranking = rerank if isinstance(rerank, Reranking) else self.default_reranking(window)
        stored = self.compares_stored
        return replaced(reranking, stored=stored, together=not stored and takes_pairs(self.reranker))

    @property
    def compares_stored(self) -> bool:
        """Whether the index has the token states that the reranker compares."""
        theirs, ours = self.target.schema.late, getattr(self.reranker, "late", None)
        return theirs is not None and isinstance(ours, Fingerprint) and not theirs.difference(ours)

    def default_reranking(self, window: int | None = None) -> Reranking:
        """The window and weight of the settings, within the ``window`` of a search."""
        settings, reach = self.settings.rerank, self.settings.search.window if window is None else window
        return Reranking(max(1, min(settings.window, reach)), settings.weight)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client was opened with: the settings, and models that the caller gave instead of theirs."""

    settings: Settings
    encoder: TextEncoder | None = None
    reranker: Reranker | None = None


def open_searcher(opened: OpenedIndex, target: Target, wanted: Wanted, *, before: Searcher | None = None) -> Searcher:
    """A searcher of an opened index, its models loaded where they are not given.

    A model that the settings leave at its default is that of the index. No encoder is loaded where the settings search
    by BM25 alone. Models of the searcher ``before`` are used again where the settings still lead to them.

    Raises:
        IndexMismatchError: the index was made with other models than those here, or without a text field of the
            settings.
        ModelError: a model cannot be found, loaded or trusted.
    """
    settings = with_models_of(opened, wanted.settings)
    check_text_fields(opened.schema, settings, opened.where)
    same = before is not None and before.settings == settings
    encoder = before.encoder if before is not None and same else wanted.encoder
    reranker = before.reranker if before is not None and same else wanted.reranker
    if encoder is None and has_models(settings) and needs_encoder(settings):
        encoder = load_encoder(settings)
    if encoder is not None:
        legs = [Leg(part) for part in encoded_parts(encoder) if part in opened.models]
        check_models(opened, encoder, legs, near=near_enough)
    if reranker is None:
        reranker = load_reranker(settings, encoder)
    seal = seal_of(opened, settings.search)
    return Searcher(target, settings, encoder, reranker, seal, fingerprint=fingerprint_of(encoder))


def encoded_parts(encoder: TextEncoder | None) -> frozenset[Part]:
    """The vectors that ``encoder`` makes from text; precomputed ones come with the query."""
    models = {part: getattr(encoder, part, None) for part in VECTORS}
    return frozenset(part for part, model in models.items() if model is not None and model.kind != PRECOMPUTED)


def with_models_of(opened: OpenedIndex, settings: Settings) -> Settings:
    """The settings with the models that made the index in every section that was left at its defaults."""
    dense, sparse = opened.schema.dense, opened.schema.sparse
    defaults = Settings()
    if settings.dense == defaults.dense:
        model = NO_MODEL if dense is None else dense.name
        given = dense is not None and (dense.kind == PRECOMPUTED or TRUNCATED_FROM in dense.extra)
        dimension = dense.dimension if dense is not None and given else None
        settings = replace(settings, dense=replace(settings.dense, model=model, dimension=dimension))
    if settings.sparse == defaults.sparse:
        model = NO_MODEL if sparse is None else sparse.name
        pruning = {} if sparse is None else {key: sparse.extra.get(key) for key in ("max_terms", "min_share")}
        settings = replace(settings, sparse=replace(settings.sparse, model=model, **pruning))
    return settings


def has_models(settings: Settings) -> bool:
    """Whether there is anything to encode with."""
    return not settings.dense.model == settings.sparse.model == NO_MODEL


def needs_encoder(settings: Settings) -> bool:
    """Whether anything but BM25 is asked for: without, the query client needs neither torch nor a model."""
    weights = settings.search.weights
    heard = [leg_of(name) for name in settings.search.legs if weights.get(name, 1.0) > 0]
    return settings.rerank.model == LATE or any(leg.part in VECTORS for leg in heard)


def _query(query: str | Query, matching: Filter | str | None, now: int) -> Query:
    """The query with its text composed (NFC): how a letter with its accent was typed does not decide what is found."""
    query = Query(query) if isinstance(query, str) else query
    own, added = _filter(query.filter), _filter(matching)
    both = own & added if own is not None and added is not None else added if own is None else own
    text = unicodedata.normalize("NFC", query.text)
    return replaced(query, text=text, filter=both, now=now if query.now is None else query.now)


def _filter(given: Any) -> Any:
    """A filter as it is, or one as text, composed."""
    return parse(unicodedata.normalize("NFC", given)) if isinstance(given, str) else given


def _raise_first(outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, HybridSearchError):
            raise outcome


def _batches(queries: Sequence[Query], plan: Plan) -> Iterator[tuple[Sequence[Query], Plan]]:
    """Queries that are searched together, and how: those of an image alone by fewer legs."""
    for _, alike in groupby(queries, is_without_text):
        some = list(alike)
        for begin in range(0, len(some), BATCH):
            yield some[begin : begin + BATCH], plan_for(some[begin], plan)
