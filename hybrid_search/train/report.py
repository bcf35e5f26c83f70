"""What a run came to, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hybrid_search.train.records import Change, Trained

if TYPE_CHECKING:
    from rich.table import Table

SETTING = {"starter": "sparse.model", "sparse": "sparse.model", "dense": "dense.model", "rerank": "rerank.model"}


def trained_table(trained: Trained) -> Table:
    """Before and after, system by system."""
    from rich import box
    from rich.table import Table

    title = f"nDCG@10 on {trained.counts['test_queries']:,} held-out queries"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("system", no_wrap=True)
    for name in ("before", "after", "difference", "95 % interval", "p (Holm)"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in trained.changes:
        table.add_row(*_cells(one))
    return table


def _cells(one: Change) -> tuple[str, ...]:
    if one.comparison is None:
        return one.system, f"{one.before:.4f}", "the same", "", "", ""
    interval = one.comparison.interval
    return (
        one.system,
        f"{one.before:.4f}",
        f"{one.after:.4f}",
        f"{one.comparison.difference:+.4f}",
        "" if interval is None else f"{interval[0]:+.4f} to {interval[1]:+.4f}",
        f"{one.comparison.p_holm:.3f}",
    )


def notes(trained: Trained) -> Iterator[str]:
    """The verdict, how training went, and what to do with the folder."""
    yield verdict(trained)
    fitted, counts = trained.fitted, trained.counts
    looks = ", ".join(f"{one.fused:.4f} (step {one.step})" for one in fitted.steps)
    yield (
        f"{counts['pairs']:,} pairs of {counts['training_queries']:,} queries; fused nDCG@10 of "
        f"{counts['validation_queries']:,} validation queries: {looks}; step {fitted.best.step} is kept"
    )
    yield f"training took {fitted.seconds:,.0f} s and ended by {fitted.ended}; {fitted.mebibytes:,.0f} MiB at most"
    yield from trained.notes
    yield (
        f"{trained.folder} is written, with its card (README.md, training.json). To use it: hybrid-search reindex "
        f"SOURCE ALIAS --set {SETTING[str(trained.card['what'])]}={trained.folder}; the way back: hybrid-search "
        "rollback ALIAS"
    )


def verdict(trained: Trained) -> str:
    """Whether search is better by the model, and how sure that is."""
    if trained.is_better:
        return "Better: fused nDCG@10 is higher by the trained model, beyond chance"
    return "Not shown to be better: the difference of fused nDCG@10 may be chance, or is a loss"
