"""Reaching a cluster: TLS, credentials, dead nodes, timeouts; synchronous and asynchronous, on every engine.

The real node stands behind a proxy of the tests' own that asks for what a security plugin would.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
import traceback
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
import trustme
from generated import filled, passages
from guarded_proxy import proxy

from hybrid_search.engine import connect, connect_async, indices
from hybrid_search.engine.access import InsecureTlsWarning
from hybrid_search.engine.connection import ROOT
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import (
    AuthenticationError,
    EngineTimeoutError,
    EngineUnreachableError,
    SettingsError,
    UnsupportedError,
)
from hybrid_search.settings import EngineSettings

SECRET = "correct-horse-battery"  # noqa: S105 - of the tests' own proxy
BASIC = f"Basic {b64encode(f'searcher:{SECRET}'.encode()).decode()}"
API_KEY = b64encode(f"key-id:{SECRET}".encode()).decode()
ALLOWED = frozenset({BASIC, f"ApiKey {API_KEY}", f"Bearer {SECRET}"})


@pytest.fixture(scope="module")
def authority():
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority):
    """The server's certificate, signed by it."""
    return authority.issue_cert("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="module")
def secured(engine_url, certificate):
    """The engine behind TLS and a login."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with proxy(engine_url, tls=context, allowed=ALLOWED) as running:
        yield running


async def answers(settings):
    """Whether the engine answers over both transports; the error that it raised must be the same over both."""
    try:
        with connect(settings) as opened:
            opened.send(ROOT)
    except Exception as error:
        with pytest.raises(type(error)):
            await connect_async(settings)
        raise
    async with await connect_async(settings) as opened:
        root = await opened.send(ROOT)
    return "version" in root


async def test_a_private_authority_is_trusted_when_it_is_named(secured, ca_file):
    """And only then: the system's authorities do not know it."""
    login = {"user": "searcher", "password": SECRET}
    assert await answers(EngineSettings(url=secured.url, ca_file=ca_file, **login))
    with pytest.raises(EngineUnreachableError, match="TLS failed"):
        await answers(EngineSettings(url=secured.url, **login))


async def test_another_authority_is_refused(secured, tmp_path):
    """A certificate that the named authority did not sign."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(EngineUnreachableError, match="TLS failed"):
        await answers(EngineSettings(url=secured.url, ca_file=str(other), user="searcher", password=SECRET))


async def test_a_fingerprint_takes_the_place_of_an_authority(secured, certificate):
    """The SHA-256 of the server's certificate, colons or not; another is refused."""
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    login = {"user": "searcher", "password": SECRET}
    assert await answers(EngineSettings(url=secured.url, ca_fingerprint=sha256(der).hexdigest().upper(), **login))
    with pytest.raises(EngineUnreachableError):
        await answers(EngineSettings(url=secured.url, ca_fingerprint="ab" * 32, **login))


async def test_verification_is_switched_off_with_a_warning(secured):
    """Explicitly, and never silently."""
    settings = EngineSettings(url=secured.url, verify_tls=False, user="searcher", password=SECRET)
    with pytest.warns(InsecureTlsWarning, match="verify_tls"):
        assert await answers(settings)


async def test_a_client_certificate_opens_the_door(engine_url, authority, certificate, ca_file, tmp_path):
    """A server that asks for one refuses those who have none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = authority.issue_cert("searcher@example.org")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    own.cert_chain_pems[0].write_to_path(str(cert))
    own.private_key_pem.write_to_path(str(key))
    with proxy(engine_url, tls=context) as running:
        assert await answers(
            EngineSettings(url=running.url, ca_file=ca_file, client_cert=str(cert), client_key=str(key))
        )
        with pytest.raises(EngineUnreachableError):
            await answers(EngineSettings(url=running.url, ca_file=ca_file))


@pytest.mark.parametrize(
    "login",
    [
        {"user": "searcher", "password": SECRET},
        {"api_key": API_KEY},
        {"api_key": f"key-id:{SECRET}"},
        {"bearer": SECRET},
        {"in_url": True},
    ],
    ids=["password", "encoded api key", "plain api key", "bearer", "in the url"],
)
async def test_every_way_to_log_in(secured, ca_file, login):
    """Each gives the header that the server wants; without any, AuthenticationError."""
    url = secured.url
    if login.get("in_url"):
        login, url = {}, url.replace("://", f"://searcher:{SECRET}@")
    assert await answers(EngineSettings(url=url, ca_file=ca_file, **login))
    with pytest.raises(AuthenticationError):
        await answers(EngineSettings(url=secured.url, ca_file=ca_file))


async def test_a_secret_is_nowhere_to_be_read(secured, ca_file, caplog):
    """Not in an error, its causes, a log of any level, or the repr of settings and connections."""
    caplog.set_level(logging.DEBUG)
    wrong = SECRET + "-wrong"
    shown = []
    for login in ({"user": "searcher", "password": wrong}, {"api_key": f"id:{wrong}"}, {"bearer": wrong}):
        settings = EngineSettings(url=secured.url, ca_file=ca_file, **login)
        shown.append(repr(settings))
        with pytest.raises(AuthenticationError) as caught:
            await answers(settings)
        shown += [repr(caught.value), *traceback.format_exception(caught.value)]
    in_url = secured.url.replace("://", f"://searcher:{wrong}@")
    with pytest.raises(AuthenticationError) as caught:
        await answers(EngineSettings(url=in_url, ca_file=ca_file))
    shown += [str(caught.value), *traceback.format_exception(caught.value)]
    with connect(EngineSettings(url=secured.url, ca_file=ca_file, bearer=SECRET)) as opened:
        shown += [repr(opened), repr(opened.transport), opened.where]
    text = "\n".join([*shown, caplog.text])
    encoded = [b64encode(f"{user}:{wrong}".encode()).decode() for user in ("searcher", "id")]
    for secret in (SECRET, wrong, *encoded):
        assert secret not in text
    assert "searcher:" not in str(caught.value)


async def test_a_dead_node_in_the_list_is_passed_over(engine_url):
    """Whichever node a request is sent to first; with all of them dead, one error."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for url in (f"{dead},{engine_url}", f"{engine_url},{dead}"):
            settings = EngineSettings(url=url)
            with connect(settings) as opened:
                assert all("version" in opened.send(ROOT) for _ in range(4))
            async with await connect_async(settings) as opened:
                assert all(["version" in await opened.send(ROOT) for _ in range(4)])
        with pytest.raises(EngineUnreachableError, match="nothing answers") as caught:
            await answers(EngineSettings(url=f"{dead},{dead}"))
    assert dead in str(caught.value)


def wait_for_requests(between, count):
    """Wait until the proxy has seen so many requests in all, and expect no more; a client may be gone before that."""
    for _ in range(count):
        between.arrived.acquire()
    assert not between.arrived.acquire(blocking=False)


async def test_a_slow_answer_is_a_timeout_of_its_own_request(engine_url):
    """Each request may have its own patience; a slow node is not asked twice, for it may have done the work."""
    with proxy(engine_url) as slow, connect(EngineSettings(url=f"{slow.url},{slow.url}/")) as opened:
        async with await connect_async(EngineSettings(url=slow.url)) as opened_async:
            before = len(slow.seen)
            slow.answers.clear()
            impatient = Request("GET", "/", timeout=0.2)
            with pytest.raises(EngineTimeoutError):
                opened.send(impatient)
            with pytest.raises(EngineTimeoutError):
                await opened_async.send(impatient)
            slow.answers.set()
            assert "version" in opened.send(Request("GET", "/", timeout=60))
            wait_for_requests(slow, before + 3)


async def test_a_node_that_hangs_is_passed_over_by_the_next_requests(engine_url, monkeypatch):
    """One request waits for it in vain; it is not asked again while the other node answers.

    The clock stands still: the clients ask a lost node again after a second, or after a minute.
    """
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with proxy(engine_url) as hanging:
        settings = EngineSettings(url=f"{hanging.url},{engine_url}")
        with connect(settings) as opened:
            async with await connect_async(settings) as opened_async:
                hanging.answers.clear()
                before = len(hanging.seen)
                impatient, patient = (Request("GET", "/", timeout=seconds) for seconds in (1.0, 60.0))
                with pytest.raises(EngineTimeoutError):
                    [opened.send(impatient) for _ in range(2)]
                with pytest.raises(EngineTimeoutError):
                    [await opened_async.send(impatient) for _ in range(2)]
                assert all("version" in opened.send(patient) for _ in range(4))
                assert all(["version" in await opened_async.send(patient) for _ in range(4)])
                wait_for_requests(hanging, before + 2)


def test_bodies_are_compressed_when_asked(engine_url, index_name):
    """The server sees gzip, and understands it."""
    with proxy(engine_url) as between, connect(EngineSettings(url=between.url, compress=True)) as opened:
        name = filled(opened, index_name(), passages(20))
        assert indices.count(opened, name) == 20
        assert "gzip" in {headers.get("content-encoding") for headers in between.seen}


def test_as_many_connections_as_asked_are_kept(engine_url):
    """Eight threads with eight connections open no ninth."""
    with proxy(engine_url) as between, connect(EngineSettings(url=between.url, connections=8)) as opened:
        before = between.connections
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: opened.send(ROOT), range(64)))
        assert len(found) == 64
        assert between.connections - before <= 8


