"""Connections: which engine answers, which dialect it speaks, and requests whose failures are the package's errors."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from types import TracebackType
from typing import Any, Self

from hybrid_search.engine import access as access_to
from hybrid_search.engine import elasticsearch, opensearch
from hybrid_search.engine.access import Access
from hybrid_search.engine.answers import error_for, failure
from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.engine.protocols import Answer, AsyncTransport, Dialect, Request, Transport
from hybrid_search.engine.templates import parse_version
from hybrid_search.errors import (
    ClientVersionError,
    LocalNodeError,
    RequestRefusedError,
    SettingsError,
    UnsupportedError,
)
from hybrid_search.settings import EngineSettings

KINDS = ("opensearch", "elasticsearch")
URL_VARIABLE = "HYBRID_SEARCH_URL"
SHOWN = 80
"""Characters of an answer that goes into the message because no engine gives it."""

_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,3}(-|$)")

ROOT = Request.json("GET", "/")
MODULES = Request.json("GET", "/_nodes/_local/plugins", filter_path="nodes.*.modules.name")


@dataclass(frozen=True, slots=True)
class Connection:
    """A transport and the dialect of the server behind it; safe to share between threads.

    ``send`` returns the decoded body of an answer below 400 and raises an :class:`EngineError` for any other.
    """

    transport: Transport
    dialect: Dialect

    @property
    def where(self) -> str:
        return self.transport.where

    def send(self, request: Request) -> Any:
        return checked(self.transport.send(request), request, self.where)

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class AsyncConnection:
    """The same with awaitables."""

    transport: AsyncTransport
    dialect: Dialect

    @property
    def where(self) -> str:
        return self.transport.where

    async def send(self, request: Request) -> Any:
        return checked(await self.transport.send(request), request, self.where)

    async def close(self) -> None:
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def connect(settings: EngineSettings | None = None) -> Connection:
    """A connection to the cluster of ``settings``; without a URL to ``HYBRID_SEARCH_URL``, else to the local node.

    Raises:
        SettingsError: contradictory or incomplete settings.
        LocalNodeError: no URL and no local node.
        ClientVersionError: elasticsearch-py is newer than the server.
        UnsupportedError: neither engine answers, or one too old.
        EngineError: the server cannot be reached, or refuses the credentials.
    """
    from hybrid_search.engine.opensearch_transport import OpenSearchTransport

    settings, access = _resolved(settings)
    probe = OpenSearchTransport(access)
    try:
        root = checked(probe.send(ROOT), ROOT, probe.where)
        dialect = dialect_of(root, settings.kind, access.where)
        if isinstance(dialect, OpenSearchDialect):
            return Connection(probe, dialect)
        refuse_aws(access)
        dialect = ElasticsearchDialect(dialect.version, painless=has_painless(probe.send(MODULES)))
    except BaseException:
        probe.close()
        raise
    probe.close()
    from hybrid_search.engine.elasticsearch_transport import ElasticsearchTransport

    return Connection(ElasticsearchTransport(access), dialect)


async def connect_async(settings: EngineSettings | None = None) -> AsyncConnection:
    """The same, asynchronously."""
    from hybrid_search.engine.opensearch_transport import AsyncOpenSearchTransport

    settings, access = _resolved(settings)
    probe = AsyncOpenSearchTransport(access)
    try:
        root = checked(await probe.send(ROOT), ROOT, probe.where)
        dialect = dialect_of(root, settings.kind, access.where)
        if isinstance(dialect, OpenSearchDialect):
            return AsyncConnection(probe, dialect)
        refuse_aws(access)
        dialect = ElasticsearchDialect(dialect.version, painless=has_painless(await probe.send(MODULES)))
    except BaseException:
        await probe.close()
        raise
    await probe.close()
    from hybrid_search.engine.elasticsearch_transport import AsyncElasticsearchTransport

    return AsyncConnection(AsyncElasticsearchTransport(access), dialect)


class AnswerBody(dict[str, Any]):
    """The object that an engine answered; a key that every engine's answer has and this one lacks is an EngineError."""

    def __init__(self, body: Mapping[str, Any], asked: str) -> None:
        super().__init__(body)
        self._asked = asked

    def __missing__(self, key: str) -> Any:
        raise foreign(dict(self), self._asked)


