"""Who is let in: hosts, origins, tokens, sizes, and the headers that keep a browser safe."""

from __future__ import annotations

import re

import pytest
from served import serving

from hybrid_search.errors import SettingsError
from hybrid_search.serve.access import Access
from hybrid_search.serve.refusals import RefusedError
from hybrid_search.serve.server import address, listen, token_for

TOKEN = "a-token-of-the-test-0123456789"  # noqa: S105  # of this file alone


@pytest.fixture(scope="module")
def guarded(opensearch_url, small_index, tmp_path_factory):
    """A workbench that needs a token."""
    with serving(opensearch_url, small_index, tmp_path_factory.mktemp("guarded") / "judged", token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "127.0.0.1@evil"])
def test_a_name_of_somebody_else_is_refused(served, host) -> None:
    """DNS rebinding: the name of another host that leads here is not served, whatever is asked."""
    status, answer, _ = served.ask("GET", "/openapi.json", headers={"Host": host})
    assert (status, answer["error"]["what"]) == (403, "this name is not served here")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:8765", "LOCALHOST"])
def test_loopback_has_several_names(served, host) -> None:
    """All of them are served."""
    assert served.ask("GET", "/healthz", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    ("host", "also", "header", "is_served"),
    [
        ("0.0.0.0", (), "192.0.2.7:8765", True),  # noqa: S104  # nothing is bound
        ("0.0.0.0", (), "search.example", False),  # noqa: S104
        ("0.0.0.0", ("search.example",), "Search.Example", True),  # noqa: S104
        ("127.0.0.1", ("search.example",), "search.example:80", True),
        ("127.0.0.1", (), "192.0.2.7", False),
        ("search.example", (), "search.example:8765", True),
    ],
)
def test_which_names_are_served(host, also, header, is_served) -> None:
    """Addresses cannot be rebound, names only where they are given."""
    assert Access.at(host, "x", also).serves(header) is is_served


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=["origin", "opaque", "cross-site", "same-site"],
)
def test_another_page_changes_nothing(served, headers) -> None:
    """A judgement sent by a page of another host is refused before anything is read."""
    body = {"query": "forged", "id": "doc-1", "grade": 3}
    status, answer, _ = served.ask("POST", "/judgements", body, headers)
    assert (status, answer["error"]["what"]) == (403, "the request comes from a page of another host")
    assert served.post("/judgements/of", query="forged")["grades"] == {}


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_a_form_of_another_page_is_no_json(served, kind) -> None:
    """What a form can send without a preflight is not read as JSON."""
    body = b'{"query": "forged", "id": "doc-1", "grade": 3}'
    assert served.ask("POST", "/judgements", body, {"Content-Type": kind})[0] == 415


def test_a_form_that_calls_itself_a_form_judges_nothing(served) -> None:
    """The one content type that a form may have here is that of the login."""
    body = b"query=forged&id=doc-1&grade=3"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert served.ask("POST", "/judgements", body, kind)[0] in {400, 415}
    assert served.post("/judgements/of", query="forged")["grades"] == {}


