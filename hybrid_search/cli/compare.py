"""``hybrid-search compare``: two ways to search, without judgements, the most different queries first."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_search
from hybrid_search.cli.evaluate import progress_bars
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Json, Queries, Set, SettingsFile, Url, settings_of
from hybrid_search.cli.search import SearchedIndex, client_on
from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.evaluate.unjudged import Agreement

PANEL = "The other way to search"


@dataclass(frozen=True)
class OtherOptions:
    """Another settings file, settings that differ, or another index."""

    against: Annotated[
        Path | None, typer.Option(help="Its settings (default: the same ones).", rich_help_panel=PANEL)
    ] = None
    against_set: Annotated[
        list[str] | None,
        typer.Option(help="A setting of it alone: search.fusion=rrf. Repeatable.", rich_help_panel=PANEL),
    ] = None
    against_index: Annotated[str | None, typer.Option(help="Its index or alias.", rich_help_panel=PANEL)] = None

    def check(self) -> None:
        """There must be something to compare with."""
        if self.against is None and not self.against_set and self.against_index is None:
            raise SettingsError(
                "there is nothing to compare with",
                remedy="Name another settings file (--against), setting (--against-set) or index (--against-index)",
            )

    @property
    def name(self) -> str:
        """Of its side in the tables."""
        parts = [self.against_index, None if self.against is None else self.against.name, *(self.against_set or ())]
        return " ".join(part for part in parts if part is not None)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(compare)


@grouped
def compare(
    index: SearchedIndex,
    *,
    queries: Queries,
    other: OtherOptions,
    hits: Annotated[int, typer.Option("--k", "-k", min=1, help="Hits of each ranking that are compared.")] = 10,
    persistence: Annotated[float, typer.Option(help="How much further ranks count, between 0 and 1.")] = 0.9,
    show: Annotated[int, typer.Option(min=0, help="Queries that are shown in full.")] = 5,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Compare two ways to search without judgements: rank-biased overlap, the most different queries first."""
    from hybrid_search import read
    from hybrid_search.evaluate.unjudged import compare_searches

    other.check()
    mine = settings_of(settings_file, url, list(overrides or ()))
    its = settings_of(other.against or settings_file, url, [*(overrides or ()), *(other.against_set or ())])
    for settings in (mine, its):
        check_search(settings, k=hits)
    asked = read.queries(queries)
    with ExitStack() as open_:
        first = open_.enter_context(client_on(index, mine))
        second = open_.enter_context(client_on(other.against_index or index, its))
        progress = open_.enter_context(progress_bars())
        found = compare_searches(first, second, asked, hits=hits, persistence=persistence, progress=progress)
    name = index if settings_file is None else f"{index} {settings_file.name}"
    _print(found, (name, other.name), show, as_json=as_json)


def _print(found: Agreement, names: Sequence[str], show: int, *, as_json: bool) -> None:
    from hybrid_search.evaluate.unjudged.report import agreement_json, notes, pair_table

    if as_json:
        import orjson

        typer.echo(orjson.dumps(agreement_json(found, names), option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    for pair in found.pairs[:show]:
        if list(pair.first) != list(pair.second):
            console.print(pair_table(pair, names))
    for note in notes(found):
        console.print(note, style="dim")
