"""What a dry run prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from hybrid_search.errors import IngestError

if TYPE_CHECKING:
    from hybrid_search.ingest.maintain.plan import Plan
    from hybrid_search.ingest.source import SourceOptions


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """What would be done, as a table or as JSON."""
    if as_json:
        typer.echo(json.dumps(plan.as_json(), indent=2))
        return
    typer.echo(f"The source {plan.source!r} would be loaded; nothing is changed now:")
    for name in ("new", "changed", "unchanged", "foreign", "bad"):
        typer.echo(f"{getattr(plan, name):>12,} {name}")
    typer.echo(f"{plan.missing.count:>12,} removed by --sync" + (f": {plan.missing}" if plan.missing.count else ""))


def raise_if_refused(plan: Plan, index: str, what: SourceOptions, *, skips_bad: bool) -> None:
    """Exit status 1 and one line for a dry run whose load would not end with 0."""
    limit = what.max_removed if what.sync else None
    if reason := plan.refusal(takes_over=what.take_over, skips_bad=skips_bad, sync=limit):
        raise IngestError(f"without --dry-run this would end with status 1: {reason}", where=index)
