"""A search, checked before anything is sent: what the caller asked for and the settings, made one frozen plan."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import orjson

from hybrid_search.engine.layout import RESULT_WINDOW
from hybrid_search.engine.templates import is_quantised
from hybrid_search.errors import QueryError
from hybrid_search.filters import clause
from hybrid_search.records import Fingerprint, IndexSchema, Query
from hybrid_search.search.boosts import Boosts, plan_boosts
from hybrid_search.search.carried import carried_fields
from hybrid_search.search.collapse import BEST, Collapse, check_passages, collapse_of
from hybrid_search.search.encoding import lacking
from hybrid_search.search.expert import engine_query
from hybrid_search.search.facets import Facet, check_words, checked_facets
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.highlight import Highlight, checked_highlight
from hybrid_search.search.leg import Part, SearchLeg
from hybrid_search.search.limits import Limits, plan_limits
from hybrid_search.search.mmr import Mmr, plan_diversity
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranking
from hybrid_search.search.scored_text import ScoredText
from hybrid_search.search.standard_legs import BM25, SPARSE, STANDARD
from hybrid_search.settings import SearchSettings
from hybrid_search.weight_rules import parse_rule

CANDIDATES_PER_HIT = 2

STARTER = "starter"
ENCODER = "encoder"
"""What the identity of a starter's head says and no other model's does: on whose states it works."""
STARTER_WEIGHT = 0.6
"""What the starter's leg weighs in a convex fusion where no weights are given; the other legs weigh 1.

It is the weakest of the three and resembles BM25. Chosen on NFCorpus dev / SciFact train (min-max, nDCG@10): BM25 and
dense .3337 / .7327; with the starter at 1 .3411 / .7348, .8 .3420 / .7361, .6 .3410 / .7382, .4 .3385 / .7364.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a batch of queries is searched.

    Each of ``legs`` ranks its best ``window`` documents, from at least ``candidates`` passages; the graph search of
    the dense leg is at least as wide. What a leg did not find within its window gets nothing from it, so that a wider
    window is another ranking, not more of the same. ``exact`` compares with every vector instead; ``two_phase``
    searches for the strongest sparse terms first; quantised vectors are scored again as ``oversample`` says. The page
    is ``k`` hits after the first ``offset``. ``timeout`` is in seconds: what all steps of a search may take together.
    ``dfs`` counts the terms of BM25 over all shards. ``overlap`` asks legs that need no vector while others are
    encoded. ``carried`` are the fields whose values all hits bring along, for ``facets`` too. ``passages`` further ones
    are shown of each hit. ``diversity`` and ``max_per`` spread them.
    """

    legs: tuple[SearchLeg, ...]
    k: int
    offset: int
    window: int
    candidates: int
    fusion: Fusion
    reranking: Reranking | None = None
    collapse: Collapse = BEST
    passages: int = 0
    exact: bool = False
    two_phase: float = 0.0
    oversample: float | None = None
    timeout: float = 10.0
    dfs: bool = False
    overlap: bool = False
    carried: tuple[str, ...] = ()
    boosts: Boosts = field(default_factory=Boosts)
    diversity: Mmr | None = None
    max_per: Limits = ()
    facets: tuple[Facet, ...] = ()
    highlight: Highlight | None = None
    text: ScoredText | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the legs are called, in their order."""
        return tuple(leg.name for leg in self.legs)

    @property
    def reach(self) -> int:
        """How many hits of the fused ranking are fetched: the page and all before it, or the rerank window."""
        return max(self.offset + self.k, self.reordered)

    @property
    def reordered(self) -> int:
        """How many of the first hits of the fused ranking may stand in another order in the end."""
        windows = [one.window for one in (self.reranking, self.diversity) if one is not None]
        return len(self.boosts.pinned) + max(windows) if windows else 0


