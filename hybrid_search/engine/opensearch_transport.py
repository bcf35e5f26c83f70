"""Sends requests over opensearch-py's connections (2.8+ and 3.x): its pool, its TLS, its AWS signer.

``Transport.perform_request`` of opensearch-py hides the status and decodes by its own serializer, so its connection
classes and its pool of nodes are used directly: any status is an answer, and a node that cannot be reached is
passed over. These connections check no product header and so also serve to find out which engine answers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import opensearchpy
from opensearchpy import exceptions as vendor
from opensearchpy.connection_pool import ConnectionPool

from hybrid_search.addresses import Address
from hybrid_search.engine.access import Access
from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.bodies import decode
from hybrid_search.engine.bounds import BoundedPool, BoundedSession, of_an_engine, unreadable
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.engine.secrets import NO_SECRETS, Secrets
from hybrid_search.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    MissingExtraError,
    RequestRefusedError,
    SettingsError,
)

# The client logs every failure as a warning with its traceback; without a handler Python prints that on stderr, beside
# the error that this module raises for it.
logging.getLogger("opensearch").addHandler(logging.NullHandler())

EVERY_STATUS = range(100, 600)

VENDOR_ERRORS = (vendor.OpenSearchException, vendor.ImproperlyConfigured, vendor.OpenSearchDslException)
"""The roots of everything that opensearch-py raises."""


class _Discreet:
    """Logs what an engine says without our credentials; the client logs all of it at DEBUG."""

    secrets: ClassVar[Secrets] = NO_SECRETS

    def _log_request_response(self, body: Any, response: str | None) -> None:
        super()._log_request_response(body, self.secrets.removed(response or ""))  # type: ignore[misc]  # a mixin

    def _log_trace(self, *args: Any) -> None:
        """The last two arguments are the answer's text and its seconds."""
        *before, response, duration = args
        super()._log_trace(*before, self.secrets.removed(response or ""), duration)  # type: ignore[misc]  # a mixin


class _Bounded(_Discreet, opensearchpy.Urllib3HttpConnection):
    """Reads answers within bounds."""

    def _create_urllib3_pool(self) -> None:
        super()._create_urllib3_pool()
        self.pool = BoundedPool(self.pool, self.secrets)


class _BoundedSessions(_Discreet):
    """The same for both of the asynchronous classes."""

    session: Any

    async def _create_aiohttp_session(self) -> None:
        await super()._create_aiohttp_session()  # type: ignore[misc]  # a mixin before one of them
        self.session = BoundedSession(self.session, self.secrets)


class _AsyncBounded(_BoundedSessions, opensearchpy.AIOHttpConnection):
    pass


class _AsyncBoundedSigned(_BoundedSessions, opensearchpy.AsyncHttpConnection):
    pass


class OpenSearchTransport:
    """The synchronous one; safe to share between threads."""

    def __init__(self, access: Access) -> None:
        self.where = access.where
        self._secrets = access.secrets
        self._nodes = len(access.addresses)
        self._pool = _pool(_Bounded, access, _signer(access, asynchronous=False))

    def send(self, request: Request) -> Answer:
        failed: BaseException | None = None
        for _ in range(self._nodes):
            connection = self._pool.get_connection()
            try:
                status, headers, text = connection.perform_request(*_arguments(request), **_options(request))
            except VENDOR_ERRORS as error:
                failed = error
                if _is_failing_node(error):
                    self._pool.mark_dead(connection)
                if not _may_be_repeated(error):
                    break
            else:
                self._pool.mark_live(connection)
                return of_an_engine(self._secrets.removed_from_answer(_answer(status, headers, text)), self.where)
        told, cause = self._secrets.removed_from_failure(translated(failed, self.where), failed)
        raise told from cause

    def close(self) -> None:
        for connection, _ in self._pool.connection_opts:
            connection.close()


class AsyncOpenSearchTransport:
    """The asynchronous one, over aiohttp."""

    def __init__(self, access: Access) -> None:
        self.where = access.where
        self._secrets = access.secrets
        self._nodes = len(access.addresses)
        signer = _signer(access, asynchronous=True)
        connection = _AsyncBoundedSigned if signer else _AsyncBounded
        self._pool = _pool(connection, access, signer, _pinned(access))

    async def send(self, request: Request) -> Answer:
        failed: BaseException | None = None
        for _ in range(self._nodes):
            connection = self._pool.get_connection()
            try:
                status, headers, text = await connection.perform_request(*_arguments(request), **_options(request))
            except VENDOR_ERRORS as error:
                failed = error
                if _is_failing_node(error):
                    self._pool.mark_dead(connection)
                if not _may_be_repeated(error):
                    break
            else:
                self._pool.mark_live(connection)
                return of_an_engine(self._secrets.removed_from_answer(_answer(status, headers, text)), self.where)
        told, cause = self._secrets.removed_from_failure(translated(failed, self.where), failed)
        raise told from cause

    async def close(self) -> None:
        for connection, _ in self._pool.connection_opts:
            await connection.close()


