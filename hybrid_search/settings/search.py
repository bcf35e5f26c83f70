"""How legs are searched and fused."""

from __future__ import annotations

from hybrid_search.boosts import parse_boost
from hybrid_search.errors import QueryError, SettingsError
from hybrid_search.settings.section import Section, require, require_at_least, require_one_of, require_seconds
from hybrid_search.settings.text import MAX_WEIGHT
from hybrid_search.weight_rules import parse_rule

LEGS = ("bm25", "dense", "sparse")
FUSIONS = ("rrf", "min-max", "z-score", "theoretical-min", "server")
KEY = 16
"""Characters that a key has at least."""
MAX_SLOP = 1_000
MAX_OVERSAMPLE = 10
"""Elasticsearch takes less than 10 in some versions, OpenSearch up to 100."""
MAX_WINDOW = 10_000
"""``index.max_result_window`` of both engines: no leg can return more."""


class SearchSettings(Section, frozen=True):
    """How legs are fused.

    ``dfs`` counts BM25's terms over all shards before it scores, so that equal documents score alike in all of them;
    with one shard it does nothing, and fusion by the server does without. Five shards then rank as one does, nDCG@10 of
    BM25 on NFCorpus / SciFact .3218 / .6789; counted shard by shard .3236 / .6773, and 4 to 20 % of queries keep their
    first ten (OpenSearch 3.6.0; the difference in time was below the noise of a busy machine).

    ``timeout`` is how many seconds a search, or a batch of 32, may take: encoding, legs, passages and reranking
    together. Who is late is left out and named. A batch is reranked query by query, each within this time; once the
    reranker was late, the queries after that keep the fused order.

    ``overlap`` asks BM25 while the query is encoded, instead of all legs in one request afterwards: one request more
    for each search, which can pay where the engine has cores of its own. Where encoder and engine shared two busy
    cores it did not: 2,000 documents, MiniLM, OpenSearch 3.6.0, interleaved; the medians of 180, 360 and 180 pairs are
    .96, 1.00 (95 %: .97 to 1.04) and 1.00 (.91 to 1.05) times as long.

    ``two_phase`` lets the strongest sparse terms find passages, those that weigh at least this share of the heaviest,
    and the others only score what was found (``benchmarks/search/sparse.py`` prints time and recall). 0 is off.

    ``oversample`` is for an index of quantised vectors (``engine.dense_index``): so many times the candidates are found
    by them and scored again by the whole vectors. 0 trusts the quantised ones; None is the index's own number.

    ``concurrency`` is how many searches (a batch is one) a client has in progress at a time: one more is refused at
    once, with :class:`~hybrid_search.errors.BusyError`. ``cached_queries`` is how many queries' vectors a client keeps,
    those used last (some 12 KB each); 0 encodes every query anew, as is right where encoding is timed.
    ``trace_queries`` puts the texts of queries into spans (:mod:`hybrid_search.search.telemetry`).

    ``fusion`` is ``rrf``, ``min-max``, ``z-score``, ``theoretical-min``, or ``server``: the engine's own RRF, over
    passages (OpenSearch 3.5+, Elasticsearch 8.16+ with a licence for it).

    ``window`` counts the documents that each leg ranks (a page beyond it doubles it, for that search; a document that a
    leg finds beyond its window gets nothing from that leg, so another window is another ranking), ``candidates`` the
    passages that it fetches for them (None:
    twice as many) and the width of the graph search. A leg without a weight in ``weights`` weighs 1; but the starter's
    in min-max, z-score and theoretical-min :data:`~hybrid_search.search.plan.STARTER_WEIGHT`.

    ``rules`` give some queries other weights: ``words <= 2: bm25=0.6 dense=0.4`` (:mod:`hybrid_search.weight_rules`);
    of those that hold for a query the first counts. ``hybrid-search tune`` finds them.

    ``boosts`` raise fused scores: ``fresh:published,30d`` (:mod:`hybrid_search.boosts`); documents of the ids in
    ``pin`` stand first, those in ``bury`` last.
    ``phrase`` is what BM25's score of the words as a phrase counts for a passage that has them all in their order,
    beside that of the words; ``proximity`` the same for one that has them at most ``slop`` places apart. 0 is off.

    ``cursor_key`` signs cursors (:mod:`hybrid_search.search.cursor_seal`), which are good for ``cursor_lifetime``
    seconds from the page on that gave them.

    The defaults were chosen on NFCorpus dev / SciFact train (BM25 and all-MiniLM-L6-v2, OpenSearch 3.6.0, nDCG@10):
    min-max .3339 / .7327, z-score .3305 / .7352, theoretical-min .3274 / .7250, rrf .3300 / .7120 (rank constant 20:
    .3317 / .7209). Min-max with a weight of .4 or .6 for BM25: .3294 / .7241 or .3304 / .7332; with a window of 50 or
    20: .3315 / .7314 or .3275 / .7315. With the starter as third leg: min-max .3383 / .7385, z-score .3377 / .7381.
    A graph search of width 200 finds 99.8 % of the 100 nearest of NFCorpus dev, one of width 100 finds 99.1 %;
    nDCG@10 of either is that of exact search to .0006.
    """

    legs: tuple[str, ...] = LEGS
    k: int = 10
    window: int = 100
    candidates: int | None = None
    fusion: str = "min-max"
    rank_constant: int = 60
    weights: dict[str, float] = {}  # noqa: RUF012  # a struct copies its default
    rules: tuple[str, ...] = ()
    timeout: float = 10.0
    dfs: bool = True
    overlap: bool = False
    cursor_key: str | None = None
    cursor_lifetime: float = 3600.0
    two_phase: float = 0.0
    oversample: float | None = None
    concurrency: int = 1000
    cached_queries: int = 1000
    trace_queries: bool = False
    boosts: tuple[str, ...] = ()
    pin: tuple[str, ...] = ()
    bury: tuple[str, ...] = ()
    phrase: float = 0.0
    proximity: float = 0.0
    slop: int = 8

    def __post_init__(self) -> None:
        require(bool(self.legs), "search.legs", "names no leg", f"Name at least one of {', '.join(LEGS)}")
        for leg in self.legs:
            require_one_of(LEGS, "search.legs", leg)
        require(len(set(self.legs)) == len(self.legs), "search.legs", "names a leg twice")
        require_one_of(FUSIONS, "search.fusion", self.fusion)
        require_at_least(0, "search.rank_constant", self.rank_constant)
        require_seconds("search.timeout", self.timeout)
        require_seconds("search.cursor_lifetime", self.cursor_lifetime)
        is_long = self.cursor_key is None or len(self.cursor_key) >= KEY
        require(is_long, "search.cursor_key", f"has fewer than {KEY} characters", "Give a long random text")
        require(0 <= self.two_phase < 1, "search.two_phase", f"must be from 0 to below 1, got {self.two_phase}")
        require(
            self.oversample is None or self.oversample == 0 or 1 <= self.oversample <= MAX_OVERSAMPLE,
            "search.oversample",
            f"must be 0 or from 1 to {MAX_OVERSAMPLE}, got {self.oversample}",
        )
        require_at_least(1, "search.concurrency", self.concurrency)
        require_at_least(0, "search.cached_queries", self.cached_queries)
        for name in ("phrase", "proximity"):
            value = getattr(self, name)
            require(0 <= value <= MAX_WEIGHT, f"search.{name}", f"must be from 0 to {MAX_WEIGHT}, got {value}")
        require(1 <= self.slop <= MAX_SLOP, "search.slop", f"must be from 1 to {MAX_SLOP}, got {self.slop}")
        self._require_widths()
        self._require_weights()
        self._require_rules()
        self._require_boosts()

    def _require_widths(self) -> None:
        for name in ("k", "window"):
            value = getattr(self, name)
            require(1 <= value <= MAX_WINDOW, f"search.{name}", f"must be between 1 and {MAX_WINDOW}, got {value}")
        require(
            self.k <= self.window,
            "search.k",
            f"asks for {self.k} hits, more than each leg fetches (search.window is {self.window})",
            "Raise search.window",
        )
        require(
            self.candidates is None or self.window <= self.candidates <= MAX_WINDOW,
            "search.candidates",
            f"must be between search.window ({self.window}) and {MAX_WINDOW}, got {self.candidates}",
        )

    def _require_boosts(self) -> None:
        for boost in self.boosts:
            try:
                parse_boost(boost)
            except QueryError as error:
                raise SettingsError(str(error), where="search.boosts") from error

    def _require_rules(self) -> None:
        for rule in self.rules:
            try:
                parsed = parse_rule(rule)
            except QueryError as error:
                raise SettingsError(error.what, where="search.rules", remedy=error.remedy) from error
            for leg in [*parsed.legs, *([signal] if (signal := parsed.condition.leg) else [])]:
                require_one_of(LEGS, "search.rules", leg)
            weights = {**self.weights, **parsed.legs}
            weighs = any(weights.get(leg, 1.0) for leg in self.legs)
            require(
                weighs, "search.rules", f"{rule!r} gives every leg of search.legs ({', '.join(self.legs)}) the weight 0"
            )
        require(
            not self.rules or self.fusion != "server",
            "search.rules",
            "are of no use where the engine fuses, which weighs the legs of all queries alike",
            'Set search.fusion = "rrf", or leave them out',
        )

    def _require_weights(self) -> None:
        for leg, weight in self.weights.items():
            require_one_of(LEGS, "search.weights", leg)
            require_at_least(0, f"search.weights.{leg}", weight)
        require(
            any(self.weights.get(leg, 1.0) for leg in self.legs),
            "search.weights",
            f"gives every leg of search.legs ({', '.join(self.legs)}) the weight 0",
        )
