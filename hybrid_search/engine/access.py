"""Where the cluster is and with what credentials: settings turned into addresses, a header and TLS options.

Both vendors' clients are given the same header, so that one place knows how secrets travel; none of them is in a
``repr`` or in an error, even where the answer of an engine, or of a proxy before it, repeats the header. Credentials
come from the URL, the settings (file, environment, flags) or the keyring.
"""

from __future__ import annotations

import re
import warnings
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hybrid_search.addresses import Address, Located, located
from hybrid_search.engine.secrets import NO_SECRETS, Secrets
from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.settings import EngineSettings

KEYRING_SERVICE = "hybrid-search"


class InsecureTlsWarning(UserWarning):
    """TLS certificates are not verified."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server proves itself, and how this client does."""

    verify: bool = True
    ca_file: str | None = None
    fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """All that a transport needs. ``headers`` carry the secret and are left out of the ``repr``."""

    addresses: tuple[Address, ...]
    tls: Tls
    headers: Mapping[str, str] = field(repr=False)
    aws_region: str | None
    compress: bool
    connections: int
    timeout: float

    secrets: Secrets = field(default=NO_SECRETS, repr=False)

    @property
    def where(self) -> str:
        """The addresses without credentials, for messages."""
        return ",".join(map(str, self.addresses))


def access(settings: EngineSettings, url: str) -> Access:
    """The addresses and credentials of ``settings``, with ``url`` in place of an absent ``settings.url``.

    Raises:
        SettingsError: an address without scheme or host, contradictory credentials, or a file that is not there.
        MissingExtraError: the keyring is needed and not installed.
    """
    found = located(_cloud_url(settings.cloud_id) if settings.cloud_id else url)
    login = _login(settings, found)
    headers = _headers(settings, login)
    if headers or settings.aws_region is not None:
        _refuse_mixed(found.addresses)
    return Access(
        addresses=found.addresses,
        tls=_tls(settings),
        headers=headers,
        aws_region=settings.aws_region,
        compress=settings.compress,
        connections=settings.connections,
        timeout=settings.timeout,
        secrets=Secrets.of(
            *headers.values(), *(login or ())[1:], settings.api_key or "", settings.bearer or "", found.password or ""
        ),
    )


def _cloud_url(cloud_id: str) -> str:
    from elastic_transport.client_utils import parse_cloud_id

    try:
        address = parse_cloud_id(cloud_id).es_address
    except ValueError:
        address = None
    if not address or not address[0]:
        raise SettingsError("not a cloud id", where="engine.cloud_id", remedy="Copy it from the deployment's page")
    host, port = address
    return f"https://{host}:{port}"


def _refuse_mixed(addresses: tuple[Address, ...]) -> None:
    """Credentials that TLS protects on the way to one node go to no other in the clear."""
    plain = [address for address in addresses if address.scheme == "http"]
    if plain and len(plain) < len(addresses):
        raise SettingsError(
            f"{plain[0]} would get the credentials without TLS", where="engine.url", remedy="Use https:// for all nodes"
        )


def _login(settings: EngineSettings, found: Located) -> tuple[str, str] | None:
    """User and password: of the settings, else of the URL, the password else of the keyring."""
    user = settings.user or found.user
    if user is None:
        if settings.password is not None:
            raise SettingsError("a password without a user", where="engine.password", remedy="Set engine.user")
        return None
    in_url = (
        found.password if settings.user in {None, found.user} else None
    )  # that of another user is nobody's business
    password = settings.password or in_url
    return user, password if password is not None else _keyring_password(user, found.addresses[0])


def _keyring_password(user: str, address: Address) -> str:
    try:
        import keyring
    except ImportError:
        raise MissingExtraError(f"user {user!r} without a password", "keyring") from None
    entry = f"{user}@{address.host}"
    try:
        password = keyring.get_password(KEYRING_SERVICE, entry)
    except Exception as error:  # any backend of any platform; most have errors of their own
        raise SettingsError(
            f"no password for user {user!r}, and the keyring cannot be asked ({type(error).__name__})",
            where="engine.password",
            remedy="Set HYBRID_SEARCH_ENGINE_PASSWORD",
        ) from error
    if password is None:
        raise SettingsError(
            f"no password for user {user!r}",
            where="engine.password",
            remedy=f"Set HYBRID_SEARCH_ENGINE_PASSWORD, or run: keyring set {KEYRING_SERVICE} {entry}",
        )
    return str(password)


def _headers(settings: EngineSettings, login: tuple[str, str] | None) -> dict[str, str]:
    given: dict[str, Any] = {
        "user": login,
        "api_key": settings.api_key,
        "bearer": settings.bearer,
        "aws_region": settings.aws_region,
    }
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise SettingsError(f"two ways to log in: {' and '.join(named)}", where="engine", remedy="Keep one of them")
    if login:
        return {"authorization": f"Basic {_base64(':'.join(login))}"}
    if settings.api_key:
        key = _base64(settings.api_key) if ":" in settings.api_key else settings.api_key
        return {"authorization": f"ApiKey {key}"}
    return {"authorization": f"Bearer {settings.bearer}"} if settings.bearer else {}


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _tls(settings: EngineSettings) -> Tls:
    for name in ("ca_file", "client_cert", "client_key"):
        value = getattr(settings, name)
        if value is not None and not Path(value).is_file():
            raise SettingsError(f"no such file: {value}", where=f"engine.{name}")
    if settings.ca_file and settings.ca_fingerprint:
        raise SettingsError("ca_file and ca_fingerprint", where="engine", remedy="Keep one of them")
    if not settings.verify_tls:
        if settings.ca_file or settings.ca_fingerprint:
            raise SettingsError("verify_tls = false contradicts ca_file or ca_fingerprint", where="engine.verify_tls")
        warnings.warn(
            "verify_tls = false: anybody between here and the cluster can read and change everything",
            InsecureTlsWarning,
            stacklevel=4,
        )
    return Tls(
        settings.verify_tls,
        settings.ca_file,
        _fingerprint(settings.ca_fingerprint),
        settings.client_cert,
        settings.client_key,
    )


def _fingerprint(text: str | None) -> str | None:
    """64 hexadecimal digits; colons and spaces between them, as tools print it, are dropped."""
    if text is None:
        return None
    digits = re.sub(r"[:\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise SettingsError("not a SHA-256 in hexadecimal", where="engine.ca_fingerprint")
    return digits
