"""The Model Context Protocol: the SDK's own client drives every tool, over stdio and over streamable HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import pytest

from hybrid_search.encode import TextEncoder, load_encoder
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError
from hybrid_search.indexing import index_documents
from hybrid_search.records import Document
from hybrid_search.search import AsyncSearchClient
from hybrid_search.serve.access import Access
from hybrid_search.settings import (
    ChunkingSettings,
    DenseSettings,
    DocumentSettings,
    EngineSettings,
    Settings,
    SparseSettings,
)

pytest.importorskip("mcp")
import httpx2  # the SDK's own HTTP client
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from hybrid_search.frameworks.mcp import Guard, http_app, make_server
from hybrid_search.frameworks.mcp_tools import IndexTools

MODELS = ["--set", "dense.model=none", "--set", "sparse.model=idf"]
TOKEN = "a-token-of-the-test-0123"  # noqa: S105  # of no server but the tests'
FILLER = " ".join(f"Sentence {n} says nothing of it." for n in range(90))
TEA = f"Green tea\nSteep sencha for one minute at 75 degrees.  {FILLER}\n\nBoiling water turns it bitter."
DOCUMENTS = [
    Document("tea", TEA, {"title": "Green tea", "brand": "Ito", "price": 3, "note": "n" * 500}),
    Document(
        "coffee", "Espresso: stop the shot after 28 seconds.", {"title": "Espresso", "brand": "Lumo", "price": 12}
    ),
    Document("bread", "Sourdough rests in the fridge over night.", {"title": "Sourdough", "brand": "Lumo", "price": 5}),
]


@dataclass(frozen=True)
class Loaded:
    """An index of three documents, one of them long, and the settings that made it."""

    index: str
    url: str
    settings: Settings
    encoder: TextEncoder


@pytest.fixture(scope="module")
def loaded(engine_url, connection) -> Iterator[Loaded]:
    settings = Settings(
        engine=EngineSettings(url=engine_url),
        dense=DenseSettings(model="none"),
        sparse=SparseSettings(model="idf"),
        documents=DocumentSettings(keyword=("brand",), number=("price",)),
        chunking=ChunkingSettings(max_tokens=20, overlap=4),
    )
    name = f"test-mcp-{uuid4().hex[:8]}"
    index_documents(DOCUMENTS, name, settings=settings)
    yield Loaded(name, engine_url, settings, load_encoder(settings))
    connection.transport.send(Request.json("DELETE", f"/{name}"))


def command(loaded: Loaded, *options: str) -> list[str]:
    return ["-m", "hybrid_search", "mcp", loaded.index, "--url", loaded.url, *MODELS, *options]


async def called(client: Client, tool: str, **arguments) -> dict:
    """The answer of a tool, the same as text and as structure."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def drive(client: Client) -> list[str]:
    """Every tool, as an agent would: look around, search, read on, ask why; gives their names."""
    listed = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(listed) == ["search", "fetch", "facets", "why"]
    assert all(tool.annotations.read_only_hint for tool in listed.values())
    assert "brand (keyword), price (number)" in listed["search"].description
    counted = (await called(client, "facets", fields=["brand"]))["facets"]["brand"]
    assert [(value["value"], value["count"]) for value in counted["values"]] == [("Lumo", 2), ("Ito", 1)]
    found = await called(client, "search", query="bitter with boiling water", filter=counted["values"][1]["filter"])
    [hit] = found["results"]
    assert (hit["id"], hit["title"], hit["rank"]) == ("tea", "Green tea", 1)
    assert TEA[hit["start"] : hit["end"]] == hit["text"]
    assert "Boiling water" in hit["text"]
    part = await called(client, "fetch", id="tea", start=hit["start"], length=7)
    assert part["text"] == TEA[hit["start"] : hit["start"] + 7]
    assert part["next"] == hit["start"] + 7
    why = await called(client, "why", query="espresso shot", id="bread")
    assert why["reason"] == "not-found"
    return list(listed)


async def test_an_agent_that_starts_the_command(loaded) -> None:
    """Over stdio the SDK's client starts the command, on both engines; all that it prints is the protocol."""
    async with Client(StdioServerParameters(command=sys.executable, args=command(loaded), env=dict(os.environ))) as one:
        assert await drive(one) == ["search", "fetch", "facets", "why"]


HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def test_ctrl_c_ends_the_command_while_the_agent_is_silent(opensearch_url, loaded) -> None:
    """Nobody waits for a pipe that says nothing; what went before is answered, whatever bytes it held."""
    if loaded.url != opensearch_url:
        pytest.skip("the same on both engines")
    obeying = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may ignore it
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *command(loaded)], preexec_fn=obeying, **pipes) as server:  # noqa: PLW1509
        try:
            asked = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": HELLO}).encode()
            server.stdin.write(b"\xff no JSON\n" + asked + b"\n")
            server.stdin.flush()
            answers = iter(server.stdout.readline, b"")
            answer = next(one for one in map(json.loads, answers) if one.get("id") == 7)
            assert answer["result"]["serverInfo"]["name"] == "hybrid-search"
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=30) == 130
        finally:
            server.kill()


