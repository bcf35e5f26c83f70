"""``hybrid-search attach | detach | enrich``: vectors for documents that are in an index already."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_models
from hybrid_search.cli.options import Index, Json, Set, SettingsFile, Url, settings_of
from hybrid_search.cli.signals import stop_cleanly
from hybrid_search.errors import IndexMismatchError, IngestError, counted

if TYPE_CHECKING:
    from hybrid_search.engine.connection import Connection
    from hybrid_search.ingest.attach import AttachPlan, DetachReport, PassReport
    from hybrid_search.settings import Settings

First = Annotated[str, typer.Option("--first", help="What has vectors first: newest, or a field, its greatest values.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (attach, detach, enrich):
        app.command()(command)


def attach(
    index: Index,
    *,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A field that models read; repeatable (default: all of text).")
    ] = None,
    passages: Annotated[int, typer.Option(min=1, max=1000, help="Passages of a document with vectors, at most.")] = 16,
    first: First = "newest",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Yes = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Give an index that you own vectors, in place; its fields stay as they are. Run again, it goes on."""
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest import attach as attaching

    settings = settings_of(settings_file, url, overrides)
    check_models(settings)
    stop_cleanly()
    with connect(settings.engine) as connection:
        settings = _with_models_of(connection, index, settings)
        encoder = load_encoder(settings)
        plan = attaching.plan_attachment(connection, index, encoder, settings, texts=text or (), most=passages)
        _print_plan(plan, as_json=as_json and dry_run)
        if dry_run:
            return
        _confirm("Do it?", index, yes=yes)
        options = attaching.PassOptions(first)
        with _progress(f"Encoding {index}", plan.documents) as follow:
            report = attaching.attach(
                connection, plan, encoder, settings, options=options, progress=lambda one: follow(one.looked_at)
            )
    _print_report(report, as_json=as_json)


