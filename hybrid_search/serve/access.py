"""Who may ask, from which page, and how much: one ASGI layer around everything that is served.

On loopback nobody needs a token, and the danger is another web page: it can send requests to this machine, and by DNS
rebinding even read the answers under a name of its own. So a request must name a host that is served here, one that
changes something must come from the page itself, and no page of another host may load anything. On any other address
a token is needed as well.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hybrid_search.errors import RefusedError

COOKIE = "hybrid_search_token"
MAX_BODY = 65_536
"""Bytes of a request's body."""
MAX_ADDRESS = 16_384
"""Bytes of a request's path and parameters."""

OPEN_PATHS = frozenset({"/healthz", "/health", "/login"})
OPEN_PREFIX = "/static/"
"""What needs no token: nothing of it says anything about the index."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes:
        hosts: names and addresses, without ports, under which this is served.
        any_address: also under every IP address: no name can be bound to it by somebody else.
        token: what a caller must show; None where everybody on this machine may ask.
    """

    hosts: frozenset[str]
    any_address: bool = False
    token: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, host: str, token: str | None, also: tuple[str, ...] = ()) -> Access:
        """For a server bound to ``host``; ``also`` are names that a proxy or a name server has for it."""
        named = {host.lower(), *(name.lower() for name in also)}
        if is_loopback(host):
            named |= {"localhost", "127.0.0.1", "::1"}
        else:
            named |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        return cls(frozenset(named), any_address=not is_loopback(host), token=token)

    def serves(self, host_header: str) -> bool:
        """Whether the ``Host`` of a request is one of ours."""
        name = host_of(host_header)
        return name is not None and (name in self.hosts or (self.any_address and _is_address(name)))

    def knows(self, shown: str | None) -> bool:
        """Whether the right token is shown; the time that this takes does not tell how much of it is right."""
        if self.token is None:
            return True
        return shown is not None and hmac.compare_digest(shown.encode(), self.token.encode())

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Let a request in.

        Raises:
            RefusedError: it is not let in, with the status and the reason.
        """
        if not self.serves(headers.get("host", "")):
            remedy = "Start hybrid-search serve with --allow-host NAME for a name of its own."
            raise RefusedError(403, "this name is not served here", remedy)
        _check_origin(method, headers)
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return
        if not self.knows(shown_token(headers)):
            remedy = "Send it as 'Authorization: Bearer TOKEN', or open the address that the command printed."
            raise RefusedError(401, "a token is needed", remedy)


def shown_token(headers: Mapping[str, str]) -> str | None:
    """The token of a header, or of the cookie that the page has."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_at(headers.get("host", "")))
    except CookieError:
        return None
    return None if cookie is None else cookie.value


def cookie_at(host_header: str) -> str:
    """The name of the cookie of this address: a browser gives those of one host to every port of it."""
    try:
        port = urlsplit(f"//{host_header}").port
    except ValueError:
        port = None
    return COOKIE if port is None else f"{COOKIE}_{port}"


def host_of(header: str) -> str | None:
    """The name or address of a ``Host`` header, without its port; None where it is none."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return name.lower() if name else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to ``host``."""
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _check_origin(method: str, headers: Mapping[str, str]) -> None:
    """No page of another host changes or loads anything; a link to the page may be followed."""
    site = headers.get("sec-fetch-site", "none")
    is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    origin = headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if (is_foreign and method not in SAFE_METHODS) or (site in {"cross-site", "same-site"} and not is_link):
        raise RefusedError(403, "the request comes from a page of another host", "Send it from the page itself.")
    if method not in SAFE_METHODS:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in {"application/json", "application/x-www-form-urlencoded"}:
            raise RefusedError(415, "the body is no JSON", "Send it with 'Content-Type: application/json'.")


def token_of_form(body: bytes) -> str:
    """The token of the login form."""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an ASGI scope by their lower-case names; of several the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
