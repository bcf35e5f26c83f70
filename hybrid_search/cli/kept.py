"""The options of ``evaluate`` that say what is written besides the table: runs, and a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.html import check_new, write_page
from hybrid_search.cli.plots import HELP, check_plots, write_plots
from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.evaluate import Experiment
    from hybrid_search.records import Query

PANEL = "What is written"


@dataclass(frozen=True)
class KeptOptions:
    """A folder of runs, and a report."""

    runs: Annotated[
        Path | None, typer.Option(help="A folder for TREC runs, one file per system.", rich_help_panel=PANEL)
    ] = None
    html: Annotated[
        Path | None, typer.Option(help="A new HTML file: the report with its plots.", rich_help_panel=PANEL)
    ] = None
    plots: Annotated[Path | None, typer.Option(help=HELP, rich_help_panel=PANEL)] = None

    def check(self) -> None:
        """What takes minutes to measure must have a place to go."""
        check_new(self.html, "--html")
        check_plots(self.plots)
        folder = self.runs
        nearest = next((path for path in (folder, *folder.parents) if path.exists()), None) if folder else None
        if nearest is not None and not (nearest.is_dir() and os.access(nearest, os.W_OK)):
            raise SettingsError("is no folder that can be written to", where=f"--runs {nearest}", remedy="Name another")

    def keep(self, experiment: Experiment, queries: Sequence[Query]) -> None:
        """Write what is wanted."""
        from hybrid_search.evaluate.html import experiment_page
        from hybrid_search.evaluate.report import save_runs

        if self.runs is not None:
            save_runs(experiment, self.runs)
        if self.html is not None:
            write_page(self.html, experiment_page(experiment, {str(query.id): query.text for query in queries}))
        if self.plots is not None:
            from hybrid_search.evaluate.plots import experiment_pngs

            write_plots(self.plots, experiment_pngs(experiment))
