"""How two ways to search differ, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from hybrid_search.evaluate.unjudged.side_by_side import Agreement, Pair

if TYPE_CHECKING:
    from rich.table import Table


def agreement_json(found: Agreement, names: Sequence[str]) -> dict[str, Any]:
    """All pairs as plain JSON types, the most different first; ``names`` are those of the two sides."""
    return {
        "first": names[0],
        "second": names[1],
        "queries": len(found.pairs),
        "hits": found.hits,
        "persistence": found.persistence,
        "mean_overlap": round(found.mean, 5),
        "same_ranking": found.same,
        "same_first_hit": found.same_first,
        "by_query": [_pair_json(pair) for pair in found.pairs],
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "query": pair.query.id,
        "text": pair.query.text,
        "overlap": round(pair.overlap, 5),
        "first": list(pair.first),
        "second": list(pair.second),
        "only_first": pair.only_first,
        "only_second": pair.only_second,
    }


def pair_table(pair: Pair, names: Sequence[str]) -> Table:
    """Both rankings side by side; beside each hit of the second, how far it rose or fell, or that it is new."""
    from rich import box
    from rich.table import Table

    title = f"{pair.query.id}: {pair.query.text}  (overlap {pair.overlap:.3f})"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column(names[0], ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("moved", justify="right", no_wrap=True)
    table.add_column(names[1], ratio=1, no_wrap=True, overflow="ellipsis")
    for rank, (mine, its) in enumerate(zip_longest(pair.first, pair.second), start=1):
        table.add_row(str(rank), _called(pair, mine), moved(pair, its), _called(pair, its))
    return table


def moved(pair: Pair, id_: str | None) -> str:
    """From the first ranking to the second: ``+3`` is three ranks up."""
    if id_ is None:
        return ""
    if id_ not in pair.first:
        return "new"
    up = list(pair.first).index(id_) - list(pair.second).index(id_)
    return f"{up:+d}" if up else "="


def _called(pair: Pair, id_: str | None) -> str:
    return "" if id_ is None else f"{id_}  {pair.titles.get(id_, '')}".strip()


def notes(found: Agreement) -> Iterator[str]:
    """What the figures are, and what they are not."""
    count = len(found.pairs)
    yield (
        f"{count:,} queries, the first {found.hits} hits: mean rank-biased overlap {found.mean:.3f}"
        f" (persistence {found.persistence:g}; 1 is the same ranking, 0 nothing in common);"
        f" the same ranking for {found.same:,}, the same first hit for {found.same_first:,}"
    )
    yield "how much two rankings differ does not say which is better: judge the queries that differ most"
