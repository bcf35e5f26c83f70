"""``hybrid-search verify | delete | cache``: keeping an index right."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from hybrid_search.cli.options import Format, Index, Json, Set, SettingsFile, Source, Url, settings_of
from hybrid_search.errors import IngestError, SettingsError

cache = typer.Typer(no_args_is_help=True, help="Look at the kept vectors, or forget some.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (verify, delete):
        app.command()(command)
    app.add_typer(cache, name="cache")


def verify(
    index: Index,
    source: Source,
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Compare an index with its source: print what is missing, stale or extra; exit status 1 if anything is."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.maintain import verify as verifying
    from hybrid_search.read import documents

    settings = settings_of(settings_file, url, overrides)
    with connect(settings.engine) as connection:
        found = documents(source, settings.documents, format=format)
        report = verifying.verify(found, index, connection, settings.chunking)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        typer.echo(f"{report.documents:,} documents in the source")
        for name, group in report.faults.items():
            shown = (
                f": {', '.join(group.first)}{' ...' if group.count > len(group.first) else ''}" if group.count else ""
            )
            typer.echo(f"{group.count:,} {name}{shown}")
    if not report.is_equal:
        raise IngestError("the index differs from its source", where=index, remedy="Run: hybrid-search index --sync")


def delete(
    index: Index,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.")] = None,
    *,
    query: Annotated[str | None, typer.Option(help="Delete what matches this query of the engine, as JSON.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Delete documents, by id or by query."""
    from hybrid_search.engine import indices
    from hybrid_search.engine.connection import connect
    from hybrid_search.ingest.maintain.remove import delete_documents, delete_where

    if bool(ids) == (query is not None):
        raise SettingsError("give either ids or --query", where="delete")
    with connect(settings_of(settings_file, url).engine) as connection:
        name = indices.open_index(connection, index).name
        if query is None:
            removed = delete_documents(connection, name, ids or ())
        else:
            removed = delete_where(connection, name, _parsed(query))
    typer.echo(json.dumps({"passages": removed}) if as_json else f"{removed:,} passages deleted")


@cache.command()
def info(*, as_json: Json = False) -> None:
    """Show how many texts' vectors are kept, and in how many bytes."""
    from rich.filesize import decimal

    from hybrid_search.ingest.state.cache import VectorCache, default_path

    with VectorCache(default_path()) as kept:
        found = kept.info()
        _say(kept.notes)
    if as_json:
        facts = {
            "path": str(found.path),
            "texts": found.texts,
            "models": found.models,
            "bytes": found.bytes,
            "max_bytes": found.max_bytes,
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        size = f"{decimal(found.bytes)} of at most {decimal(found.max_bytes)}"
        typer.echo(f"{found.texts:,} texts, {found.models} pairs of models, {size} in {found.path}")


@cache.command()
def prune(
    *,
    unused_days: Annotated[int, typer.Option(min=0, help="Forget what was not used for so many days; 0: all.")] = 30,
) -> None:
    """Forget vectors that have not been used for long, and give the room back."""
    from hybrid_search.ingest.state.cache import VectorCache, default_path

    with VectorCache(default_path()) as kept:
        gone = kept.prune(unused_days=unused_days)
        _say(kept.notes)
    typer.echo(f"{gone:,} texts forgotten")


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        typer.echo(note, err=True)


def _parsed(query: str) -> dict[str, Any]:
    try:
        parsed = json.loads(query)
    except ValueError as error:
        raise SettingsError(f"not JSON: {error}", where="--query") from error
    if not isinstance(parsed, dict):
        raise SettingsError("not a JSON object", where="--query")
    return parsed