def plan_search(
    schema: IndexSchema,
    settings: SearchSettings,
    request: SearchRequest,
    *,
    fusion: Fusion | None = None,
    reranking: Reranking | None = None,
    text: ScoredText | None = None,
) -> Plan:
    """The plan for what was asked, with ``settings`` where nothing was; ``fusion`` in the place of what was asked.

    Legs that are named must be in the index; the legs of the settings are those of them that the index has. A leg that
    weighs 0 is left out. A page beyond the window of the settings widens it, doubling; a window that is named is kept.

    Raises:
        QueryError: k, offset, window or candidates out of range, an unknown leg or fusion, a leg that the index
            lacks, weights that do not fit the legs.
    """
    legs, offset, window = request.legs, request.offset, _window(settings, request)
    searched = _legs_in(schema, named_legs(legs)) if legs is not None else _usual_legs(settings, schema)
    if fusion is None:
        fusion = fusion_of(schema, settings, request.fusion, legs=searched)
    plan = Plan(
        legs=searched,
        k=max(1, min(settings.k, window - offset)) if request.k is None else request.k,
        offset=offset,
        window=window,
        candidates=_usual_candidates(settings, window) if request.candidates is None else request.candidates,
        fusion=fusion,
        reranking=reranking,
        collapse=collapse_of(request.collapse),
        passages=check_passages(request.passages, collapse_of(request.collapse)),
        exact=request.exact,
        two_phase=two_phase_of(settings, request) * (not fusion.by_server),
        oversample=settings.oversample if is_quantised(schema.dense_index) else None,
        timeout=settings.timeout if request.timeout is None else request.timeout,
        dfs=settings.dfs,
        overlap=settings.overlap,
        carried=carried_fields(request, schema, settings),
        boosts=plan_boosts(request, settings, schema),
        diversity=plan_diversity(request.diversity, schema),
        max_per=plan_limits(request, schema),
        facets=checked_facets(request.facets, schema, request.facet_counts),
        highlight=checked_highlight(request.highlight),
        text=text,
    )
    _check_ranges(plan, schema)
    fusion.shares(plan.names)
    heard = fusion.having_a_say(plan.names)
    return replace(plan, legs=tuple(leg for leg in plan.legs if leg.name in heard))


def _window(settings: SearchSettings, request: SearchRequest) -> int:
    if request.window is not None:
        return request.window
    return wide_enough(settings.window, request.offset + (settings.k if request.k is None else request.k))


def wide_enough(window: int, reach: int) -> int:
    """The window itself, or doubled until it holds ``reach`` hits: not once a page, for every width ranks anew."""
    while 0 < window < min(reach, RESULT_WINDOW):
        window = min(2 * window, RESULT_WINDOW)
    return window


def fusion_of(
    schema: IndexSchema,
    settings: SearchSettings,
    fusion: str | Fusion | None = None,
    *,
    legs: Iterable[SearchLeg] = (),
) -> Fusion:
    """A whole fusion as it is; another ``method`` than that of the settings keeps their weights and rank constant.

    The rules of the settings go with their weights.
    A leg without a weight of its own weighs 1, and the starter's :data:`STARTER_WEIGHT` unless ranks are fused:
    reciprocal ranks are the published formula where the settings give no weights. ``legs`` may be more than the usual.
    """
    if isinstance(fusion, Fusion):
        return fusion
    usual = Fusion(fusion or settings.fusion, rank_constant=settings.rank_constant)
    if not usual.by_server:  # which fuses before there are scores, by weights that are the same for all queries
        usual = replace(usual, rules=tuple(map(parse_rule, settings.rules)))
    given = {leg_of(name).name: weight for name, weight in settings.weights.items()}
    if not usual.by_ranks and schema.sparse is not None and _is_starter(schema.sparse):
        given = {SPARSE.name: STARTER_WEIGHT} | given
    names = [*STANDARD, *(leg.name for leg in legs)]
    return replace(usual, weights=dict.fromkeys(names, 1.0) | given) if given else usual


def _is_starter(sparse: Fingerprint) -> bool:
    """Whether it is the starter, or a head of one's own for it."""
    return sparse.name == STARTER or ENCODER in sparse.extra


def _usual_candidates(settings: SearchSettings, window: int) -> int:
    usual = CANDIDATES_PER_HIT * window if settings.candidates is None else settings.candidates
    return min(max(window, usual), RESULT_WINDOW)


