"""``hybrid-search more-like``: documents like one of the index, by what is stored of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import as_utf8, check_options, named_legs, searched_with
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Set, SettingsFile, Url
from hybrid_search.cli.results import HEADERS, TABLE, form_of
from hybrid_search.cli.search import SearchedIndex, client_on, joined, naming_of, searching, show_result
from hybrid_search.cli.searching.facets import FacetOptions
from hybrid_search.cli.searching.found import PANEL
from hybrid_search.cli.searching.page import PageOptions
from hybrid_search.cli.searching.ranking import RankingOptions
from hybrid_search.cli.searching.rules import RuleOptions
from hybrid_search.cli.searching.spread import SpreadOptions
from hybrid_search.printed import write_lines
from hybrid_search.settings import NO_MODEL

if TYPE_CHECKING:
    from hybrid_search.records import IndexSchema
    from hybrid_search.search.request import SearchOptions
    from hybrid_search.settings import Settings

Legs = Annotated[str | None, typer.Option(help="The legs that search: bm25,dense,sparse.", rich_help_panel=PANEL)]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", "-f", help="field=value, price<100, ...; repeatable, all must hold.", rich_help_panel=PANEL
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="more-like", cls=CommandInPanels)(more_like)


@grouped
def more_like(
    index: SearchedIndex,
    doc_id: Annotated[str, typer.Argument(metavar="ID", help="The document.")],
    *,
    legs: Legs = None,
    filters: Filters = None,
    ranking: RankingOptions,
    rules: RuleOptions,
    spread: SpreadOptions,
    page: PageOptions,
    facets: FacetOptions,
    timeout: Annotated[float | None, typer.Option(help="Seconds that the search may take.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Find documents like one of the index, by its stored vectors, terms and words; no model is loaded.

    It is reranked only where --rerank names a reranker.
    """
    from hybrid_search.filters import parse_all
    from hybrid_search.search.similar_held import check_document_id

    shown = {"--facet": facets.facet, "--show-passages": spread.show_passages}
    form = form_of(page.format, as_json=page.as_json, usual=TABLE, explain=page.explain, shown=shown)
    given = ranking.settings() | {"rerank": ranking.rerank or NO_MODEL}
    settings = searched_with(settings_file, url, overrides, **given)
    options: SearchOptions = {
        **joined(ranking, rules, spread, page, facets, timeout=timeout),
        "legs": named_legs(legs),
        "filter": parse_all(filters or ()),
        "syntax": "text",
        "rerank": ranking.rerank not in {None, NO_MODEL},
    }
    check_options(settings, page.k, options)
    wanted = check_document_id(as_utf8(doc_id))
    with client_on(index, searching(settings, ["bm25"])) as client:
        options["legs"] = options["legs"] or _legs_of(settings, client.searcher.target.schema)
        found = client.more_like(wanted, page.k, **options)
        naming = naming_of(client, settings, passages=spread.passages)
    write_lines(HEADERS.get(form, ()))
    show_result(found, wanted, form=form, naming=naming, explain=page.explain)


def _legs_of(settings: Settings, schema: IndexSchema) -> list[str]:
    """Those of the settings that the index has; the client was opened for BM25, so that no model was loaded."""
    from hybrid_search.search.plan import indexed_legs

    return [leg.name for leg in indexed_legs(schema) if leg.name in settings.search.legs]
