"""``hybrid-search why-not``: why a document is not among the hits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import as_utf8, check_options, check_source, check_text, named_legs, searched_with
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Json, Set, SettingsFile, Url
from hybrid_search.cli.search import SearchedIndex, client_on, searching
from hybrid_search.cli.searching.expert import ExpertOptions
from hybrid_search.cli.searching.found import FoundOptions
from hybrid_search.cli.searching.ranking import RankingOptions
from hybrid_search.cli.searching.rules import RuleOptions
from hybrid_search.cli.searching.spread import DocumentOptions
from hybrid_search.cli.searching.texts import TextOptions
from hybrid_search.printed import write_lines

if TYPE_CHECKING:
    from hybrid_search.absence import LookedInto
    from hybrid_search.search.request import SearchOptions
    from hybrid_search.search.why_not_records import WhyNot

PANEL = "Where else to look for a document that is not in the index"


@dataclass(frozen=True)
class ElsewhereOptions:
    """Files that may know of a document that the index has not."""

    source: Annotated[str | None, typer.Option(help="The source that it should come from.", rich_help_panel=PANEL)] = (
        None
    )
    skip_bad: Annotated[
        Path | None, typer.Option(help="What --skip-bad of a load has left out.", rich_help_panel=PANEL)
    ] = None
    dead_letters: Annotated[
        Path | None,
        typer.Option(help="What the engine refused (default: all loads of this user).", rich_help_panel=PANEL),
    ] = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="why-not", cls=CommandInPanels)(why_not)


@grouped
def why_not(
    index: SearchedIndex,
    query: Annotated[str, typer.Argument(help="The question, in quotes.")],
    doc_id: Annotated[str, typer.Argument(metavar="ID", help="The document.")],
    *,
    found: FoundOptions,
    expert: ExpertOptions,
    texts: TextOptions,
    ranking: RankingOptions,
    rules: RuleOptions,
    spread: DocumentOptions,
    elsewhere: ElsewhereOptions,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Hits on the page.")] = None,
    offset: Annotated[int, typer.Option(help="Hits before the page.")] = 0,
    timeout: Annotated[float | None, typer.Option(help="Seconds that the search may take.")] = None,
    as_json: Json = False,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Say why a document is not among the hits, and what would bring it in."""
    from hybrid_search.absence import LookedInto
    from hybrid_search.search.similar_held import check_document_id

    settings = searched_with(settings_file, url, overrides, **ranking.settings())
    options: SearchOptions = {
        **found.options(),
        **texts.options(),
        **ranking.options(),
        **rules.options(),
        **spread.options(),
        "offset": offset,
        "timeout": timeout,
    }
    check_options(settings, k, options)
    asked, wanted = expert.asked(check_text(query)), check_document_id(as_utf8(doc_id))
    if elsewhere.source is not None:
        check_source(elsewhere.source, None)
    where = LookedInto(settings, elsewhere.source, elsewhere.skip_bad, elsewhere.dead_letters)
    with client_on(index, searching(settings, named_legs(found.legs))) as client:
        answer = client.why_not(asked, wanted, k, **options)
        own = client.searcher.target.behind or index
    _show(_with_known(answer, own, where), as_json=as_json)


def _with_known(answer: WhyNot, index: str, where: LookedInto) -> WhyNot:
    """Of a document that is not in the index, what else is known of it."""
    from hybrid_search.absence import known_of
    from hybrid_search.search.why_not_records import Reason

    if answer.reason is not Reason.NOT_IN_INDEX:
        return answer
    return replace(answer, known=known_of(answer.id, index, where))


def _show(answer: WhyNot, *, as_json: bool) -> None:
    if as_json:
        import orjson

        write_lines([orjson.dumps(answer.as_json(), default=str).decode()])
        return
    from hybrid_search.printed.console import Console
    from hybrid_search.search.why_not_verdict import why_not_panel

    Console().print(why_not_panel(answer))
