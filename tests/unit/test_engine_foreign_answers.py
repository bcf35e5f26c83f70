"""What is no search engine, or one that means no good: one line that says what answered, over both clients.

The server is the tests' own; it answers as an engine until the request that is looked at.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading

import pytest
from strange_server import ROOTS, engine, http, strange_server

from hybrid_search.engine import bounds, connect, connect_async
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError, EngineTimeoutError, RequestRefusedError
from hybrid_search.settings import EngineSettings

COUNT = Request("POST", "/docs/_count", body=b'{"query":{"match":{"text":"private"}}}')


async def refusals(answering, request=None, **settings):
    """The errors of both clients, each one line that begins with the address."""
    found = []
    with strange_server(answering) as server:
        given = EngineSettings(url=server.url, **settings)
        with pytest.raises(EngineError) as caught, connect(given) as opened:
            opened.send(request)
        found.append(caught.value)
        with pytest.raises(EngineError) as caught:
            async with await connect_async(given) as opened:
                await opened.send(request)
        found.append(caught.value)
    assert all(str(error).startswith(server.url) and "\n" not in str(error) for error in found)
    assert all(len(str(error)) < 300 for error in found)
    assert type(found[0]) is type(found[1])
    return found


FOREIGN = {
    "null": b"null",
    "number": b"5",
    "list": b"[1,2,3]",
    "text": b'"\\u001b[31m"',
    "half": b'{"version":{"num',
    "nothing": b"",
    "brackets": b"[" * 3_000_000,
    "a word as version": b'{"version":{"number":"x.1"}}',
    "no version": b'{"version":{"number":null}}',
    "a negative version": b'{"version":{"number":"-1"}}',
    "5,000 digits": b'{"version":{"number":"%s"}}' % (b"9" * 5000),
    "no UTF-8": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
async def test_what_is_no_engine_is_named_in_one_line(body):
    """The address, what is wrong, and the beginning of what was answered."""
    for error in await refusals(lambda _: http(body)):
        assert "the answer is not that of a search engine: " in str(error)
        assert "Check the address" in str(error)
        assert "\x1b" not in str(error)


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("body", [b"null", b"5", b"[1]", b"{}", b"", b"<html>"], ids=repr)
async def test_an_engine_that_answers_with_something_else_is_named_too(kind, body):
    """A proxy's page for one request only, or an object without what was asked for."""
    with strange_server(engine(kind, lambda _: http(body))) as server:
        with (
            connect(EngineSettings(url=server.url)) as opened,
            pytest.raises(RequestRefusedError, match="/docs/_count"),
        ):
            opened.send(COUNT)["count"]
        async with await connect_async(EngineSettings(url=server.url)) as opened:
            with pytest.raises(RequestRefusedError, match="/docs/_count"):
                (await opened.send(COUNT))["count"]


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_an_error_and_nothing_is_sent_there(kind, status):
    """Neither a body nor a login goes to another host, and 302 is no success."""
    with strange_server(lambda _: http({"count": 1})) as elsewhere:
        answer = http(b"", status, location=f"{elsewhere.url}/stolen")
        for error in await refusals(engine(kind, lambda _: answer), COUNT):
            assert f"{status[:3]}: a redirect to {elsewhere.url}/stolen, which is not followed" in str(error)
        assert elsewhere.seen == []


@pytest.mark.parametrize("kind", ROOTS)
async def test_more_bytes_than_an_answer_may_have_are_not_read(kind, monkeypatch):
    """Plain or unpacked: 3,000,000 bytes in 3,000 of gzip."""
    monkeypatch.setattr(bounds, "MAX_ANSWER_BYTES", 2 * 1024 * 1024)
    data = b'{"count":1,"x":"' + b"0" * 3_000_000 + b'"}'
    for answer in (http(data), http(gzip.compress(data), content_encoding="gzip")):
        for error in await refusals(engine(kind, lambda _, sent=answer: sent), COUNT):
            assert "the answer is larger than 2 MiB" in str(error)


@pytest.mark.parametrize("kind", ROOTS)
async def test_a_packed_answer_within_bounds_is_read(kind):
    """Unpacked as before, by both clients."""
    packed = http(gzip.compress(b'{"count":3}'), content_encoding="gzip")
    with strange_server(engine(kind, lambda _: packed)) as server:
        with connect(EngineSettings(url=server.url)) as opened:
            assert [opened.send(COUNT) for _ in range(2)] == [{"count": 3}, {"count": 3}]
        async with await connect_async(EngineSettings(url=server.url)) as opened:
            assert await opened.send(COUNT) == {"count": 3}


@pytest.mark.parametrize("kind", ROOTS)
async def test_what_is_not_compressed_as_it_says_is_named(kind):
    """Nonsense under ``content-encoding: gzip``."""
    for error in await refusals(engine(kind, lambda _: http(b"nonsense", content_encoding="gzip")), COUNT):
        assert "not compressed as it says" in str(error)


@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nx-header: ", http(content_length="100000")], ids=["head", "body"]
)
async def test_an_answer_that_drips_is_given_up_in_time(kind, begin):
    """One byte each tenth of a second renews no patience, in the head or in the body."""
    ended = threading.Event()

    def drip(_):
        yield begin
        while not ended.wait(0.1):
            yield b" "

    try:
        for error in await refusals(engine(kind, drip), Request("GET", "/docs/_count", timeout=0.5)):
            assert isinstance(error, EngineTimeoutError)
    finally:
        ended.set()


BOMB = """
import gzip, resource, sys
sys.path.insert(0, "tests/unit")
from strange_server import engine, http, strange_server
from hybrid_search.engine import connect
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import RequestRefusedError
from hybrid_search.settings import EngineSettings

block = gzip.compress(b"0" * 10_000_000)
answer = http(block * 70, content_encoding="gzip")
with strange_server(engine("opensearch", lambda _: answer)) as server:
    with connect(EngineSettings(url=server.url)) as opened:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            opened.send(Request("GET", "/docs/_count"))
        except RequestRefusedError as error:
            print(error)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_an_answer_that_unpacks_to_700_mb_costs_less_than_its_limit_twice():
    """256 MiB are read of it, and one copy may be made: 2.1 GB were taken before."""
    done = subprocess.run([sys.executable, "-c", BOMB], capture_output=True, text=True, check=True)
    said, megabytes = done.stdout.splitlines()
    assert "larger than 256 MiB" in said
    assert int(megabytes) < 2 * 256
