"""``hybrid-search init``: look at the data, write a commented settings file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from math import ceil
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.options import Query, RecordsPath, SourceUrl, settings_of, write_settings
from hybrid_search.errors import SettingsError, SourceError, counted

if TYPE_CHECKING:
    from rich.table import Table

    from hybrid_search.read.indexed import Origin
    from hybrid_search.read.survey import Survey
    from hybrid_search.rehearsal import Rehearsal

CONTENT = "content"
USUAL_BAD = 0.005
"""A share of records without text, and of bad ones, that is surely below what ``--max-bad`` allows unasked."""
DEFAULT_FILE = Path("hybrid-search.toml")
STDOUT = Path("-")
_BETWEEN = 22
"""What the table needs beside its texts: the share, and the space between its columns."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    source: Annotated[str, typer.Argument(help="A file, a folder, hf:NAME, es:INDEX, os:INDEX, or -.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - prints it.")] = DEFAULT_FILE,
    *,
    format: Annotated[str | None, typer.Option(help="The source's format where its name does not tell.")] = None,
    records_path: RecordsPath = None,
    query: Query = None,
    source_url: SourceUrl = None,
    sample: Annotated[int, typer.Option(min=1, help="How many records to look at.")] = 1000,
    multilingual: Annotated[bool, typer.Option("--multilingual", help="Write models of many languages.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """Look at the data and write a commented settings file."""
    from hybrid_search.read.settings_text import model_warning, settings_text
    from hybrid_search.read.survey import survey
    from hybrid_search.rehearsal import rehearsed

    if output != STDOUT and output.exists() and not force:
        raise SettingsError("the file is there already", where=str(output), remedy="Give --force to write over it")
    if output != STDOUT and output.exists() and Path(source).exists() and output.samefile(source):
        raise SettingsError("is the source itself", where=str(output), remedy="Name another file for the settings")
    with _origin(source, source_url) as origin:
        seen = survey(source, format=format, sample=sample, records_path=records_path, query=query, origin=origin)
    _require_text(seen)
    given = {"--format": format, "--records": records_path, "--query": query, "--source-url": _shown(source_url)}
    text = settings_text(seen, multilingual=multilingual)
    warning = None if multilingual else model_warning(seen)
    tried = rehearsed(seen.records, text, seen.source)
    if output != STDOUT:
        write_settings(output, text)
    if as_json:
        fields = [asdict(view) for view in seen.fields]
        facts = {"source": seen.source, "records": seen.seen, "bad": len(seen.bad), "fields": fields}
        typer.echo(
            json.dumps(
                {
                    **facts,
                    "notes": [*seen.notes, *([] if warning is None else [warning])],
                    **_tried_as_json(seen, tried),
                },
                indent=2,
            )
        )
    elif output == STDOUT:
        _show(seen, to_stderr=True)
        _say(seen, tried, warning, to_stderr=True)
        typer.echo(text, nl=False)
    else:
        _show(seen, to_stderr=False)
        _say(seen, tried, warning, to_stderr=False)
        typer.echo(f"\nWrote {output}. Next:\n{_next(source, output, given, seen, tried)}")


def _origin(source: str, source_url: str | None) -> AbstractContextManager[Origin | None]:
    """The cluster of a source that is an index; settings of others are not asked for."""
    from hybrid_search.ingest.origin import origin_of
    from hybrid_search.read.indexed import is_index

    if not is_index(source):
        return nullcontext()
    return origin_of(source, settings_of(None, None, source_url=source_url))


def _shown(url: str | None) -> str | None:
    """An address as it may be printed."""
    from hybrid_search.addresses import without_credentials

    return None if url is None else without_credentials(url)


def _require_text(seen: Survey) -> None:
    """Settings without a field to search in could not work."""
    if not seen.texts:
        held = ", ".join(f"{view.name} ({view.kind})" for view in seen.fields)
        remedy = f"It has: {held}. If one of them is meant to be searched, name it in a settings file: documents.text"
        raise SourceError("no field holds text to search in", where=seen.source, remedy=remedy)


def _tried_as_json(seen: Survey, tried: Rehearsal) -> dict[str, Any]:
    return {
        "id_from": seen.id_from,
        "repeated_ids": seen.repeated_ids,
        "title": seen.title,
        "languages": asdict(seen.reading),
        "tried": {
            "documents": tried.documents,
            "passages": tried.passages,
            "empty": tried.empty,
            "refused": list(map(str, tried.refused)),
            "notes": list(tried.notes),
        },
    }


def _say(seen: Survey, tried: Rehearsal, warning: str | None, *, to_stderr: bool) -> None:
    """What was decided that no row of the table says, and what came of trying it."""
    from hybrid_search.printed.console import Console

    passages = f"about {tried.passages:,} passage{'s' * (tried.passages != 1)}"
    lines = ["No field names each record: ids are made of what the records hold."] * (seen.id_from == CONTENT)
    lines += _languages(seen)
    lines += [f"Note: {note}" for note in [*seen.notes, *tried.notes]]
    lines.append(f"Tried: {tried.documents:,} of {seen.seen:,} records make documents, {passages}.")
    if tried.empty:
        lines.append(f"{tried.empty:,} without a text would be left out.")
    if tried.refused:
        lines.append(f"{len(tried.refused):,} would be refused. The first: {tried.refused[0]}")
    if warning is not None:
        lines.append(f"Warning: {warning}. hybrid-search init --multilingual writes them.")
    Console(stderr=to_stderr).print("\n".join(lines), soft_wrap=True)


def _languages(seen: Survey) -> list[str]:
    """How documents of several languages will be read."""
    reading = seen.reading
    if not reading.analyzers:
        return []
    how = "detected and kept in" if reading.detects else "named by"
    read = ", ".join(f"{code} {analyzer}" for code, analyzer in reading.analyzers.items())
    return [f"Languages: {how} the field {reading.field}; BM25 reads {read}, and others {reading.analyzer}."]


def _next(source: str, output: Path, given: Mapping[str, str | None], seen: Survey, tried: Rehearsal) -> str:
    """The commands from here to a first answer; bad records are left out, and as many are allowed as there seem."""
    bad = len(seen.bad) + len(tried.refused)
    share = (bad + tried.empty) / (len(seen.bad) + seen.seen)
    options = "".join(f" {option} {quote(value)}" for option, value in given.items() if value is not None)
    skipping = " --skip-bad bad-records.jsonl" * (bad > 0) + f" --max-bad {ceil(200 * share)}%" * (share > USUAL_BAD)
    load = f"  hybrid-search index {quote(source)} INDEX --settings {quote(str(output))}{options}{skipping}"
    return f'{load}\n  hybrid-search search INDEX "your question" --settings {quote(str(output))}'


def _show(seen: Survey, *, to_stderr: bool) -> None:
    from hybrid_search.printed.console import Console

    console = Console(stderr=to_stderr)
    console.print(_table(seen, console.width))
    if seen.beir:
        console.print("A BEIR folder: hybrid-search evaluate takes it for its queries and judgements.")
    if seen.bad:
        broken = counted(len(seen.bad), "record", "records")
        console.print(f"{broken} could not be read. The first: {seen.bad[0]}", markup=False, soft_wrap=True)


def _table(seen: Survey, width: int) -> Table:
    from rich import box
    from rich.table import Table

    others = sum(max(len(getattr(view, name)) for view in seen.fields) for name in ("name", "kind", "role", "reason"))
    title = f"{seen.source}: {seen.seen:,} records"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True)
    table.add_column("field", overflow="fold")
    table.add_column("holds")
    table.add_column("in", justify="right", min_width=4)
    table.add_column("example", no_wrap=True, overflow="ellipsis", max_width=max(12, width - others - _BETWEEN))
    table.add_column("role", min_width=7)
    table.add_column("why")
    for view in seen.fields:
        cells = (view.name, view.kind, f"{view.share:.0%}", view.example, view.role.value, view.reason)
        table.add_row(*cells, style="dim" if view.role == "stored" else "")
    return table