async def test_requests_are_signed_for_aws(engine_url, monkeypatch):
    """Signature version 4 with the environment's key, the body included; Elasticsearch has no such login."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with proxy(engine_url, allowed=frozenset()) as between:
        settings = EngineSettings(url=between.url, aws_region="eu-west-1")
        if engine_of(engine_url) == "elasticsearch":
            with pytest.raises(UnsupportedError, match="AWS"):
                await answers(settings)
        else:
            assert await answers(settings)
        signed = [headers["authorization"] for headers in between.seen]
    assert all(header.startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/") for header in signed)
    assert all("/eu-west-1/es/aws4_request" in header for header in signed)
    assert SECRET not in str(between.seen)


def engine_of(url):
    with connect(EngineSettings(url=url)) as opened:
        return opened.dialect.engine


def test_a_foreign_kind_is_refused(connection, engine_url):
    """``engine.kind`` is a promise that is checked."""
    other = {"opensearch": "elasticsearch", "elasticsearch": "opensearch"}[connection.dialect.engine]
    with pytest.raises(UnsupportedError, match=r"engine\.kind"):
        connect(EngineSettings(url=engine_url, kind=other))
    with connect(EngineSettings(url=engine_url, kind=connection.dialect.engine)) as opened:
        assert opened.dialect == connection.dialect


def test_a_server_that_is_no_engine_is_refused():
    """An address that answers, but with something else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve():
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 7\r\n\r\n<html/>")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(serve)
            with pytest.raises(Exception, match="not that of a search engine"):
                connect(EngineSettings(url=f"http://127.0.0.1:{port}"))


def test_two_logins_are_refused_before_anything_is_sent():
    """A URL's login and an API key contradict each other."""
    with pytest.raises(SettingsError, match="two ways to log in: user and api_key") as caught:
        connect(EngineSettings(url=f"http://searcher:{SECRET}@127.0.0.1:1", api_key="abc"))
    assert SECRET not in str(caught.value)
