"""``hybrid-search search``: questions to an index, answers with their reasons."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from msgspec.structs import replace

from hybrid_search.cli.checks import check_options, named_legs, searched_with
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Set, SettingsFile, Url
from hybrid_search.cli.results import HEADERS, TABLE, Naming, form_of, write
from hybrid_search.cli.searching.expert import ExpertOptions
from hybrid_search.cli.searching.facets import FacetOptions
from hybrid_search.cli.searching.found import FoundOptions
from hybrid_search.cli.searching.highlights import HighlightOptions
from hybrid_search.cli.searching.images import ImageOptions
from hybrid_search.cli.searching.page import PageOptions
from hybrid_search.cli.searching.paging import PagingOptions
from hybrid_search.cli.searching.ranking import RankingOptions
from hybrid_search.cli.searching.rules import RuleOptions
from hybrid_search.cli.searching.spread import SpreadOptions
from hybrid_search.cli.searching.texts import TextOptions
from hybrid_search.errors import HybridSearchError, OutputError, SourceError
from hybrid_search.printed import sayable, write_lines

if TYPE_CHECKING:
    from hybrid_search.records import Query, SearchResult
    from hybrid_search.search import SearchClient
    from hybrid_search.search.request import SearchOptions
    from hybrid_search.settings import Settings

STDIN = "-"

SearchedIndex = Annotated[str, typer.Argument(metavar="INDEX", help="An index or alias; a pattern or list of several.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(search)


@grouped
def search(
    index: SearchedIndex,
    query: Annotated[
        list[str] | None, typer.Argument(help="The question; - reads one per line from standard input.")
    ] = None,
    *,
    found: FoundOptions,
    images: ImageOptions,
    expert: ExpertOptions,
    texts: TextOptions,
    ranking: RankingOptions,
    rules: RuleOptions,
    spread: SpreadOptions,
    page: PageOptions,
    paging: PagingOptions,
    highlights: HighlightOptions,
    facets: FacetOptions,
    timeout: Annotated[float | None, typer.Option(help="Seconds that all of the search may take.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Search an index; every hit shows its rank and score in each leg."""
    words = query or []
    many = words == [STDIN]
    shown = {"--facet": facets.facet, "--highlight": highlights.highlight, "--show-passages": spread.show_passages}
    usual = "json" if many else TABLE
    form = form_of(page.format, as_json=page.as_json, usual=usual, explain=page.explain, shown=shown)
    settings = searched_with(settings_file, url, overrides, **ranking.settings())
    groups = (found, ranking, rules, spread, page, paging, highlights, facets, texts)
    options = joined(*groups, timeout=timeout)
    check_options(settings, page.k, options)
    expert.asked("")
    settings = searching(settings, named_legs(found.legs))
    asked = query_lines() if many else [(1, images.text(words))]
    with client_on(index, settings) as client:
        naming = naming_of(client, settings, passages=spread.passages)
        show = partial(show_result, form=form, naming=naming, explain=page.explain)
        write_lines(HEADERS.get(form, ()))
        answer = partial(_searched, client, lambda text: images.beside(expert.asked(text)), page.k, options)
        _answer(answer, asked, paging.going_on(show, form), form, many=many)


class Group(Protocol):
    """A group of the command's options."""

    def options(self) -> SearchOptions:
        """As the client takes them."""
        ...


def joined(*groups: Group, timeout: float | None) -> SearchOptions:
    """The options of all groups."""
    options: SearchOptions = {"timeout": timeout}
    for group in groups:
        options.update(group.options())
    return options


def _searched(
    client: SearchClient, asked: Callable[[str], str | Query], k: int | None, options: SearchOptions, text: str
) -> SearchResult:
    return client.search(asked(text), k, **options)


def naming_of(client: SearchClient, settings: Settings, *, passages: bool) -> Naming:
    """By the field that the settings name, else the one that the index was made with."""
    return Naming(settings.documents.title or client.searcher.target.schema.title, passages)


def query_lines() -> Iterable[tuple[int, str]]:
    """The lines of standard input that are not empty, with their numbers.

    Raises:
        SourceError: it is closed; or, while it is read, it cannot be.
    """
    if sys.stdin is None:
        raise SourceError("is closed", where="standard input", remedy="Give one query per line, or the query itself")
    return _numbered(sys.stdin.buffer)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    try:
        for number, line in enumerate(lines, start=1):
            if text := line.decode("utf-8", "surrogateescape").strip():
                yield number, text
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot be read ({error})", where="standard input") from error


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


def searching(settings: Settings, legs: list[str] | None) -> Settings:
    """The settings; only those legs where none of them reads a vector, so that no model is loaded."""
    from hybrid_search.search import plan
    from hybrid_search.search.leg import VECTORS

    named = () if legs is None else plan.named_legs(legs)
    if not named or any(leg.part in VECTORS for leg in named):
        return settings
    return replace(settings, search=replace(settings.search, legs=tuple(str(leg) for leg in named)))


def _answer(
    answer: Callable[[str], SearchResult],
    queries: Iterable[tuple[int, str]],
    show: Callable[[SearchResult, str], None],
    form: str,
    *,
    many: bool,
) -> None:
    """Answer each query; of ``many``, one that fails is one line of its error, and the last gives the exit status."""
    status = 0
    for number, query in queries:
        try:
            show(answer(query), str(number))
        except HybridSearchError as error:
            if not many or isinstance(error, OutputError):
                raise
            status = error.exit_status
            _show_error(query, error, f"line {number}", form)
    if status:
        raise typer.Exit(status)


def _show_error(query: str, error: HybridSearchError, place: str, form: str) -> None:
    """In the place of the result where results are objects, else on standard error."""
    if form != "json":
        typer.echo(f"hybrid-search: {place}: {error}", err=True)
        return
    import orjson

    asked = query.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    write_lines([orjson.dumps({"query": asked, "error": sayable(str(error), "utf-8")}).decode()])


def show_result(result: SearchResult, query_id: str, *, form: str, naming: Naming, explain: bool) -> None:
    """Print one result in its form, with its warnings."""
    if form != TABLE:
        write(result, form, query_id, naming)
        for warning in result.warnings if form != "json" else ():
            typer.echo(f"hybrid-search: warning: {warning}", err=True)
        return
    from hybrid_search.printed.console import Console
    from hybrid_search.search.explain import explain_panel
    from hybrid_search.search.table import result_view

    console = Console()
    console.print(result_view(result, width=console.width, title_field=naming.title_field))
    if explain:
        for hit in result:
            console.print(explain_panel(hit, result))
