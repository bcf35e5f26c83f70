"""The cluster of a source that is an index."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from hybrid_search.errors import SettingsError
from hybrid_search.settings.engine import EngineSettings
from hybrid_search.settings.section import Section

TARGET, SECTION = "engine", "source"


class SourceSettings(Section, frozen=True):
    """Where sources ``es:NAME`` and ``os:NAME`` are, with credentials of their own; keys as those of ``engine``.

    Without ``url`` and ``cloud_id`` they are in the cluster of ``engine``, whose credentials serve where none are here.
    """

    url: str | None = None
    user: str | None = None
    password: str | None = None
    api_key: str | None = None
    bearer: str | None = None
    cloud_id: str | None = None
    ca_file: str | None = None
    ca_fingerprint: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    aws_region: str | None = None
    verify_tls: bool = True
    compress: bool = False
    timeout: float = 30.0

    def __post_init__(self) -> None:
        try:
            EngineSettings(**asdict(self))
        except SettingsError as error:
            raise of_source(error) from None

    def engine(self, target: EngineSettings) -> EngineSettings:
        """As settings of an engine; ``target`` is that of the index that is loaded."""
        if self.url is not None or self.cloud_id is not None:
            return EngineSettings(**asdict(self))
        given: dict[str, Any] = {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}
        if given.keys() & _CREDENTIALS:
            own = {name: getattr(target, name) for name in _PLACE} | given
            try:
                return EngineSettings(**own)
            except SettingsError as error:
                raise of_source(error) from None
        return EngineSettings(**{name: getattr(target, name) for name in self.__struct_fields__} | given)


_CREDENTIALS = frozenset({"user", "password", "api_key", "bearer", "aws_region"})
_PLACE = ("url", "cloud_id", "ca_file", "ca_fingerprint", "verify_tls")
_DEFAULTS: dict[str, Any] = asdict(SourceSettings())


def of_source(error: SettingsError) -> SettingsError:
    """An error about a cluster's settings that is about the source's."""

    def renamed(text: str | None) -> str | None:
        return text and text.replace(f"{TARGET}.", f"{SECTION}.").replace("_ENGINE_", "_SOURCE_")

    return type(error)(renamed(error.what) or "", where=renamed(error.where), remedy=renamed(error.remedy))
