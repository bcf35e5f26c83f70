"""The options of ``evaluate`` that keep a baseline and hold against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.evaluate import Experiment
    from hybrid_search.evaluate.gate import Baseline, Change

PANEL = "Against an earlier evaluation"


@dataclass(frozen=True)
class GateOptions:
    """Keep the values of every query, and compare with those that were kept."""

    save: Annotated[
        Path | None, typer.Option(help="Keep the value of every query in a new JSON file.", rich_help_panel=PANEL)
    ] = None
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with a file that --save made.", rich_help_panel=PANEL)
    ] = None
    fail_below: Annotated[
        bool,
        typer.Option("--fail-below", help="Exit with 1 where a measure fell beyond chance.", rich_help_panel=PANEL),
    ] = False

    def check(self) -> Baseline | None:
        """The baseline; what is wrong with the options is said before anything is measured."""
        from hybrid_search.evaluate.gate import read_baseline

        if self.fail_below and self.baseline is None:
            raise SettingsError("needs something to compare with", where="--fail-below", remedy="Name it: --baseline")
        if self.save is not None and (self.save.exists() or not self.save.parent.is_dir()):
            what = "the file is there and is not touched" if self.save.exists() else "no such folder"
            raise SettingsError(what, where=f"--save {self.save}", remedy="Name a new file in a folder that is there")
        return None if self.baseline is None else read_baseline(self.baseline)

    def kept(self, experiment: Experiment) -> None:
        """Write the new baseline, where one is wanted."""
        from hybrid_search.evaluate.gate import baseline_of, write_baseline

        if self.save is not None:
            write_baseline(self.save, baseline_of(experiment))

    def judge(self, found: Sequence[Change]) -> None:
        """Say the verdict on standard error; typer.Exit where it is to fail."""
        from hybrid_search.evaluate.gate_table import verdict

        typer.echo(f"hybrid-search: {verdict(found)}", err=True)
        if self.fail_below and any(one.is_fall for one in found):
            raise typer.Exit(1)


def changes_of(experiment: Experiment, baseline: Baseline | None) -> list[Any]:
    """What changed; nothing without a baseline."""
    from hybrid_search.evaluate.gate import changes

    return [] if baseline is None else changes(experiment, baseline)
