"""``hybrid-search judgements``: queries and grades from what an application has logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.options import Json
from hybrid_search.errors import SettingsError

if TYPE_CHECKING:
    from hybrid_search.evaluate.clicks import ClickJudgements, ClickLog, PositionModel

judgements = typer.Typer(no_args_is_help=True, help="Judged queries, for evaluate and tune, from clicks.")


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

    _check_new(out)
    log = read_clicks(files, actions=action or ["click"])
    positions = {position for _, _, position in log.shown}
    given = None if power is None else {position: position**-power for position in positions}
    model = fit(log, examination=given)
    judged = judge_clicks(log, model, least_clicks=least_clicks, least_shown=least_shown)
    _write(out, judged)
    _print(log, model, judged, as_json=as_json)
    typer.echo(f"{out} is written: give it as --queries {out} --qrels {out}", err=True)


def _check_new(folder: Path) -> None:
    """What is there is not written over, and said before minutes are spent."""
    if folder.exists():
        raise SettingsError("is there and is not touched", where=f"--out {folder}", remedy="Name a new folder")
    if not folder.parent.is_dir():
        raise SettingsError("no such folder", where=f"--out {folder.parent}", remedy="Make it, or name another")


def _write(folder: Path, judged: ClickJudgements) -> None:
    """The layout of BEIR, which ``evaluate`` and ``tune`` read."""
    import orjson

    from hybrid_search.private_files import make_folder, open_new

    lines = [f"{query}\t{id_}\t{grade}\n" for query, some in judged.qrels.items() for id_, grade in some.items()]
    asked = [orjson.dumps({"_id": id_, "text": text}).decode() + "\n" for id_, text in judged.queries.items()]
    try:
        make_folder(folder)
        make_folder(folder / "qrels")
        with open_new(folder / "queries.jsonl") as file:
            file.writelines(asked)
        with open_new(folder / "qrels" / "test.tsv") as file:
            file.writelines(["query-id\tcorpus-id\tscore\n", *lines])
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=str(folder)) from error


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