def translated(error: BaseException | None, where: str) -> EngineError:
    """The error of the package's tree for any exception of opensearch-py."""
    return unreadable(error, where) or _translated(error, where)


def _translated(error: BaseException | None, where: str) -> EngineError:
    match error:
        case vendor.ConnectionTimeout():
            return EngineTimeoutError("no answer in time", where=where, remedy="Raise engine.timeout, or send less")
        case vendor.SSLError():
            return EngineUnreachableError(
                f"TLS failed: {error.error}", where=where, remedy="Check engine.ca_file, or the server's certificate"
            )
        case vendor.ConnectionError():
            remedy = "Check the address, or start a local node: hybrid-search up"
            return EngineUnreachableError(f"nothing answers: {error.error}", where=where, remedy=remedy)
        case vendor.TransportError() if isinstance(error.status_code, int):
            return error_for(failure(error.status_code, error.info or error.error), where)
        case _:
            return RequestRefusedError(f"{type(error).__name__}: {error}", where=where)


def _is_failing_node(error: Exception) -> bool:
    """Whether the next requests do better elsewhere for a while: the node cannot be reached, or does not answer."""
    if not isinstance(error, vendor.ConnectionError) or isinstance(error, vendor.SSLError):
        return False
    return unreadable(error, "") is None


def _may_be_repeated(error: Exception) -> bool:
    """Whether another node may get this request: only if it never arrived. A node that hangs may have done the work."""
    return _is_failing_node(error) and not isinstance(error, vendor.ConnectionTimeout)


def _arguments(request: Request) -> tuple[str, str, Mapping[str, str], bytes | None]:
    return request.method, request.path, request.params, request.body


def _options(request: Request) -> dict[str, Any]:
    return {
        "timeout": request.timeout,
        "ignore": EVERY_STATUS,
        "headers": {**request.headers, "content-type": request.content_type, "accept": "application/json"},
    }


def _answer(status: int, headers: Mapping[str, str], text: str) -> Answer:
    lower = {name.lower(): value for name, value in headers.items()}
    return Answer(status, decode(text, lower.get("content-type", "")), lower)


def _pool(connection: Any, access: Access, signer: Any, pinned: Mapping[str, Any] | None = None) -> ConnectionPool:
    tls = _tls(access) if pinned is None else pinned
    discreet = type(connection.__name__, (connection,), {"secrets": access.secrets})
    return ConnectionPool([(discreet(**_node(address, access, signer, tls)), {}) for address in access.addresses])


def _node(address: Address, access: Access, signer: Any, tls: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "url_prefix": address.prefix,
        "headers": dict(access.headers),
        "http_auth": signer,
        "http_compress": access.compress,
        "pool_maxsize": access.connections,
        "timeout": access.timeout,
    }
    return options if address.scheme == "http" else {**options, "use_ssl": True, **tls}


def _tls(access: Access) -> dict[str, Any]:
    """A pinned fingerprint takes the place of a chain of trust."""
    tls = access.tls
    return {
        "verify_certs": tls.verify and tls.fingerprint is None,
        "ssl_show_warn": False,
        "ca_certs": tls.ca_file,
        "ssl_assert_fingerprint": tls.fingerprint,
        "client_cert": tls.client_cert,
        "client_key": tls.client_key,
    }


def _pinned(access: Access) -> dict[str, Any] | None:
    """A fingerprint as aiohttp takes it: in the place of a context, for the client's own way there is deprecated."""
    if access.tls.fingerprint is None:
        return None
    from aiohttp import Fingerprint

    return {"ssl_context": Fingerprint(bytes.fromhex(access.tls.fingerprint))}


def _signer(access: Access, *, asynchronous: bool) -> Any:
    if access.aws_region is None:
        return None
    try:
        import boto3
    except ImportError:
        raise MissingExtraError("AWS SigV4", "aws") from None
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise SettingsError(
            "no AWS credentials",
            where="engine.aws_region",
            remedy="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret",
        )
    service = "aoss" if access.addresses[0].host.endswith(".aoss.amazonaws.com") else "es"
    signer = opensearchpy.AWSV4SignerAsyncAuth if asynchronous else opensearchpy.Urllib3AWSV4SignerAuth
    return signer(credentials, access.aws_region, service)
