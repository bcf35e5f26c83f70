"""``hybrid-search search``: questions to an index, answers with their reasons."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from hybrid_search.cli.options import Json, Set, SettingsFile, Url, settings_of
from hybrid_search.errors import HybridSearchError, QueryError

if TYPE_CHECKING:
    from hybrid_search.records import SearchResult
    from hybrid_search.search import SearchClient
    from hybrid_search.settings import Settings

STDIN = "-"

SearchedIndex = Annotated[str, typer.Argument(metavar="INDEX", help="An index or alias.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    index: SearchedIndex,
    query: Annotated[list[str], typer.Argument(help="The question; - reads one per line from standard input.")],
    *,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Hits to show.")] = None,
    offset: Annotated[int, typer.Option(help="Hits to pass over.")] = 0,
    legs: Annotated[str | None, typer.Option(help="The legs that search: bm25,dense,sparse.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help="field=value, price<100, ...; repeatable, all must hold.")
    ] = None,
    fusion: Annotated[str | None, typer.Option(help="rrf, min-max, z-score, theoretical-min, or server.")] = None,
    weights: Annotated[str | None, typer.Option(help="A weight for each leg: bm25=.3,dense=.3,sparse=.4.")] = None,
    rank_constant: Annotated[int | None, typer.Option(help="Rank constant of rrf.")] = None,
    window: Annotated[int | None, typer.Option(help="Documents that each leg ranks.")] = None,
    syntax: Annotated[str, typer.Option(help='text, or simple: "quoted", -word, field:value, begin*, like~.')] = "text",
    timeout: Annotated[float | None, typer.Option(help="Seconds that all of the search may take.")] = None,
    rerank: Annotated[str | None, typer.Option(help="late, the name of a cross-encoder, or none.")] = None,
    passages: Annotated[bool, typer.Option("--passages", help="Rank passages, not their documents.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each hit stands where it does.")] = False,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Search an index; every hit shows its rank and score in each leg."""
    from hybrid_search.filters import parse_all

    given = [*(overrides or ()), *([] if rerank is None else [f"rerank.model={rerank}"])]
    settings = settings_with(settings_of(settings_file, url, given), weights, rank_constant)
    matching = parse_all(filters or ())
    settings = searching(settings, named_legs(legs))
    with client_on(index, settings) as client:
        answer = partial(
            client.search,
            k=k,
            offset=offset,
            legs=named_legs(legs),
            filter=matching,
            fusion=fusion,
            window=window,
            timeout=timeout,
            syntax=syntax,
            collapse=not passages,
        )
        if query == [STDIN]:
            _write_each(answer, (line.strip() for line in sys.stdin.buffer if line.strip()))
        elif as_json:
            _write_lines(answer, [" ".join(query)])
        else:
            _show(answer(" ".join(query)), explain=explain)


@contextmanager
def client_on(index: str, settings: Settings) -> Iterator[SearchClient]:
    """A client on an index; what a killed load has left there is restored, and said."""
    from hybrid_search.engine.connection import connect
    from hybrid_search.leftovers import mended
    from hybrid_search.search import SearchClient

    with connect(settings.engine) as connection:
        if note := mended(connection, index):
            typer.echo(f"Note: {note}", err=True)
        with SearchClient(index, settings=settings, connection=connection) as client:
            yield client


def named_legs(names: str | None) -> list[str] | None:
    """The legs of ``bm25,dense``; None where no legs are named."""
    return None if names is None else [name.strip() for name in names.split(",")]


def searching(settings: Settings, legs: list[str] | None) -> Settings:
    """The settings; only those legs where none of them reads a vector, so that no model is loaded."""
    from hybrid_search.search import plan
    from hybrid_search.search.leg import VECTORS

    named = () if legs is None else plan.named_legs(legs)
    if not named or any(leg.part in VECTORS for leg in named):
        return settings
    return replace(settings, search=replace(settings.search, legs=tuple(str(leg) for leg in named)))


def settings_with(settings: Settings, weights: str | None, rank_constant: int | None) -> Settings:
    """The settings, with what the flags change in the fusion."""
    given: dict[str, Any] = {} if rank_constant is None else {"rank_constant": rank_constant}
    if weights is not None:
        given["weights"] = dict(_weight(part) for part in weights.split(","))
    return replace(settings, search=replace(settings.search, **given))


def _weight(part: str) -> tuple[str, float]:
    leg, _, weight = part.partition("=")
    try:
        return leg.strip(), float(weight)
    except ValueError:
        raise QueryError(f"{part!r} is no weight", where="--weights", remedy="Example: bm25=.3,dense=.7") from None


def _write_lines(answer: Callable[[str], SearchResult], queries: Iterable[str]) -> None:
    """One JSON object per query, as soon as it is answered."""
    import orjson

    from hybrid_search.search.as_json import result_json

    for query in queries:
        typer.echo(orjson.dumps(result_json(answer(query)), default=str))


def _write_each(answer: Callable[[str], SearchResult], lines: Iterable[bytes]) -> None:
    """One JSON object per line, of its result or its error; the exit status is that of the last error."""
    import orjson

    status = 0
    for line in lines:
        try:
            _write_lines(answer, [line.decode("utf-8", "surrogateescape")])
        except HybridSearchError as error:
            status = error.exit_status
            typer.echo(orjson.dumps({"query": line.decode("utf-8", "replace"), "error": str(error)}))
    if status:
        raise typer.Exit(status)


def _show(result: SearchResult, *, explain: bool) -> None:
    from hybrid_search.printed.console import Console
    from hybrid_search.search.explain import explain_panel
    from hybrid_search.search.table import result_view

    console = Console()
    console.print(result_view(result, width=console.width))
    if explain:
        for hit in result:
            console.print(explain_panel(hit, result))