def test_a_link_may_be_followed_and_an_image_may_not(served) -> None:
    """From another site the page can be opened; nothing of it can be embedded."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert served.ask("GET", "/", headers=link)[0] == 200
    assert served.ask("GET", "/search?query=tea", headers={**link, "Sec-Fetch-Mode": "no-cors"})[0] == 403


@pytest.mark.parametrize("path", ["/", "/docs", "/nowhere", "/healthz", "/static/main.js", "/search?query=tea"])
def test_every_answer_is_kept_safe(served, path) -> None:
    """No inline script or style, no frame, no other host; no answer is stored."""
    _, _, headers = served.ask("GET", path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in {"no-store", "no-cache"}
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_pages_have_nothing_inline(served) -> None:
    """The policy would stop it; it is not there either."""
    for path in ("/", "/docs", "/nowhere"):
        _, page, _ = served.ask("GET", path, headers={"Accept": "text/html"})
        assert not re.search(r"<style|style=|\son\w+=|javascript:", page)
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page)


def test_too_much_is_refused(served) -> None:
    """By its announced size, by what comes without one, and by the length of the address."""
    assert served.ask("POST", "/search", b" " * 70_000)[0] == 413
    chunked = {"Transfer-Encoding": "chunked"}
    body = b"11170\r\n" + b" " * 0x11170 + b"\r\n0\r\n\r\n"
    assert served.ask("POST", "/search", body, chunked)[0] in {400, 413}
    assert served.ask("GET", f"/search?query={'x' * 20_000}")[0] == 414


def test_without_the_token_nothing_is_said(guarded) -> None:
    """Neither of the index nor of the API; a person gets the page that asks for it."""
    for path in ("/", "/search?query=tea", "/openapi.json", "/metrics", "/docs", "/nowhere"):
        status, answer, headers = guarded.ask("GET", path)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert guarded.index not in str(answer)
    status, page, _ = guarded.ask("GET", "/", headers={"Accept": "text/html"})
    assert status == 401
    assert '<form method="post" action="/login">' in page
    assert guarded.index not in page
    assert guarded.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "shown", ["Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}"]
)
def test_a_wrong_token_is_refused(guarded, shown) -> None:
    """Whatever it has in common with the right one."""
    assert guarded.ask("POST", "/search", {"query": "tea"}, {"Authorization": shown})[0] == 401


def test_the_token_lets_in(guarded) -> None:
    """As a header for programs; in the address or by the form it becomes a cookie that no script reads."""
    assert guarded.ask("POST", "/search", {"query": "tea"}, {"Authorization": f"Bearer {TOKEN}"})[0] == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for status, _, headers in (
        guarded.ask("GET", f"/?token={TOKEN}"),
        guarded.ask("GET", f"/?token={TOKEN}", headers={"Accept": "text/html"}),
        guarded.ask("POST", "/login", f"token={TOKEN}".encode(), form),
    ):
        if status == 401:  # a program is not logged in by an address
            continue
        assert (status, headers["location"]) == (303, "/")
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert guarded.ask("GET", "/", headers={"Cookie": cookie.partition(";")[0]})[0] == 200
    assert guarded.ask("POST", "/login", b"token=wrong", form)[0] == 401


def test_two_servers_of_one_host_have_a_cookie_each(guarded) -> None:
    """Browsers send a host's cookies to all its ports: that of another port does not push this one's out."""
    _, _, headers = guarded.ask("GET", f"/?token={TOKEN}", headers={"Accept": "text/html"})
    name = headers["set-cookie"].partition("=")[0]
    assert name == f"hybrid_search_token_{guarded.port}"
    again, _, _ = guarded.ask("GET", f"/?token={TOKEN}", headers={"Cookie": f"{name}={TOKEN}"})
    assert again == 303  # who is logged in opens the printed address once more
    other = f"hybrid_search_token_{guarded.port + 1}"
    assert guarded.ask("GET", "/", headers={"Cookie": f"{other}=wrong; {name}={TOKEN}"})[0] == 200
    assert guarded.ask("GET", "/", headers={"Cookie": f"{other}={TOKEN}"})[0] == 401


def test_tokens_are_made_where_others_reach_it() -> None:
    """None on loopback; a new long one elsewhere; one that is given is taken, if it cannot be guessed."""
    assert token_for("127.0.0.1", None) is None
    assert token_for("localhost", None) is None
    made = token_for("0.0.0.0", None)  # noqa: S104  # nothing is bound
    assert made is not None
    assert len(made) >= 32
    assert made != token_for("0.0.0.0", None)  # noqa: S104
    assert token_for("127.0.0.1", TOKEN) == TOKEN
    for weak in ("short", "ü" * 20, "with a space in it"):
        with pytest.raises(SettingsError, match="is no token"):
            token_for("127.0.0.1", weak)


def test_a_token_is_never_shown() -> None:
    """Not by the object that holds it, and not by a refusal."""
    access = Access.at("127.0.0.1", TOKEN)
    assert TOKEN not in repr(access)
    with pytest.raises(RefusedError) as refused:
        access.check("GET", "/", {"host": "localhost", "authorization": "Bearer guess"})
    assert TOKEN not in str(refused.value)


def test_a_port_that_is_taken_is_said() -> None:
    """Before a model is loaded."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address(taken, "127.0.0.1", None) == f"http://127.0.0.1:{port}/"
        with pytest.raises(SettingsError, match=rf"127.0.0.1:{port}: cannot listen"):
            listen("127.0.0.1", port)
