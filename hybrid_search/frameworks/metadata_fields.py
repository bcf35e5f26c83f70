"""Which keys of the metadata that a framework's documents have are filtered on, and as what: read off their values.

Frameworks do not ask beforehand what will be filtered on. A key becomes a field to filter on with the first documents
that have it; from then on it keeps its kind, and a value of another kind is stored and not filtered on (``lenient``).
What the settings declare stays as it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import FILTERED

log = logging.getLogger(__name__)

LONG = 1_000
"""Characters of a text that nobody compares with as a whole; a key that has only such is not filtered on."""

MOST = 300
"""Keys that become fields: an index has 1,000 at most, and a number takes two of them."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")


def with_fields_of(
    metadata: Iterable[Mapping[str, Any]], known: Iterable[str], declared: DocumentSettings
) -> DocumentSettings:
    """The settings with every key of ``metadata`` that is new as a field to filter on; the same object where none is.

    Args:
        metadata: of documents; a key within an object is named with a dot (``author.name``).
        known: fields that the index filters on already.
        declared: what the user's settings say.
    """
    taken = {*known, *(name for role in FILTERED for name in getattr(declared, role))}
    kinds: dict[str, set[str]] = {}
    for path, kind in (found for one in metadata for found in _kinds(one)):
        if path not in taken:
            kinds.setdefault(path, set()).add(kind)
    room = max(0, MOST - len(taken))
    if len(kinds) > room:
        log.warning("%d keys of metadata are stored and not filtered on: there are %d already", len(kinds) - room, MOST)
    added = {path: next(iter(found)) if len(found) == 1 else "keyword" for path, found in [*kinds.items()][:room]}
    if not added:
        return declared
    roles = {role: (*getattr(declared, role), *(p for p, kind in added.items() if kind == role)) for role in FILTERED}
    return msgspec.structs.replace(declared, **roles, lenient=(*declared.lenient, *added))


def _kinds(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The paths of what can be compared, each with the kind of its value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key:
                yield from _kinds(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _kinds(inner, path)
    elif (kind := _kind(value)) is not None:
        yield path, kind


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, date):
        return "date"
    if not isinstance(value, str) or not 0 < len(value) <= LONG:
        return None
    return "date" if _DATE.fullmatch(value) else "keyword"