@pytest.fixture
def served(loaded) -> Iterator[str]:
    """The address of a server over HTTP, which ends with 0 when it is told to."""
    env = {**os.environ, "HYBRID_SEARCH_MCP_TOKEN": TOKEN}
    server = subprocess.Popen(
        [sys.executable, *command(loaded, "--http", "--port", "0")], stdout=subprocess.PIPE, text=True, env=env
    )
    said = server.stdout.readline()
    assert said.startswith(f"Agents reach {loaded.index} at http://127.0.0.1:"), said
    yield said.split()[-1]
    server.send_signal(signal.SIGTERM)
    assert TOKEN not in server.communicate(timeout=30)[0]
    assert server.returncode == 0


@asynccontextmanager
async def showing(address: str, token: str | None) -> AsyncIterator[Client]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(address, http_client=http)) as one,
    ):
        yield one


async def test_an_agent_over_http_shows_a_token(served) -> None:
    """With the token every tool answers; without, or with another, the server answers 401 and nothing else."""
    async with showing(served, TOKEN) as client:
        await drive(client)
    for token in (None, "another-token-0123456"):
        async with httpx2.AsyncClient() as http:
            headers = {"accept": "application/json, text/event-stream"} | (
                {} if token is None else {"Authorization": f"Bearer {token}"}
            )
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            answer = await http.post(served, json=body, headers=headers)
        assert answer.status_code == 401
        assert "a token is needed" in answer.json()["error"]
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture
async def tools(loaded) -> AsyncIterator[dict]:
    async with AsyncSearchClient(loaded.index, settings=loaded.settings, encoder=loaded.encoder) as client:
        yield {tool.name: tool.call for tool in IndexTools(client, "title").all()}


async def test_a_document_is_read_in_parts_that_make_the_whole(tools) -> None:
    """Passages overlap and leave out white space; what is fetched is the text, character by character."""
    parts, start = [], 0
    while start is not None:
        part = await tools["fetch"]({"id": "tea", "start": start, "length": 333})
        assert part["start"] == sum(map(len, parts))
        parts.append(part["text"])
        start = part["next"]
    assert "".join(parts).split() == TEA.split()
    assert len("".join(parts)) == len(TEA)
    assert len(parts) == -(-len(TEA) // 333)
    assert part["fields"] == {"brand": "Ito", "price": 3, "note": "n" * 200 + "…"}


async def test_results_are_small(tools) -> None:
    """A hit is a piece of a passage with short fields; twenty hits are some pages at most."""
    found = await tools["search"]({"query": "sourdough and sencha and espresso", "k": 20})
    assert {hit["id"] for hit in found["results"]} == {"tea", "coffee", "bread"}
    assert all(len(json.dumps(hit)) < 1_500 for hit in found["results"])
    second = await tools["search"]({"query": "sourdough and sencha and espresso", "k": 1, "offset": 1})
    assert [hit["rank"] for hit in second["results"]] == [2]
    assert second["results"][0]["id"] == found["results"][1]["id"]


async def test_facets_of_a_search_count_what_it_finds(tools) -> None:
    """With a query its documents, without one all; ranges as the command takes them."""
    asked = {"fields": ["price:5"], "query": "espresso"}
    counted = (await tools["facets"](asked))["facets"]["price"]
    assert [(value["value"], value["count"]) for value in counted["values"]] == [("<5", 0), (">=5", 1)]
    everything = (await tools["facets"]({"fields": ["price:5"], "filter": "brand=Lumo"}))["facets"]["price"]
    assert [value["count"] for value in everything["values"]] == [0, 2]


async def test_why_says_the_rank_of_what_is_found(tools) -> None:
    """Which leg has it where, and nothing that is not said."""
    why = await tools["why"]({"query": "espresso shot", "id": "coffee"})
    assert (why["reason"], why["rank"]) == ("on-page", 1)
    assert [leg["rank"] for leg in why["legs"]] == [1, 1]
    assert None not in why["document"].values()
    assert (await tools["why"]({"query": "espresso", "id": "nothing"}))["reason"] == "not-in-index"


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        (
            "search",
            {"query": "tea", "limit": 3},
            r"contains unknown field `limit`\. It takes: query, k, offset",
        ),
        ("search", {"query": "tea", "k": 21}, r"Expected `int` <= 20 \(argument `k`\)"),
        ("search", {"query": "tea", "k": "many"}, r"Expected `int`, got `str` \(argument `k`\)"),
        ("search", {}, "the call lacks the field `query`"),
        ("search", {"query": "  "}, "the query is empty"),
        (
            "search",
            {"query": "tea", "filter": "color=red"},
            r"'color'\. It can filter on: brand, price",
        ),
        ("search", {"query": "tea", "filter": "price<"}, "price"),
        ("fetch", {"id": "nothing"}, r"there is no document 'nothing'\. Take an id that search gave"),
        ("fetch", {"id": "tea", "length": 0}, r"Expected `int` >= 1 \(argument `length`\)"),
        ("fetch", {"id": "tea", "start": 100_000}, r"the text of 'tea' has [\d,]+ characters"),
        ("facets", {"fields": ["brnd"]}, "Did you mean 'brand'"),
        ("facets", {"fields": []}, r"Expected `array` of length >= 1 \(argument `fields`\)"),
        ("why", {"query": "tea"}, "the call lacks the field `id`"),
    ],
)
async def test_what_is_wrong_is_said_so_that_it_can_be_put_right(tools, tool, arguments, message) -> None:
    """The argument, what it may be, and the names that there are."""
    with pytest.raises(QueryError, match=message):
        await tools[tool](arguments)


