"""Images at addresses: what is asked, and what never is."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hybrid_search.errors import RecordError
from hybrid_search.read.images.fetch import fetched, is_public
from hybrid_search.settings import ImageSettings

OPEN = ImageSettings(urls=True, private_addresses=True, max_bytes=1000, timeout=5.0)
CLOSED = ImageSettings(urls=True, max_bytes=1000, timeout=5.0)


class Site(BaseHTTPRequestHandler):
    """Says what it was asked; knows a redirect, a long answer and one that never ends."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/image")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()
        with_end = self.path != "/drip"
        try:
            self.wfile.write(b"x" * (5000 if self.path == "/long" else 10))
            while not with_end and not self.server.stopped.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def site() -> Iterator[Any]:
    """A server on this machine."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.stopped = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_private_address_is_not_asked(site: Any) -> None:
    """Whatever the record names it, nothing arrives there."""
    port = site.server_port
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"):  # noqa: S104
        with pytest.raises(RecordError, match=r"private network|is not known"):
            fetched(f"http://{host}:{port}/image", CLOSED, "x")
    assert site.asked == []


def test_where_it_is_allowed_the_bytes_come_and_nothing_is_sent_along(site: Any) -> None:
    """No cookie, no login, no query that was not in the address."""
    assert fetched(f"{site.url}/image?a=1", OPEN, "x") == b"x" * 10
    [(path, headers)] = site.asked
    assert path == "/image?a=1"
    assert not {"Cookie", "Authorization"} & headers.keys()


def test_the_name_that_was_checked_is_what_is_connected_to(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes between the look and the request leads nowhere else: it is looked up once."""
    looked: list[str] = []

    def look(host: str, port: int, **_: Any) -> list[Any]:
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("hybrid_search.read.images.fetch.socket.getaddrinfo", _only(look, "pictures.example"))
    assert fetched(f"http://pictures.example:{site.server_port}/image", OPEN, "x") == b"x" * 10
    assert looked == ["pictures.example"]
    assert site.asked[0][1]["Host"] == f"pictures.example:{site.server_port}"


def _only(look: Any, name: str) -> Any:
    real = socket.getaddrinfo
    return lambda host, *rest, **options: (
        look(host, rest[0], **options) if host == name else real(host, *rest, **options)
    )


def test_a_name_with_one_private_address_among_others_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them a connection would take is not known."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "10.0.0.7")]
    monkeypatch.setattr("hybrid_search.read.images.fetch.socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RecordError, match="private network"):
        fetched("http://both.example/image", CLOSED, "x")


@pytest.mark.parametrize(
    ("path", "said"), [("/moved", "302, a redirect"), ("/gone", "answers 404"), ("/long", "more than 1,000 bytes")]
)
def test_an_answer_that_is_no_file_within_bounds_is_a_bad_record(site: Any, path: str, said: str) -> None:
    """A redirect may lead inside; what is longer than it may be is not read."""
    with pytest.raises(RecordError, match=said):
        fetched(f"{site.url}{path}", OPEN, "x")
    assert len(site.asked) == 1


def test_an_answer_that_drips_is_given_up_in_time(site: Any) -> None:
    """Each byte comes in time, all of them do not."""
    limits = ImageSettings(urls=True, private_addresses=True, timeout=0.3)
    with pytest.raises(RecordError, match=r"more than 0\.3 s|does not answer"):
        fetched(f"{site.url}/drip", limits, "x")


def test_messages_leave_out_what_may_be_a_key() -> None:
    """What stands behind the question mark of an address often is one."""
    with pytest.raises(RecordError) as raised:
        fetched("http://127.0.0.1:9/image?key=geheim", OPEN, "x")
    assert "geheim" not in str(raised.value)
    assert "does not answer" in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        "http://",
        "ftp://example.com/a",
        "http://u:p@example.com/",
        "http://a b/",
        "http://example.com:0/",
        "http://ä.de/",
    ],
)
def test_what_is_no_address_is_not_looked_up(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a login sent."""
    monkeypatch.setattr("hybrid_search.read.images.fetch.socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    with pytest.raises(RecordError, match="none that is asked"):
        fetched(wrong, OPEN, "x")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::1", False),
        ("2001:0:a00:1::1", False),
    ],
)
def test_public_addresses_are_told_from_others(address: str, public: bool) -> None:
    """Also where one of version 6 stands for one of version 4: mapped, by NAT64, by 6to4 or Teredo."""
    assert is_public(ipaddress.ip_address(address)) is public
