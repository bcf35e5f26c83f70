"""Images at addresses that records name: asked only where that is allowed, and never inside one's own networks.

Whoever writes a record could else have this machine ask what only it can reach (server-side request forgery). A name is
looked up once, all that it stands for is checked, and the connection goes to the address that was checked, so that a
name which changes in between (DNS rebinding) leads nowhere. Redirects are not followed, and nothing is sent along.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

import urllib3

from hybrid_search.errors import RecordError
from hybrid_search.settings.images import ImageSettings

PORTS = {"http": 80, "https": 443}
CHUNK = 64 << 10
NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of version 6 whose last 32 bits are one of version 4 (RFC 6052)."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetched(url: str, settings: ImageSettings, where: str) -> bytes:
    """The bytes at an address; at most ``images.max_bytes``, within ``images.timeout`` in all.

    Raises:
        RecordError: addresses are not asked, this one may not be, or it does not answer with a file.
    """
    parts = _parts(url, where)
    until = time.monotonic() + settings.timeout
    address = _checked_address(parts, settings, where)
    place = f"{parts.scheme}://{parts.hostname}{parts.path}"
    pool = _pool(parts, address, settings.timeout)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        answer = pool.request(
            "GET",
            target,
            headers={"Host": parts.netloc, "Accept": "image/*", "Accept-Encoding": "identity"},
            redirect=False,
            retries=False,
            preload_content=False,
        )
        return _read(answer, settings, until, place, where)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        kind = type(getattr(error, "reason", None) or error).__name__
        raise RecordError(f"the image at {place} does not answer ({kind})", where=where) from None
    finally:
        pool.close()


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the open internet, also where one of version 6 stands for one of version 4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _parts(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, sound = urlsplit(""), False
    if not sound or "@" in parts.netloc or any(ord(one) < 33 or ord(one) == 127 for one in url) or not url.isascii():
        raise RecordError(
            "the address of the image is none that is asked",
            where=where,
            remedy="Write it as https://host/path, percent-encoded and without a login",
        )
    return parts


def _checked_address(parts: SplitResult, settings: ImageSettings, where: str) -> str:
    """The first address that the host stands for, once all of them are seen to be public."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise RecordError(f"the image's host {host} is not known", where=where, remedy="Check the address") from None
    if not settings.private_addresses and not all(is_public(ipaddress.ip_address(one)) for one in found):
        raise RecordError(
            f"the image's host {host} is of this machine or a private network, which is not asked",
            where=where,
            remedy="Set images.private_addresses = true if all who write records may have it asked",
        )
    return found[0]


def _pool(parts: SplitResult, address: str, timeout: float) -> Any:
    """Connections to an address, by which a certificate must be one of the host's."""
    port = parts.port or PORTS[parts.scheme]
    limit = urllib3.Timeout(total=timeout)
    if parts.scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, timeout=limit)
    name = parts.hostname
    return urllib3.HTTPSConnectionPool(
        address, port, timeout=limit, cert_reqs="CERT_REQUIRED", server_hostname=name, assert_hostname=name
    )


def _read(answer: Any, settings: ImageSettings, until: float, place: str, where: str) -> bytes:
    if answer.status != 200:
        answer.close()
        moved = ", a redirect, which is not followed" if 300 <= answer.status < 400 else ""
        raise RecordError(f"the image at {place} answers {answer.status}{moved}", where=where, remedy="Check it")
    data = bytearray()
    try:
        while part := answer.read1(CHUNK, decode_content=False):
            data += part
            if len(data) > settings.max_bytes:
                what = f"the image at {place} has more than {settings.max_bytes:,} bytes"
                raise RecordError(what, where=where, remedy="Make it smaller, or raise images.max_bytes")
            if time.monotonic() > until:
                raise RecordError(f"the image at {place} took more than {settings.timeout:g} s", where=where)
    finally:
        answer.close()
    return bytes(data)
