"""What every section of the settings is made of: a typed, frozen struct, and how a value is refused."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from hybrid_search.addresses import MASK, masked
from hybrid_search.errors import SettingsError

SECRETS = frozenset({"password", "api_key", "bearer"})
"""Keys of credentials; ``url`` is shown without the login that it may hold."""
IN_HEADERS = ("user", *sorted(SECRETS))
"""Keys that become HTTP headers."""

MASKED = SECRETS | {"cursor_key"}
"""All keys whose values are never shown."""

MAX_SECONDS = 86_400
"""A longer wait for one answer is a slip."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: an unknown key is an error, and secrets are masked wherever it is shown."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, shown(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def shown(name: str, value: Any) -> Any:
    """The value of a key as it may be shown: secrets masked, credentials taken out of an address."""
    if value is None:
        return None
    if name in MASKED:
        return MASK
    return masked(value) if name == "url" else value


def require(holds: bool, key: str, what: str, remedy: str | None = None) -> None:
    """Raise SettingsError about ``key`` unless ``holds``."""
    if not holds:
        raise SettingsError(what, where=key, remedy=remedy)


def require_at_least(least: float, key: str, value: float | None, remedy: str | None = None) -> None:
    """Raise SettingsError unless a number that is given is finite and at least ``least``."""
    if value is not None:
        require(math.isfinite(value) and value >= least, key, f"must be at least {least}, got {value}", remedy)


def require_seconds(key: str, value: float) -> None:
    """Raise SettingsError unless ``value`` is a time to wait: more than none, and at most a day."""
    what = f"must be more than 0 and at most {MAX_SECONDS:,} seconds, got {value}"
    require(0 < value <= MAX_SECONDS, key, what)


def require_one_of(allowed: tuple[str, ...], key: str, value: str) -> None:
    """Raise SettingsError unless ``value`` is one of ``allowed``."""
    require(value in allowed, key, f"must be one of {', '.join(allowed)}, got {value!r}")
