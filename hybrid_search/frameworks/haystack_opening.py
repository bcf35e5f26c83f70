"""What a document store of Haystack is opened with, and the clients that it opens when they are first used."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from haystack.utils import Secret

from hybrid_search.addresses import without_credentials
from hybrid_search.documents import DocumentClient
from hybrid_search.encode.protocols import Reranker, TextEncoder
from hybrid_search.engine import Connection, connect
from hybrid_search.errors import SettingsError
from hybrid_search.frameworks.haystack_filters import TERMS
from hybrid_search.read.settings_file import load_settings
from hybrid_search.search import SearchClient
from hybrid_search.settings import MASKED, NO_MODEL, DenseSettings, Settings, SparseSettings

SOURCE = "haystack"
"""The source of what a store writes; it does not overwrite what others have loaded."""

PRECOMPUTED = "precomputed"

Tables = Mapping[str, Any]


def settings_of(
    given: Settings | Tables | None, url: str | None, embedding_dim: int | None, *, sparse_embeddings: bool
) -> Settings:
    """Settings of an index that metadata of any shape are filtered in.

    Raises:
        SettingsError: a key that is none, a value of another type, or embeddings beside a model for the same leg.
    """
    settings = given if isinstance(given, Settings) else _read(given or {})
    if url is not None:
        settings = msgspec.structs.replace(settings, engine=msgspec.structs.replace(settings.engine, url=url))
    dense, sparse = settings.dense, settings.sparse
    if embedding_dim is not None:
        dense = DenseSettings(model=PRECOMPUTED, dimension=embedding_dim)
        sparse = SparseSettings(model=NO_MODEL) if sparse == SparseSettings() else sparse
    if sparse_embeddings:
        sparse = SparseSettings(model=PRECOMPUTED)
        dense = DenseSettings(model=NO_MODEL) if embedding_dim is None and dense == DenseSettings() else dense
    keywords = (*settings.documents.keyword, TERMS)
    documents = msgspec.structs.replace(settings.documents, keyword=keywords)
    return msgspec.structs.replace(settings, documents=documents, dense=dense, sparse=sparse)


def _read(tables: Tables) -> Settings:
    """What differs from the defaults and the environment."""
    present = msgspec.to_builtins(load_settings())
    try:
        for section, values in tables.items():
            present[section] = {**present.get(section, {}), **values} if isinstance(values, Mapping) else values
        return msgspec.convert(present, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the settings cannot be read: {error}", where="HybridDocumentStore") from None


def told(given: Settings | Tables | None, url: str | None) -> dict[str, Any] | None:
    """The settings as a file of a pipeline may hold them: what differs from the defaults.

    Raises:
        SettingsError: a secret in them, or in the address.
    """
    if url is not None and without_credentials(url) != url:
        raise SettingsError("the url holds a login", where="HybridDocumentStore", remedy="Give user and password")
    if given is None:
        return None
    tables = _changed(given) if isinstance(given, Settings) else {name: _copied(one) for name, one in given.items()}
    engine = tables.get("engine") or {}
    if isinstance(address := engine.get("url"), str):
        told(None, address)
    for section in tables.values():
        secret = next((name for name in section if name in MASKED), None) if isinstance(section, dict) else None
        if secret is not None:
            remedy = f"Give {secret}=Secret.from_env_var(...) to the store, or an environment variable"
            raise SettingsError(f"the settings hold a {secret}", where="HybridDocumentStore", remedy=remedy)
    return tables


def _copied(values: Any) -> Any:
    return dict(values) if isinstance(values, Mapping) else values


def _changed(settings: Settings) -> dict[str, Any]:
    """The tables of settings, without what is as it is by default."""
    usual: dict[str, Any] = msgspec.to_builtins(Settings())
    tables: dict[str, dict[str, Any]] = msgspec.to_builtins(settings)
    found = {
        name: {key: value for key, value in table.items() if value != usual[name].get(key)}
        for name, table in tables.items()
    }
    return {name: table for name, table in found.items() if table}


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks the cluster; the secrets are resolved when a connection is opened."""

    user: str | None
    password: Secret | None
    api_key: Secret | None
    bearer: Secret | None

    def resolved(self) -> dict[str, Any]:
        """The settings of the engine that differ; ValueError where an environment variable is not set."""
        secrets = {"password": self.password, "api_key": self.api_key, "bearer": self.bearer}
        values = {name: None if secret is None else secret.resolve_value() for name, secret in secrets.items()}
        return {name: value for name, value in {"user": self.user, **values}.items() if value is not None}


class Access:
    """The clients of one index over one connection, each opened when it is first used."""

    def __init__(
        self, index: str, settings: Settings, login: Login, encoder: TextEncoder | None, reranker: Reranker | None
    ) -> None:
        self.index = index
        self.settings = settings
        self._login = login
        self._encoder = encoder
        self._reranker = reranker
        self._opening = threading.RLock()
        self._connection: Connection | None = None
        self._documents: DocumentClient | None = None
        self._search: SearchClient | None = None

    @property
    def connection(self) -> Connection:
        """The cluster; raises as :func:`hybrid_search.connect` does."""
        with self._opening:
            if self._connection is None:
                engine = self.settings.engine
                self._connection = connect(msgspec.structs.replace(engine, **self._login.resolved()))
            return self._connection

    @property
    def documents(self) -> DocumentClient:
        """The documents of the index."""
        with self._opening:
            if self._documents is None:
                options: dict[str, Any] = {"settings": self.settings, "encoder": self._encoder, "source": SOURCE}
                self._documents = DocumentClient(self.index, connection=self.connection, **options)
            return self._documents

    @property
    def search(self) -> SearchClient:
        """The searches of the index; raises IndexMissingError until it is there."""
        with self._opening:
            if self._search is None:
                models: dict[str, Any] = {"encoder": self._encoder, "reranker": self._reranker}
                settings = self.settings
                self._search = SearchClient(self.index, settings=settings, connection=self.connection, **models)
            return self._search

    def forget(self) -> None:
        """Close the search client: the index that it was opened for is no more."""
        with self._opening:
            if self._search is not None:
                self._search.close()
            self._search = None

    def close(self) -> None:
        """Close what is open; what is used afterwards is opened again."""
        with self._opening:
            self.forget()
            if self._connection is not None:
                self._connection.close()
            self._connection = self._documents = None
