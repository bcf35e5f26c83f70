"""``hybrid-search up | down | status | logs``: the local OpenSearch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.errors import LocalNodeError

if TYPE_CHECKING:
    from hybrid_search.engine.local import LocalNode, NodeStatus

DEFAULT_NAME = "default"
WIDE = 1000
"""Columns of the table of nodes: paths are for copying and are never folded."""

Name = Annotated[str, typer.Option("--name", help="The node's name; several run side by side on their own ports.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, logs):
        app.command()(command)


def up(
    *,
    name: Name = DEFAULT_NAME,
    nodes: Annotated[int | None, typer.Option(help="Servers that form one cluster (default 1).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the data (default: the node's own).")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port (default: the first free from 9200 on).")] = None,
    heap: Annotated[
        str | None, typer.Option(help="Memory of each server's heap (default 1g; in a cluster 512m).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a real OpenSearch on this machine, or reuse the one that runs."""
    from hybrid_search.engine import local

    typer.echo("Bringing up OpenSearch ...", err=True)
    node = local.up(name, nodes=nodes, data=data, port=port, heap=heap)
    if as_json:
        typer.echo(json.dumps(_facts(node), indent=2))
        return
    typer.echo(f"OpenSearch {node.version} answers at {node.url}")
    typer.echo(f"  data {node.data}\n  log  {node.log}")
    typer.echo(f"  stop it with: hybrid-search down{_option(name)}")


def down(*, name: Name = DEFAULT_NAME) -> None:
    """Stop the local OpenSearch; its data stays for the next start."""
    from hybrid_search.engine import local

    node = local.down(name)
    typer.echo(f"The node {name} is stopped; its data stays in {node.data}")


def status(*, as_json: Json = False) -> None:
    """Show every local node: whether it runs, where, and what it holds."""
    from hybrid_search.engine import local
    from hybrid_search.engine.local.state import broken_records

    found, broken = local.status(), broken_records()
    for error in broken:
        typer.echo(str(error), err=True)
    if as_json:
        typer.echo(json.dumps([_row(row) for row in found], indent=2))
    elif not found and not broken:
        typer.echo("No local node was ever started here. Start one with: hybrid-search up")
    elif found:
        _print_table(found)


def logs(
    *,
    name: Name = DEFAULT_NAME,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is added, until Ctrl-C.")] = False,
) -> None:
    """Print the log of a local node."""
    from hybrid_search.engine.local import logs as logfiles
    from hybrid_search.engine.local.state import read_node

    node = read_node(name)
    if node is None:
        raise LocalNodeError(f"There is no local node named {name!r}", remedy="See: hybrid-search status")
    paths = {member.log: member.name for member in node.members}
    several = len(paths) > 1

    def entries() -> Iterator[tuple[Path, str]]:
        yield from ((path, line) for path in paths for line in logfiles.tail(path, lines))
        if follow:
            yield from logfiles.follow(list(paths))

    for path, line in entries():
        typer.echo(f"{paths[path]}  {line}" if several else line)


def _print_leftovers(found: list[NodeStatus]) -> None:
    """What killed loads and rebuilds have left on nodes that run; settings of loads are restored."""
    from hybrid_search import leftovers
    from hybrid_search.engine.connection import connect
    from hybrid_search.errors import EngineError
    from hybrid_search.settings import EngineSettings

    for row in found:
        if row.memory is None:
            continue
        try:
            with connect(EngineSettings(url=row.node.url)) as connection:
                for note in leftovers.notes(connection):
                    typer.echo(f"Note: {note}")
        except EngineError as error:
            typer.echo(f"Note: {row.node.name}: {error}", err=True)


def _option(name: str) -> str:
    return "" if name == DEFAULT_NAME else f" --name {name}"


def _facts(node: LocalNode) -> dict[str, Any]:
    """A node as JSON."""
    return {
        "name": node.name,
        "state": node.state,
        "url": node.url,
        "urls": [member.url for member in node.members],
        "pids": [member.pid for member in node.members],
        "version": node.version,
        "heap": node.heap,
        "data": str(node.data),
        "logs": [str(member.log) for member in node.members],
    }


def _row(row: NodeStatus) -> dict[str, Any]:
    return _facts(row.node) | {"memory": row.memory, "indices": row.indices, "documents": row.documents}


def _print_table(found: list[NodeStatus]) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    from hybrid_search.printed.console import Console

    table = Table(
        "name", "state", "url", "pid", "memory", "indices", "documents", "data", "log", box=None, pad_edge=False
    )
    for row in found:
        node, runs = row.node, row.memory is not None
        table.add_row(
            node.name,
            row.state,
            "\n".join(member.url for member in node.members) if runs else "-",
            "\n".join(str(member.pid) for member in node.members) if runs else "-",
            "-" if row.memory is None else decimal(row.memory),
            "-" if row.indices is None else f"{row.indices:,}",
            "-" if row.documents is None else f"{row.documents:,}",
            str(node.data),
            str(node.log),
        )
    Console(width=WIDE).print(table)