def detach(
    index: Index,
    *,
    yes: Yes = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take away what attach has added to an index: vectors from all documents, and what its mapping says of them."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest import attach as attaching
    from hybrid_search.ingest.attach.detaching import attached_count

    stop_cleanly()
    with connect(settings_of(settings_file, url).engine) as connection:
        found = attached_count(connection, index)
        typer.echo(f"{counted(found, 'document has', 'documents have')} vectors, which are to be removed", err=True)
        _confirm("Remove them?", index, yes=yes)
        with _progress(f"Clearing {index}", found) as follow:
            report = attaching.detach(connection, index, progress=lambda one: follow(one.cleared))
    _print_detached(report, as_json=as_json)


def enrich(
    index: Index,
    *,
    first: First = "newest",
    model: Annotated[
        str | None, typer.Option("--model", help="Encode all anew by this dense model, of the same dimension.")
    ] = None,
    yes: Yes = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Encode what was loaded with --vectors later; run again, it goes on. Another model: all is encoded anew."""
    from hybrid_search.encode import load_encoder
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.coverage import coverage
    from hybrid_search.engine.indices import check_models as check_same
    from hybrid_search.engine.indices import open_index
    from hybrid_search.ingest import attach as attaching

    given = [*(overrides or ()), *([] if model is None else [f"dense.model={model}"])]
    settings = settings_of(settings_file, url, given)
    check_models(settings)
    stop_cleanly()
    with connect(settings.engine) as connection:
        opened = open_index(connection, index)
        encoder = load_encoder(_with_models_of(connection, index, settings))
        had = coverage(connection, opened.name, opened.schema)
        lacking, is_change = had.of - had.vectors, False
        try:
            check_same(opened, encoder)
        except IndexMismatchError as error:
            typer.echo(f"{error.what}", err=True)
            typer.echo(f"All {counted(had.of, 'passage', 'passages')} would be encoded anew.", err=True)
            lacking, is_change = had.of, True
            _confirm("Change the models of this index?", index, yes=yes)
        options = attaching.PassOptions(first)
        with _progress(f"Encoding {index}", lacking) as follow:
            report = attaching.enrich(
                connection,
                index,
                encoder,
                options=options,
                changes_models=is_change,
                progress=lambda one: follow(one.looked_at),
            )
    _print_report(report, as_json=as_json, of="passage")


def print_coverage(index: str, settings: Settings, *, as_json: bool) -> None:
    """How much of an index has vectors, and of which models; and its loads. A number is that of a load."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.engine.coverage import coverage
    from hybrid_search.engine.indices import opened, opening
    from hybrid_search.ingest.maintain.loads import index_of_load, loads_of, sentences

    with connect(settings.engine) as connection:
        index = index_of_load(connection, int(index)) if index.isdecimal() else index
        found = opened(index, connection.send(opening(index)), connection.where)
        had = coverage(connection, found.name, found.schema)
        loads = loads_of(connection, found.name)
    what = "passages" if found.schema.attached is None else "documents"
    models = {leg.value: one.name for leg, one in found.models.items()}
    if as_json:
        told = {"index": found.name, what: had.of, "with_vectors": had.vectors, "models": models}
        told |= {"changes_models": found.schema.vectors is not None, "loads": [load.as_json() for load in loads]}
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(f"{found.name}: {had.of:,} {what}, {had.vectors:,} with vectors ({had})")
    typer.echo("\n".join(f"  {leg} by {name}" for leg, name in models.items()))
    if not had.is_whole:
        how = "enrich" if found.schema.attached is None else "attach"
        typer.echo(f"  the others are found by words alone; give them vectors: hybrid-search {how} {index}")
    typer.echo("".join(f"{line}\n" for line in sentences(loads)), nl=False)


def _with_models_of(connection: Connection, index: str, settings: Settings) -> Settings:
    """The settings with the models that the index has, where they name none themselves."""
    from hybrid_search.engine.indices import opened, opening, read_meta
    from hybrid_search.engine.patterns import refuse_patterns
    from hybrid_search.search.searcher import with_models_of

    refuse_patterns(index)
    if not read_meta(connection, index):
        return settings
    return with_models_of(opened(index, connection.send(opening(index)), connection.where), settings)


def _confirm(question: str, index: str, *, yes: bool) -> None:
    """Nothing is changed in an index without a yes."""
    if yes or (sys.stdin.isatty() and typer.confirm(question, err=True)):
        return
    raise IngestError("this was not confirmed: nothing is changed", where=index, remedy="To do it: --yes")


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from hybrid_search.cli.progress import pass_bar

    with pass_bar(what, total) as follow:
        yield follow


def _print_plan(plan: AttachPlan, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(plan.as_json(), indent=2))
        return
    for line in _plan_lines(plan):
        typer.echo(line, err=True)


def _plan_lines(plan: AttachPlan) -> Iterator[str]:
    from rich.filesize import decimal

    attached = plan.schema.attached
    texts = ", ".join(attached.texts) if attached else ""
    models = {leg: model for leg, model in (("dense", plan.schema.dense), ("sparse", plan.schema.sparse)) if model}
    yield f"{plan.index}: {plan.lacking:,} of {counted(plan.documents, 'document', 'documents')} lack vectors"
    yield f"  models read     {texts}"
    yield f"  models          {', '.join(f'{leg} {model.name}' for leg, model in models.items())}"
    searched = ", ".join(f"{one.name} ({one.analyzer})" for one in plan.schema.text_fields)
    yield f"  words search    {searched or 'nothing'}"
    yield f"  filters         {', '.join(attached.paths) if attached and attached.paths else 'none'}"
    if plan.added:
        yield "  fields added:"
        yield from (f"    {path}  {kind}" for path, kind in plan.added.items())
    else:
        yield "  fields added    none, they are there"
    if plan.seconds is not None and plan.bytes is not None:
        yield f"  time and space  about {_duration(plan.seconds)}, {decimal(plan.bytes)} of disk in each copy"
    yield from (f"  Note: {note}" for note in plan.notes)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _print_report(report: PassReport, *, as_json: bool, of: str = "document") -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    encoded = counted(report.encoded, of, f"{of}s")
    typer.echo(f"{encoded} encoded, {report.up_to_date:,} were up to date, in {report.seconds:,.1f} s")
    notes = {
        "changed by others meanwhile and read again": report.read_again,
        "deleted meanwhile": report.gone,
        "without text": report.without_text,
        "longer than their passages with vectors: words find the rest": report.cut,
    }
    for what, number in notes.items():
        if number:
            typer.echo(f"Note: {counted(number, of, f'{of}s')} {what}")


def _print_detached(report: DetachReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    typer.echo(f"{counted(report.cleared, 'document is', 'documents are')} as before, in {report.seconds:,.1f} s")
    typer.echo(f"Left in the mapping, for no engine removes fields: {', '.join(report.left)}")
    if report.keeps_null:
        typer.echo('Note: this server runs no scripts, so that documents keep "hybrid_search": null')
