"""What rules for weights look at, of one query: its words, those strange to the model, the lead of each leg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.errors import HybridSearchError
from hybrid_search.records import Query
from hybrid_search.search.fusion import Fusion, Runs, in_order
from hybrid_search.search.steps import boundary
from hybrid_search.settings import SearchSettings
from hybrid_search.weight_rules import UNKNOWN, Signals, gap_of, parse_rule, unknown_share, words_of


def signals_of(query: Query, runs: Runs, missing: Mapping[str, float]) -> Signals:
    """Those of a query whose legs found ``runs``; what a leg did not find scored ``missing``, where that is known."""
    gaps = {leg: gap_of([score for _, score in in_order(run)], missing.get(leg)) for leg, run in runs.items()}
    return Signals(words_of(query.plain) or None, query.unknown, gaps)


def unknown_in(text: str, encoder: TextEncoder | None) -> float | None:
    """The share of the words that the vocabulary of the model has only in pieces; None without a model, or words."""
    if encoder is None or encoder.tokenizer is None or not text.strip():
        return None
    with boundary():
        [tokens] = encoder.tokenizer.spans([text])
    return unknown_share(text, tokens)


def with_unknown(
    queries: Sequence[Query | HybridSearchError],
    encoder: TextEncoder | None,
    fusion: Fusion,
    settings: SearchSettings,
) -> list[Query | HybridSearchError]:
    """The queries with the share of their unknown words, where a rule of the fusion or the settings looks at it."""
    rules = (*fusion.rules, *map(parse_rule, settings.rules))
    if not any(rule.condition.signal == UNKNOWN for rule in rules):
        return list(queries)
    return [replace(one, unknown=unknown_in(one.plain, encoder)) if isinstance(one, Query) else one for one in queries]
