"""Sends requests over elasticsearch-py (8.11+ and 9.x), which negotiates versions and checks the product."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import elastic_transport
import elasticsearch
from elastic_transport import NodeConfig, Serializer

from hybrid_search.engine.access import Access
from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.bodies import decode
from hybrid_search.engine.bounds import BoundedPool, BoundedSession, of_an_engine, unreadable
from hybrid_search.engine.protocols import JSON, NDJSON, Answer, Request
from hybrid_search.engine.secrets import NO_SECRETS, Secrets
from hybrid_search.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    RequestRefusedError,
    UnsupportedError,
)

NOT_OK = range(300, 600)

VENDOR_ERRORS = (elastic_transport.TransportError, elastic_transport.ApiError)
"""The roots of everything that elasticsearch-py raises."""


class PassThrough(Serializer):
    """Bodies are bytes already; answers are decoded by orjson, and never raise."""

    mimetype: ClassVar[str] = JSON

    def dumps(self, data: Any) -> bytes:
        body: bytes = data
        return body

    def loads(self, data: bytes) -> Any:
        return decode(data, JSON)


class AnyText(PassThrough):
    """Whatever is not JSON, as text."""

    mimetype: ClassVar[str] = "text/*"

    def loads(self, data: bytes) -> Any:
        return decode(data, "text/plain")


class _Discreet:
    """Logs what an engine says without our credentials; the client logs all of it at DEBUG."""

    secrets: ClassVar[Secrets] = NO_SECRETS

    def _log_request(self, *args: Any, response: bytes | None = None, **more: Any) -> None:
        if response and self.secrets.pattern is not None:
            response = self.secrets.removed(response.decode("utf-8", "replace")).encode()
        super()._log_request(*args, response=response, **more)  # type: ignore[misc]  # a mixin


class _Bounded(_Discreet, elastic_transport.Urllib3HttpNode):
    """Reads answers within bounds."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool: Any = BoundedPool(self.pool, self.secrets)


class _AsyncBounded(_Discreet, elastic_transport.AiohttpHttpNode):
    """The same over aiohttp."""

    def _create_aiohttp_session(self) -> None:
        super()._create_aiohttp_session()
        self.session: Any = BoundedSession(self.session, self.secrets)


class ElasticsearchTransport:
    """The synchronous one; safe to share between threads."""

    def __init__(self, access: Access) -> None:
        self.where = access.where
        self._secrets = access.secrets
        self._client = elasticsearch.Elasticsearch(**_options(access, _Bounded)).options(ignore_status=NOT_OK)
        self._by_timeout: dict[float | None, elasticsearch.Elasticsearch] = {None: self._client}

    def send(self, request: Request) -> Answer:
        try:
            response = self._patient(request.timeout).perform_request(
                request.method, request.path, **_arguments(request)
            )
        except VENDOR_ERRORS as error:
            told, cause = self._secrets.removed_from_failure(translated(error, self.where), error)
            raise told from cause
        return of_an_engine(self._secrets.removed_from_answer(_answer(request, response)), self.where)

    def close(self) -> None:
        self._client.close()

    def _patient(self, timeout: float | None) -> elasticsearch.Elasticsearch:
        """The client with this timeout: options() is too slow to call for every request."""
        timeout = rounded(timeout)
        if timeout not in self._by_timeout:
            self._by_timeout[timeout] = self._client.options(request_timeout=timeout)
        return self._by_timeout[timeout]


class AsyncElasticsearchTransport:
    """The asynchronous one, over aiohttp."""

    def __init__(self, access: Access) -> None:
        self.where = access.where
        self._secrets = access.secrets
        self._client = elasticsearch.AsyncElasticsearch(**_options(access, _AsyncBounded)).options(ignore_status=NOT_OK)
        self._by_timeout: dict[float | None, elasticsearch.AsyncElasticsearch] = {None: self._client}

    async def send(self, request: Request) -> Answer:
        client = self._patient(request.timeout)
        try:
            response = await client.perform_request(request.method, request.path, **_arguments(request))
        except VENDOR_ERRORS as error:
            told, cause = self._secrets.removed_from_failure(translated(error, self.where), error)
            raise told from cause
        return of_an_engine(self._secrets.removed_from_answer(_answer(request, response)), self.where)

    async def close(self) -> None:
        await self._client.close()

    def _patient(self, timeout: float | None) -> elasticsearch.AsyncElasticsearch:
        timeout = rounded(timeout)
        if timeout not in self._by_timeout:
            self._by_timeout[timeout] = self._client.options(request_timeout=timeout)
        return self._by_timeout[timeout]


def rounded(timeout: float | None) -> float | None:
    """Rounded down to two digits: what is left of a search's time is never twice the same, and clients are kept."""
    if timeout is None or timeout <= 0 or not math.isfinite(timeout):
        return timeout
    scale: float = 10.0 ** (1 - math.floor(math.log10(timeout)))
    return math.floor(timeout * scale) / scale


def translated(error: Exception, where: str) -> EngineError:
    """The error of the package's tree for any exception of elasticsearch-py."""
    return unreadable(error, where) or _translated(error, where)


def _translated(error: Exception, where: str) -> EngineError:
    match error:
        case elasticsearch.UnsupportedProductError():
            return UnsupportedError("the server is not Elasticsearch", where=where, remedy="Check engine.kind")
        case elastic_transport.ApiError():
            return error_for(failure(error.meta.status, error.body), where)
        case elastic_transport.ConnectionTimeout():
            return EngineTimeoutError("no answer in time", where=where, remedy="Raise engine.timeout, or send less")
        case elastic_transport.TlsError():
            return EngineUnreachableError(
                f"TLS failed: {error.message}", where=where, remedy="Check engine.ca_file, or the server's certificate"
            )
        case elastic_transport.ConnectionError():
            return EngineUnreachableError(
                f"nothing answers: {error.message}", where=where, remedy="Check the address, and that the server runs"
            )
        case _:
            return RequestRefusedError(f"{type(error).__name__}: {error}", where=where)


def _arguments(request: Request) -> dict[str, Any]:
    headers = {**request.headers, "accept": JSON}
    if request.body is not None:
        headers["content-type"] = request.content_type
    return {"params": dict(request.params), "headers": headers, "body": request.body}


def _answer(request: Request, response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.meta.headers.items()}
    return Answer(response.meta.status, None if request.method == "HEAD" else response.body, headers)


def _options(access: Access, node: type[elastic_transport.BaseNode]) -> dict[str, Any]:
    """Constructor arguments. Retries are ours, but for another node when one cannot be reached."""
    return {
        "node_class": type(node.__name__, (node,), {"secrets": access.secrets}),
        "hosts": [str(address) for address in access.addresses],
        "headers": dict(access.headers),
        "http_compress": access.compress,
        "connections_per_node": access.connections,
        "request_timeout": access.timeout,
        "max_retries": len(access.addresses) - 1,
        "retry_on_status": (),
        "retry_on_timeout": False,
        "serializers": {JSON: PassThrough(), NDJSON: PassThrough(), "text/*": AnyText(), "application/*": AnyText()},
        **(_tls(access) if any(address.scheme == "https" for address in access.addresses) else {}),
    }


def _tls(access: Access) -> dict[str, Any]:
    tls = access.tls
    given = {
        "ca_certs": tls.ca_file,
        "ssl_assert_fingerprint": tls.fingerprint,
        "client_cert": tls.client_cert,
        "client_key": tls.client_key,
    }
    # The client takes "not given" by absence, not by None.
    return {"verify_certs": tls.verify, "ssl_show_warn": False} | {k: v for k, v in given.items() if v is not None}