@asynccontextmanager
async def agent(loaded) -> AsyncIterator[tuple[Client, AsyncSearchClient]]:
    """An agent beside the server, without a transport, and the client that the server searches with."""
    opened = AsyncSearchClient(loaded.index, settings=loaded.settings, encoder=loaded.encoder)
    async with opened, Client(make_server(await opened.__aenter__(), loaded.index)) as client:
        yield client, opened


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {"query": "tea", "k": 0}, "Expected `int` >= 1"),
        ("delete", {"id": "tea"}, "there is no tool 'delete'. There are: search, fetch, facets, why."),
    ],
)
async def test_errors_reach_the_agent_as_answers(loaded, tool, arguments, said) -> None:
    """No protocol error, which would end an agent's turn: the text of the error, marked as one."""
    async with agent(loaded) as (client, _):
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert said in result.content[0].text


async def test_a_failure_that_nobody_foresaw_says_nothing_of_what_it_holds(loaded, caplog) -> None:
    """The kind of it alone, in the answer and in the log."""
    async with agent(loaded) as (client, opened):
        opened.search = None
        result = await client.call_tool("search", {"query": "a private question"})
    assert result.is_error
    assert result.content[0].text == "the tool search failed (TypeError); another call may not"
    assert "private" not in caplog.text


async def answered(access: Access, method: str, headers: dict[str, str]) -> int:
    """The status of a request; 299 where it comes through."""
    sent = []

    async def app(_scope, _receive, send) -> None:
        await send({"status": 299})

    async def send(message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await Guard(app, access)(scope, None, send)
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"host": "127.0.0.1:8766", "content-type": "application/json"}, 299),
        ("DELETE", {"host": "localhost:8766"}, 299),
        ("GET", {"host": "localhost:8766"}, 299),
        ("POST", {"host": "rebound.example", "content-type": "application/json"}, 403),
        ("POST", {"host": "localhost", "origin": "http://evil.example", "content-type": "application/json"}, 403),
        ("DELETE", {"host": "localhost", "origin": "http://evil.example"}, 403),
        ("GET", {"host": "localhost", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, 403),
        ("POST", {"host": "localhost", "content-type": "text/plain"}, 415),
    ],
)
async def test_on_this_machine_no_other_page_gets_in(method, headers, status) -> None:
    """Loopback needs no token, and is safe from pages of other hosts and names that are bound to it."""
    assert await answered(Access.at("127.0.0.1", None), method, headers) == status


async def test_on_another_address_a_token_is_needed() -> None:
    """The right one alone, whatever the method."""
    access = Access.at("10.0.0.5", TOKEN)
    for method in ("GET", "POST", "DELETE"):
        headers = {"host": "10.0.0.5:8766", "content-type": "application/json"}
        assert await answered(access, method, headers) == 401
        assert await answered(access, method, {**headers, "authorization": f"Bearer {TOKEN}x"}) == 401
        assert await answered(access, method, {**headers, "authorization": f"Bearer {TOKEN}"}) == 299


async def test_a_request_that_is_too_long_is_refused(loaded) -> None:
    """An answer 413 instead of memory for whatever is sent."""
    async with AsyncSearchClient(loaded.index, settings=loaded.settings, encoder=loaded.encoder) as opened:
        app = http_app(make_server(opened, loaded.index), Access.at("127.0.0.1", None))
        body, sent = b'"' + b"x" * 70_000 + b'"', []
        headers = {
            "host": "127.0.0.1",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
        }

        async def receive() -> dict:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message) -> None:
            sent.append(message)

        async with app.app.router.lifespan_context(app.app):
            scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "http_version": "1.1"}
            await app({**scope, "headers": [(a.encode(), b.encode()) for a, b in headers.items()]}, receive, send)
        assert sent[0]["status"] == 413