def indexed_legs(schema: IndexSchema) -> tuple[SearchLeg, ...]:
    """The legs of the package that the index can answer; BM25 always."""
    return tuple(leg for leg in STANDARD.values() if leg.is_in(schema))


def check_query(query: Query, plan: Plan, schema: IndexSchema, encoded: Collection[Part]) -> None:
    """Refuse a query that no engine should be asked.

    Args:
        query: text, vectors or both.
        plan: its legs.
        schema: what the index holds.
        encoded: the vectors that can be made from text here.

    Raises:
        QueryError: an empty text where a leg or the reranker needs it, text that is no Unicode, a leg without a vector
            and without an encoder, a vector with another dimension, or one that is zero, not finite or not positive,
            a filter on what the index cannot filter on.
    """
    _check_characters(query)
    if query.filter is not None:
        _check_json(clause(query.filter, schema, now=query.now), query)
    check_words(query, plan.facets)
    vectorless = lacking(query, plan.legs)
    is_given = engine_query(query) is not None
    if query.image is not None:
        vectorless = [part for part in vectorless if part != "dense"]
    needs_text = [leg for leg in plan.legs if (leg.part == "text" and not is_given) or leg.part in vectorless]
    if (needs_text or plan.reranking) and not query.text.strip():
        raise QueryError("the query is empty", where=_where(query), remedy="Give at least one word.")
    for leg in needs_text:
        if leg.part != "text" and leg.part not in encoded:
            raise QueryError(
                f"the {leg.name} leg has no encoder and the query carries no {leg.part} vector",
                where=_where(query),
                remedy=f"Load a {leg.part} model, give the vector, or name other legs.",
            )
    _check_vectors(query, schema)


def _check_characters(query: Query) -> None:
    try:
        query.text.encode()
    except UnicodeEncodeError as error:
        raise QueryError(
            f"character {error.start + 1} of the query is half a surrogate pair, which is no text",
            where=_where(query),
            remedy="A byte that is not UTF-8 was read as one: write the query in UTF-8.",
        ) from error
    _check_json(list(query.sparse or ()), query)


def _check_json(value: Any, query: Query) -> None:
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise QueryError(
            f"the query holds what JSON cannot say: {error}", where=_where(query), remedy="Write it in UTF-8."
        ) from error


def _check_vectors(query: Query, schema: IndexSchema) -> None:
    if query.dense is not None:
        dimension = None if schema.dense is None else schema.dense.dimension
        if dimension is not None and query.dense.shape != (dimension,):
            raise QueryError(
                f"a dense vector of shape {query.dense.shape}",
                where=_where(query),
                remedy=f"The index holds vectors of shape ({dimension},).",
            )
        if not np.isfinite(query.dense).all() or not query.dense.any():
            raise QueryError("a dense vector that is zero or not finite", where=_where(query), remedy="Encode again.")
    for term, weight in (query.sparse or {}).items():
        if not (np.isfinite(weight) and weight > 0):
            raise QueryError(
                f"the term {term!r} with the weight {weight}",
                where=_where(query),
                remedy="Weights must be positive and finite; leave other terms out.",
            )


def _where(query: Query) -> str | None:
    return None if query.id is None else f"query {query.id}"


def _usual_legs(settings: SearchSettings, schema: IndexSchema) -> tuple[SearchLeg, ...]:
    wanted = {leg_of(name) for name in settings.legs}
    if usable := tuple(leg for leg in indexed_legs(schema) if leg in wanted):
        return usable
    raise QueryError(
        f"the settings name no leg of this index: {', '.join(settings.legs) or 'none'}",
        remedy=f"The index has: {', '.join(map(str, indexed_legs(schema)))}.",
    )