def foreign(body: Any, where: str) -> RequestRefusedError:
    """The error for an answer that no engine gives, with its beginning."""
    begin = (body if isinstance(body, str) else reprlib.repr(body))[:SHOWN]
    what = f"the answer is not that of a search engine: {begin!r}"
    return RequestRefusedError(what, where=where, remedy="Check the address, and any proxy before it")


def checked(answer: Answer, request: Request, where: str) -> Any:
    """The body of a good answer; raises the :class:`EngineError` of any other."""
    asked = f"{where} {request.method} {request.path}"
    if answer.status >= 400:
        raise error_for(failure(answer.status, answer.body), asked)
    if request.method == "HEAD":
        return None
    if not isinstance(answer.body, dict):
        raise foreign(answer.body, asked)
    return AnswerBody(answer.body, asked)


def dialect_of(root: Any, kind: str | None, where: str) -> OpenSearchDialect | ElasticsearchDialect:
    """The dialect of the server whose ``GET /`` answered ``root``.

    Raises:
        UnsupportedError: not one of the two engines, another than ``kind``, or a version before 2.11 / 8.11.
        ClientVersionError: elasticsearch-py is newer than the server.
    """
    version = root.get("version") if isinstance(root, Mapping) else None
    if not isinstance(version, Mapping) or not _VERSION.match(str(version.get("number"))):
        raise foreign(root, where)
    engine = "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
    if kind is not None and kind != engine:
        raise UnsupportedError(f"this is {engine}, engine.kind says {kind}", where=where, remedy="Change engine.kind")
    number = parse_version(str(version["number"]))
    oldest = opensearch.OLDEST if engine == "opensearch" else elasticsearch.OLDEST
    if number < oldest:
        wanted = ".".join(map(str, oldest[:2]))
        raise UnsupportedError(f"{engine} {version['number']} is too old", where=where, remedy=f"Use {wanted} or newer")
    if engine == "opensearch":
        return OpenSearchDialect(number)
    check_client(installed_version("elasticsearch"), number, where)
    return ElasticsearchDialect(number)


def check_client(client: str, server: tuple[int, int, int], where: str) -> None:
    """Refuses an elasticsearch-py of a newer major version than the server, which the server would refuse anyway."""
    if parse_version(client)[0] > server[0]:
        raise ClientVersionError(
            f"elasticsearch-py {client} cannot speak to Elasticsearch {'.'.join(map(str, server))}",
            where=where,
            remedy=f"Run: pip install 'elasticsearch>={server[0]},<{server[0] + 1}'",
        )


def refuse_aws(access: Access) -> None:
    """Elasticsearch knows no AWS signatures."""
    if access.aws_region is not None:
        raise UnsupportedError("AWS SigV4 is for OpenSearch; this is Elasticsearch", where=access.where)


def has_painless(answer: Answer) -> bool:
    """Whether the server runs scripts; assumed where the user may not look."""
    if answer.status >= 400 or not isinstance(answer.body, Mapping):
        return True
    nodes = answer.body.get("nodes", {}).values()
    return any(module["name"] == "lang-painless" for node in nodes for module in node.get("modules", ()))


def is_local(connection: Connection) -> bool:
    """Whether the cluster is a node that this package runs on this machine."""
    from hybrid_search.engine.local import runs_at

    return runs_at(connection.where.split(","))


def _resolved(settings: EngineSettings | None) -> tuple[EngineSettings, Access]:
    settings = settings or EngineSettings()
    if settings.kind not in {None, *KINDS}:
        raise SettingsError(
            f"unknown engine {settings.kind!r}", where="engine.kind", remedy=f"Use {' or '.join(KINDS)}"
        )
    url = settings.url or ("" if settings.cloud_id else os.environ.get(URL_VARIABLE) or _local_url())
    return settings, access_to.access(settings, url)


def _local_url() -> str:
    from hybrid_search.engine.local import running_url

    url = running_url()
    if url is None:
        raise LocalNodeError("no local node is running", remedy="Start one with: hybrid-search up, or give --url")
    return url
