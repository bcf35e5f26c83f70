"""The Model Context Protocol: an index as tools of language-model agents, over stdio and over streamable HTTP.

    agent -> stdio, or HTTP behind its access -> tools (mcp_tools) -> AsyncSearchClient

Over HTTP nothing is remembered between requests. Nothing is logged of a request: queries are somebody's words.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, cast

import anyio
import orjson

from hybrid_search.errors import HybridSearchError, MissingExtraError, RefusedError
from hybrid_search.frameworks.mcp_tools import IndexTools, Tool
from hybrid_search.printed import plain_stream
from hybrid_search.search import AsyncSearchClient
from hybrid_search.serve.access import MAX_BODY, Access, headers_of

try:
    import uvicorn
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
    from mcp.server.transport_security import TransportSecuritySettings
    from mcp_types import (
        CallToolRequestParams,
        CallToolResult,
        ListToolsResult,
        TextContent,
        ToolAnnotations,
    )
    from mcp_types import Tool as ToolSchema

    from hybrid_search.serve.listening import serve_until_signal
except ImportError as error:
    raise MissingExtraError("The server for agents (mcp 2)", "mcp") from error

PATH = "/mcp"
MOST = 64
"""Requests at a time; more are refused with 503."""
STOPPING = 5
"""Seconds that answers which have begun may take after the server was told to stop."""

log = logging.getLogger(__name__)


def make_server(client: AsyncSearchClient, index: str, title: str = "title") -> Server[Any]:
    """A server of the tools over an open client.

    Args:
        client: open; closed by the caller.
        index: what agents are told that they search.
        title: the field that heads a document.
    """
    tools = {tool.name: tool for tool in IndexTools(client, title).all()}
    listed = ListToolsResult(tools=[_schema(tool) for tool in tools.values()])

    async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
        return listed

    async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        return await _called(tools, params)

    return Server(
        "hybrid-search",
        version=version("hybrid-search"),
        instructions=f"Searches the index {index}. Search first, fetch what must be read in full, and cite documents "
        "by id with the characters (start, end) of what is quoted.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _schema(tool: Tool) -> ToolSchema:
    reads = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    return ToolSchema(name=tool.name, description=tool.description, input_schema=tool.schema, annotations=reads)


async def _called(tools: dict[str, Tool], params: CallToolRequestParams) -> CallToolResult:
    """The answer of a tool, or what the agent can do about there being none."""
    tool = tools.get(params.name)
    if tool is None:
        return _failed(f"there is no tool {params.name!r}. There are: {', '.join(tools)}.")
    try:
        plain = orjson.dumps(await tool.call(params.arguments or {}), default=str)
    except HybridSearchError as error:
        return _failed(str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, the agent hears that it failed and not what it holds
        log.error("%s in the tool %s", type(error).__name__, tool.name)  # noqa: TRY400  # a traceback holds queries
        return _failed(f"the tool {tool.name} failed ({type(error).__name__}); another call may not")
    return CallToolResult(
        content=[TextContent(type="text", text=plain.decode())], structured_content=orjson.loads(plain)
    )


def _failed(what: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=what)], is_error=True)


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one agent, which has started this process, until its end of the pipe is closed.

    What anything else prints meanwhile goes to standard error: standard output is the wire.
    """
    streams: tuple[Any, Any] = (_lines(sys.stdin.fileno()), anyio.wrap_file(cast("Any", _Wire())))
    with contextlib.redirect_stdout(sys.stderr):
        async with stdio_server(*streams) as (read, write):
            await server.run(read, write, server.create_initialization_options())


async def _lines(descriptor: int) -> AsyncIterator[str]:
    """The lines of a pipe, read in a thread that no one waits for: Ctrl-C ends the command while nothing is sent."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()

    def read() -> None:
        rest = b""
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the loop has ended meanwhile
            while data := os.read(descriptor, 65_536):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, name="hybrid-search-mcp-stdin", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line.decode("utf-8", "replace")


class _Wire:
    """Standard output as it was, for lines of JSON."""

    def __init__(self) -> None:
        self._out = plain_stream()

    def write(self, text: str) -> int:
        self._out.write_utf8(text)
        return len(text)

    def flush(self) -> None:
        self._out.flush()


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in who may ask; the rest of the requests never reach the tools."""

    app: Callable[..., Any]
    access: Access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the start and end of the server."""
        if scope["type"] == "http":
            try:
                self.access.check(scope["method"], scope["path"], headers_of(scope))
            except RefusedError as refusal:
                await _refuse(send, refusal)
                return
        await self.app(scope, receive, send)


def http_app(server: Server[Any], access: Access) -> Guard:
    """The tools as an ASGI application at ``/mcp``: a request stands by itself, and is answered with JSON."""
    unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the guard has checked the host
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MAX_BODY,
        transport_security=unchecked,
    )
    return Guard(app, access)


async def serve_http(
    server: Server[Any], access: Access, listening: socket.socket, started: Callable[[], None] = lambda: None
) -> None:
    """Serve agents over streamable HTTP until a signal ends it.

    Args:
        server: of :func:`make_server`.
        access: who is let in.
        listening: where; closed at the end.
        started: called once requests are answered.
    """
    config = uvicorn.Config(
        http_app(server, access),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=MOST,
        timeout_graceful_shutdown=STOPPING,
        proxy_headers=False,
    )
    with contextlib.closing(listening):
        await serve_until_signal(config, listening, started)


async def _refuse(send: Any, refusal: RefusedError) -> None:
    body = orjson.dumps({"error": str(refusal)})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
