"""``hybrid-search judgements``: queries and grades from what an application has logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.ask import ask
from hybrid_search.cli.judged_folder import check_new, write_judged
from hybrid_search.cli.options import Json

if TYPE_CHECKING:
    from hybrid_search.evaluate.clicks import ClickJudgements, ClickLog, PositionModel

judgements = typer.Typer(no_args_is_help=True, help="Judged queries for evaluate and tune: of clicks, or of a model.")
judgements.command()(ask)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(judgements, name="judgements")


@judgements.command()
def clicks(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="ubi_queries and ubi_events, or lines of impressions; or -.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="A new folder, for queries.jsonl and qrels/test.tsv.")],
    action: Annotated[
        list[str] | None, typer.Option(help="The action_name that says that a hit was good. Repeatable.")
    ] = None,
    power: Annotated[
        float | None, typer.Option(min=0, help="How positions are looked at: 1 / position ** POWER (else estimated).")
    ] = None,
    least_clicks: Annotated[int, typer.Option(min=1, help="Clicks that a query needs.")] = 10,
    least_shown: Annotated[int, typer.Option(min=1, help="Times that a document must have been shown for it.")] = 10,
    as_json: Json = False,
) -> None:
    """Make judgements from a click log, corrected for the position at which each hit was shown."""
    from hybrid_search.evaluate.clicks import fit, judge_clicks, read_clicks

    check_new(out)
    log = read_clicks(files, actions=action or ["click"])
    positions = {position for _, _, position in log.shown}
    given = None if power is None else {position: position**-power for position in positions}
    model = fit(log, examination=given)
    judged = judge_clicks(log, model, least_clicks=least_clicks, least_shown=least_shown)
    write_judged(out, judged.qrels, judged.queries)
    _print(log, model, judged, as_json=as_json)
    typer.echo(f"{out} is written: give it as --queries {out} --qrels {out}", err=True)


def _print(log: ClickLog, model: PositionModel, judged: ClickJudgements, *, as_json: bool) -> None:
    from hybrid_search.evaluate.clicks.report import clicks_json, examination_table, notes

    if as_json:
        import orjson

        report: dict[str, Any] = clicks_json(log, model, judged)
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        return
    from hybrid_search.printed.console import Console

    console = Console()
    console.print(examination_table(log, model))
    for note in notes(log, model, judged):
        console.print(note, style="dim")
