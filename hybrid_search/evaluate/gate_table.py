"""Changes since a baseline, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybrid_search.evaluate.gate import Change

if TYPE_CHECKING:
    from rich.table import Table


def changes_table(found: Sequence[Change]) -> Table:
    """One line per system and measure that changed at all; what fell beyond chance is red."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Since the baseline", title_justify="left")
    table.add_column("system", overflow="fold")
    for name in ("measure", "before", "now", "change 95 %", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("queries that lost most", overflow="fold")
    for one in found:
        if one.comparison.difference or one.queries:
            table.add_row(*_cells(one), style="red" if one.is_fall else "")
    return table


def _cells(one: Change) -> tuple[str, ...]:
    low, high = one.comparison.interval or (one.comparison.difference,) * 2
    queries = ", ".join(f"{query} {change:+.2f}" for query, change in one.queries)
    interval, p_value = f"{low:+.3f} {high:+.3f}", f"{one.comparison.p_holm:.4f}"
    return one.system, one.measure, f"{one.before:.4f}", f"{one.now:.4f}", interval, p_value, queries


def verdict(found: Sequence[Change]) -> str:
    """One line: what fell, or that nothing did."""
    fallen = [f"{one.system} ({one.measure} {one.before:.4f} -> {one.now:.4f})" for one in found if one.is_fall]
    if fallen:
        return f"{len(fallen)} of {len(found)} fell beyond chance: {'; '.join(fallen)}"
    return f"none of {len(found)} fell beyond chance"
