"""``hybrid-search mcp``: an index as tools of language-model agents, by the Model Context Protocol."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import check_search, named_legs, searched_with
from hybrid_search.cli.grouped import CommandInPanels, grouped
from hybrid_search.cli.options import Set, SettingsFile, Url
from hybrid_search.cli.search import SearchedIndex
from hybrid_search.cli.serve import with_legs

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hybrid_search.serve.access import Access
    from hybrid_search.settings import Settings

TOKEN_VARIABLE = "HYBRID_SEARCH_MCP_TOKEN"  # noqa: S105  # the name of it
WHERE = "Over HTTP"


@dataclass(frozen=True)
class HttpOptions:
    """Whether agents come over HTTP, and where."""

    http: Annotated[
        bool,
        typer.Option("--http", help="Serve at http://HOST:PORT/mcp, not over stdio.", rich_help_panel=WHERE),
    ] = False
    host: Annotated[
        str,
        typer.Option(help="The address; any but loopback needs the token that is printed.", rich_help_panel=WHERE),
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.", rich_help_panel=WHERE)] = 8766
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name under which it is reached, as behind a proxy. Repeatable.", rich_help_panel=WHERE),
    ] = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=CommandInPanels)(mcp)


@grouped
def mcp(
    index: SearchedIndex,
    *,
    place: HttpOptions,
    legs: Annotated[str | None, typer.Option(help="The legs that search: bm25,dense,sparse.")] = None,
    rerank: Annotated[str | None, typer.Option(help="late, the name of a cross-encoder, or none.")] = None,
    settings_file: SettingsFile = None,
    url: Url = None,
    overrides: Set = None,
) -> None:
    """Give agents the tools search, fetch, facets and why over an index (Model Context Protocol).

    Over stdio the agent's program starts this command. HYBRID_SEARCH_MCP_TOKEN gives a token of your own for --http.
    """
    settings = searched_with(settings_file, url, overrides, rerank=rerank, weights=None, rank_constant=None)
    check_search(settings, legs=named_legs(legs))
    wanted = with_legs(settings, named_legs(legs))
    if place.http:
        _over_http(index, wanted, place)
    else:
        asyncio.run(_over_stdio(index, wanted))


async def _over_stdio(index: str, settings: Settings) -> None:
    from hybrid_search.frameworks.mcp import make_server, serve_stdio
    from hybrid_search.search import AsyncSearchClient

    async with AsyncSearchClient(index, settings=settings) as client:
        await serve_stdio(make_server(client, index, settings.documents.heading or "title"))


def _over_http(index: str, settings: Settings, place: HttpOptions) -> None:
    from hybrid_search.frameworks.mcp import PATH
    from hybrid_search.serve.access import Access
    from hybrid_search.serve.listening import address, listen, token_for

    token = token_for(place.host, os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE)
    access = Access.at(place.host, token, tuple(place.allow_host or ()))
    listening = listen(place.host, place.port)

    def started() -> None:
        typer.echo(f"Agents reach {index} at {address(listening, place.host).rstrip('/')}{PATH}")
        if token is not None and TOKEN_VARIABLE not in os.environ:
            typer.echo(f"They show 'Authorization: Bearer {token}'")
        typer.echo("Ctrl-C ends it.")

    asyncio.run(_serving(index, settings, access, listening, started))


async def _serving(
    index: str, settings: Settings, access: Access, listening: socket.socket, started: Callable[[], None]
) -> None:
    from hybrid_search.frameworks.mcp import make_server, serve_http
    from hybrid_search.search import AsyncSearchClient

    async with AsyncSearchClient(index, settings=settings) as client:
        server = make_server(client, index, settings.documents.heading or "title")
        await serve_http(server, access, listening, started)