def named_legs(named: Iterable[str | SearchLeg]) -> tuple[SearchLeg, ...]:
    """Legs by their names or as they are, each once: those of the package in their order, then those of one's own.

    Raises:
        QueryError: there is none, an unknown name, or two legs of one name.
    """
    legs: dict[str, SearchLeg] = {}
    for one in named:
        leg = one if isinstance(one, SearchLeg) else leg_of(one)
        if legs.setdefault(leg.name, leg) != leg:
            raise QueryError(f"two legs are called {leg.name}", remedy="Give each a name of its own.")
    if not legs:
        raise QueryError("no leg is named", remedy=f"There are: {', '.join(STANDARD)}.")
    order = [*(name for name in STANDARD if name in legs), *(name for name in legs if name not in STANDARD)]
    return tuple(legs[name] for name in order)


def _legs_in(schema: IndexSchema, named: tuple[SearchLeg, ...]) -> tuple[SearchLeg, ...]:
    if missing := [leg.name for leg in named if not leg.is_in(schema)]:
        raise QueryError(
            f"the index holds no vectors for the {' and the '.join(missing)} leg",
            remedy=f"It has: {', '.join(map(str, indexed_legs(schema)))}. Index again with a model for that leg, or "
            "leave it out.",
        )
    return named


def leg_of(name: str) -> SearchLeg:
    """The leg of the package of this name; QueryError with the nearest one where there is none."""
    if not isinstance(name, str):
        raise QueryError(f"{name!r} is no leg", remedy="Give a name, or an object whose class is a SearchLeg.")
    if name in STANDARD:
        return STANDARD[name]
    nearest = get_close_matches(name, list(STANDARD), n=1, cutoff=0.0)
    raise QueryError(
        f"unknown leg {name!r}",
        remedy=f"Did you mean {nearest[0] if nearest else BM25}? The legs are: {', '.join(STANDARD)}.",
    )


def two_phase_of(settings: SearchSettings, request: SearchRequest) -> float:
    """The share of the request, else of the settings; a server fuses queries, of which none can be rescored before.

    Raises:
        QueryError: it is no share below 1.
    """
    share = settings.two_phase if request.two_phase is None else request.two_phase
    if not 0 <= share < 1:
        raise QueryError(f"two_phase is {share}", remedy="Give a share of the heaviest term, from 0 to below 1.")
    return share


def _check_attached(plan: Plan) -> None:
    """Raise QueryError for what takes passages that are documents of the engine."""
    if plan.collapse.kind in ("sum", "first") or plan.passages:
        raise QueryError(
            "in an index that others own, documents are ranked by their best passage, and one passage of each is shown",
            remedy="Leave out collapse and passages, or copy the index into one of ours: hybrid-search index.",
        )
    if plan.fusion.by_server:
        raise QueryError("the server cannot fuse what is found in an index that others own", remedy="Use fusion = rrf.")


def _check_ranges(plan: Plan, schema: IndexSchema) -> None:
    if schema.attached is not None:
        _check_attached(plan)
    if not (math.isfinite(plan.timeout) and plan.timeout > 0):
        raise QueryError(f"a timeout of {plan.timeout} s", remedy="Give a number of seconds above 0.")
    if plan.k < 1:
        raise QueryError(f"k is {plan.k}", remedy="Ask for at least one hit.")
    if plan.offset < 0:
        raise QueryError(f"the offset is {plan.offset}", remedy="Count hits from 0.")
    if not 1 <= plan.window <= RESULT_WINDOW:
        raise QueryError(f"a window of {plan.window} hits", remedy=f"Give a number from 1 to {RESULT_WINDOW:,}.")
    if not plan.window <= plan.candidates <= RESULT_WINDOW:
        raise QueryError(
            f"{plan.candidates} candidates for a window of {plan.window}",
            remedy=f"Give a number from the window to {RESULT_WINDOW:,}.",
        )
    if plan.offset + plan.k > plan.window:
        raise QueryError(
            f"{plan.k} hits from {plan.offset} reach beyond the window of {plan.window} hits per leg",
            remedy=f"Ask for fewer, or a wider window (at most {RESULT_WINDOW:,}): it ranks anew what both find.",
        )
    if plan.reranking is not None and plan.reranking.window > plan.window:
        raise QueryError(
            f"a rerank window of {plan.reranking.window} in a window of {plan.window} hits per leg",
            remedy="Rerank fewer hits, or set a wider window.",
        )
