"""Options that are declared in groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from hybrid_search.cli.grouped import CommandInPanels, grouped


@dataclass(frozen=True)
class Colours:
    """What the command below is painted with."""

    ink: Annotated[str, typer.Option("--ink", "-i", rich_help_panel="Colours", help="Of the words.")] = "black"
    paper: Annotated[list[str] | None, typer.Option(rich_help_panel="Colours", help="Below them.")] = None


@grouped
def paint(word: str, *, colours: Colours, size: int = 1) -> None:
    """Paint a word."""
    typer.echo(f"{word} {colours} {size}")


app = typer.Typer(rich_markup_mode=None)
app.command(cls=CommandInPanels)(paint)


def test_a_group_is_one_value_of_its_options() -> None:
    """What is given stands in the group; what is not has the group's default."""
    printed = CliRunner().invoke(app, ["word", "-i", "red", "--paper", "a", "--paper", "b", "--size", "2"]).output
    assert printed == "word Colours(ink='red', paper=['a', 'b']) 2\n"
    assert CliRunner().invoke(app, ["word"]).output == "word Colours(ink='black', paper=None) 1\n"


def test_a_group_is_a_panel_of_the_help() -> None:
    """Options stand below the name of their panel, the others last."""
    printed = CliRunner().invoke(app, ["--help"]).output
    order = ["Arguments:", "Colours:", "--ink", "--paper", "Other options:", "--size", "--help"]
    places = [printed.index(part) for part in order]
    assert places == sorted(places)
