"""Addresses of a cluster: parsed once, and shown without the credentials that they may hold.

What cannot be parsed may be a password in the wrong place, so no error repeats it: ``bob:secret@host``, one slash too
few, an ``@``, ``/`` or ``,`` in a password. Only a bare ``host:port``, where nothing of the setting holds an ``@``,
is named as it was given.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from hybrid_search.errors import SettingsError

DEFAULT_PORTS = {"http": 9200, "https": 443}
MASK = "***"
KEY = "engine.url"

_BARE = re.compile(r"[\w.-]+(:\d{1,5})?")
_HOST_NAME = re.compile(r"[\w.-]+")
_REMEDY = "Write it as https://host:port"
_ENCODE = "Give user and password as engine.user and engine.password, or percent-encode them: @ is %40, / is %2F"


@dataclass(frozen=True, slots=True)
class Address:
    """One node, without credentials."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Located:
    """The nodes that a URL setting names, each once, and the login that it holds, which no ``repr`` shows."""

    addresses: tuple[Address, ...]
    shown: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def located(url: str) -> Located:
    """The addresses of a URL setting, separated by commas, and their one login.

    Raises:
        SettingsError: a part that is no address, or two logins; the message repeats nothing that may be a secret.
    """
    parts = [_split(part.strip(), secretive="@" in url) for part in url.split(",")]
    logins = {(part.username, part.password) for part in parts if "@" in part.netloc}
    user, password = parts[0].username, parts[0].password
    if logins - {(user, password)}:
        raise SettingsError("a later address has another login than the first", where=KEY, remedy=_ENCODE)
    return Located(
        addresses=tuple(dict.fromkeys(map(_address, parts))),
        shown=",".join(map(_shown, parts)),
        user=unquote(user) if user else None,
        password=unquote(password) if password else None,
    )


def without_credentials(url: str) -> str:
    """The addresses of a URL setting as they were given, without ``user:password@``; ``***`` where it is invalid."""
    return masked(url).replace(f"{MASK}@", "")


def masked(url: str) -> str:
    """The same with ``***@`` in the place of ``user:password@``."""
    try:
        return located(url).shown
    except SettingsError:
        return MASK


def _split(text: str, *, secretive: bool) -> SplitResult:
    if re.search(r"[\s\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", text):  # urlsplit drops some of them without a word
        raise SettingsError("the address holds a space, a line break or another character that none has", where=KEY)
    if not re.match(r"https?://", text, re.IGNORECASE):
        got = text if _BARE.fullmatch(text) and not secretive else MASK
        raise SettingsError(f"must begin with http:// or https://, got {got!r}", where=KEY, remedy=_REMEDY)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not _is_host(host) or port == 0:
        remedy = _ENCODE if secretive else _REMEDY
        raise SettingsError("the address has no host, or a port that is no number", where=KEY, remedy=remedy)
    if "@" in parts.path or parts.query or parts.fragment or "?" in text or "#" in text:
        what = "the address has a part that none has: an @ after a slash, a ? or a #"
        raise SettingsError(what, where=KEY, remedy=_ENCODE)
    return parts


def _is_host(host: str) -> bool:
    if ":" not in host:
        return bool(_HOST_NAME.fullmatch(host))
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def _address(parts: SplitResult) -> Address:
    return Address(
        parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/")
    )


def _shown(parts: SplitResult) -> str:
    login, at, host = parts.netloc.rpartition("@")
    del login
    return f"{parts.scheme}://{MASK + at if at else ''}{host}{parts.path}"
