"""What a click log was made into, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hybrid_search.evaluate.clicks.judged import ClickJudgements
from hybrid_search.evaluate.clicks.log import ClickLog
from hybrid_search.evaluate.clicks.position_model import PositionModel

if TYPE_CHECKING:
    from rich.table import Table


def clicks_json(log: ClickLog, model: PositionModel, judged: ClickJudgements) -> dict[str, Any]:
    """Counts and estimates as plain JSON types; the grades are in the files."""
    return {
        "impressions": sum(log.shown.values()),
        "clicks": sum(log.clicked.values()),
        "judged_queries": len(judged.qrels),
        "judgements": _count(judged),
        "examination": {str(k): round(value, 4) for k, value in sorted(model.examination.items())},
        "left_out": {
            "queries_with_few_clicks": judged.few_clicks,
            "documents_seldom_shown": judged.few_shown,
            "impressions_at_positions_that_cannot_be_compared": model.left_out,
            "searches_without_their_hits": log.unlisted,
            "clicks_on_what_was_not_shown": log.unmatched,
        },
    }


def _count(judged: ClickJudgements) -> int:
    return sum(map(len, judged.qrels.values()))


def examination_table(log: ClickLog, model: PositionModel) -> Table:
    """By position: impressions, clicks, and how much it is looked at."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="How positions are looked at", title_justify="left")
    for name in ("position", "shown", "clicked", "clicks a showing", "looked at"):
        table.add_column(name, justify="right", no_wrap=True)
    for position, looked in sorted(model.examination.items()):
        shown = sum(times for (_, _, at), times in log.shown.items() if at == position)
        clicked = sum(times for (_, _, at), times in log.clicked.items() if at == position)
        table.add_row(str(position), f"{shown:,}", f"{clicked:,}", f"{clicked / shown:.4f}", f"{looked:.3f}")
    return table


def notes(log: ClickLog, model: PositionModel, judged: ClickJudgements) -> Iterator[str]:
    """What was made, and everything that was left out."""
    yield (
        f"{_count(judged):,} judgements of {len(judged.qrels):,} queries, from {sum(log.clicked.values()):,} clicks;"
        " a grade compares documents of one query: 3 attracts at least three quarters as much as its best, 0 less than"
        " a quarter"
    )
    yield f"left out: {judged.few_clicks:,} queries with few clicks, {judged.few_shown:,} documents seldom shown"
    if model.left_out:
        yield f"left out: {model.left_out:,} showings at positions that no document links to the others"
    if log.unlisted:
        yield f"left out: {log.unlisted:,} searches whose hits are not in the log"
    if log.unmatched:
        yield f"left out: {log.unmatched:,} clicks on what their search had not shown"
