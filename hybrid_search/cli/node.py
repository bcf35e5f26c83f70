"""``hybrid-search up | down | status | logs``: the local OpenSearch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybrid_search.cli.attach import print_coverage
from hybrid_search.cli.options import SettingsFile, Url, settings_of
from hybrid_search.errors import LocalNodeError, SettingsError

if TYPE_CHECKING:
    from hybrid_search.engine.local import LocalNode, NodeStatus

DEFAULT_NAME = "default"
WIDE = 1000
"""Columns of the table of nodes: paths are for copying and are never folded."""

LIMITS = """\
  who  every program of this machine reads and changes it, without a login; other machines and web pages do not
  not  vectors of the engine faiss (the default of a mapping that names none): such an index is refused"""

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
    typer.echo(LIMITS)
    typer.echo(f"  stop it with: hybrid-search down{_option(name)}")
    _print_notes([row for row in local.status() if row.node.name == name])


def down(
    *,
    name: Name = DEFAULT_NAME,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the node with its data, configuration and logs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --purge: remove without a question.")] = False,
) -> None:
    """Stop the local OpenSearch; its data stays for the next start, unless --purge removes it."""
    from hybrid_search.engine import local

    if purge:
        _purge(name, yes=yes)
        return
    if yes:
        raise SettingsError("is for --purge", where="--yes", remedy="Leave it out, or add --purge")
    node = local.down(name)
    typer.echo(f"The node {name} is stopped; its data stays in {node.data}")


def status(
    index: Annotated[str | None, typer.Argument(help="An index, or the number of a load.")] = None,
    *,
    settings_file: SettingsFile = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show every local node and what it holds; or of an index how much has vectors, and its loads: who, how far."""
    if index is not None:
        print_coverage(index, settings_of(settings_file, url), as_json=as_json)
        return
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
        _print_notes(found)
        _print_leftovers(found)


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
        raise _unknown(name)
    paths = {member.log: member.name for member in node.members}
    several = len(paths) > 1

    def entries() -> Iterator[tuple[Path, str]]:
        yield from ((path, line) for path in paths for line in logfiles.tail(path, lines))
        if follow:
            yield from logfiles.follow(list(paths))

    for path, line in entries():
        typer.echo(f"{paths[path]}  {line}" if several else line)


def _purge(name: str, *, yes: bool) -> None:
    """Remove a node after it was said what goes, and after a yes."""
    from rich.filesize import decimal

    from hybrid_search.engine import local
    from hybrid_search.engine.local.purge import belongings
    from hybrid_search.engine.local.state import read_node

    node = read_node(name)
    if node is None:
        raise _unknown(name)
    going = belongings(node)
    typer.echo(f"The node {name} is to be stopped and removed, with:", err=True)
    for each in going:
        typer.echo(f"  {each.folder}  {decimal(each.size)} ({each.size:,} bytes)", err=True)
    if not yes:
        if not _is_answered():
            raise SettingsError("asks, and nobody is there to answer", where="--purge", remedy="Add --yes")
        typer.confirm("Remove it?", abort=True, err=True)
    local.purge(name)
    typer.echo(f"The node {name} is removed: {decimal(sum(each.size for each in going))}")


def _is_answered() -> bool:
    """Whether a person is there to answer a question."""
    return sys.stdin.isatty()


def _unknown(name: str) -> LocalNodeError:
    return LocalNodeError(f"There is no local node named {name!r}", remedy="See: hybrid-search status")


def _print_notes(found: list[NodeStatus]) -> None:
    """What a person should know of these nodes and do about it."""
    for row in found:
        name = row.node.name
        for server, reason in row.died.items():
            typer.echo(f"Note: {server} died: {reason}")
        for index, reason in row.unopened.items():
            typer.echo(f"Note: {name} cannot open the index {index}: {reason}")
            typer.echo(f"  where it can be spared: curl -X DELETE {row.node.url}/{index}")
        if row.node.is_outdated:
            typer.echo(
                f"Note: {name} was started by an earlier release, and any web page can read and empty it.\n"
                f"  Start it anew, its data stays: hybrid-search down{_option(name)} && hybrid-search up{_option(name)}"
            )


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
    held = {"memory": row.memory, "indices": row.indices, "documents": row.documents}
    told = {"died": dict(row.died), "unopened": dict(row.unopened), "outdated": row.node.is_outdated}
    return _facts(row.node) | held | told


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
