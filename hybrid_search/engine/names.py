"""Names of indices that both engines take, checked before anything is read or loaded."""

from __future__ import annotations

from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import exists
from hybrid_search.errors import SettingsError

FORBIDDEN = '\\/*?"<>| ,#:'
"""Characters that neither engine takes in the name of an index or alias."""

MOST_BYTES = 255
_REMEDY = "Both engines take lower-case letters, digits, - _ and ., and none of - _ + in front"


def check_name(name: str) -> None:
    """Raise SettingsError for what can be the name of neither an index nor an alias.

    Upper-case letters are for aliases only: see :func:`check_target`.
    """
    fault = _fault(name)
    if fault is not None:
        raise SettingsError(f"{name!r} is no name for an index: {fault}", where="index", remedy=_remedy(name))


def check_new_name(name: str) -> None:
    """Raise SettingsError for what cannot be the name of a new index."""
    check_name(name)
    if name != name.lower():
        fault = "it has upper-case letters"
        raise SettingsError(f"{name!r} is no name for an index: {fault}", where="index", remedy=_remedy(name))


def check_target(connection: Connection, name: str) -> None:
    """The same, unless it is the name of something that is there: an alias may have upper-case letters."""
    check_name(name)
    if name != name.lower() and not exists(connection, name):
        check_new_name(name)


def _fault(name: str) -> str | None:
    if not name:
        return "it is empty"
    if bad := [character for character in name if character in FORBIDDEN or not character.isprintable()]:
        return f"it has {'a blank' if bad[0] == ' ' else repr(bad[0])}"
    if name[0] in "-_+":
        return f"it begins with {name[0]!r}"
    if name in {".", ".."}:
        return "it stands for a folder"
    size = len(name.encode("utf-8", "surrogatepass"))
    return f"it has {size} bytes, more than {MOST_BYTES}" if size > MOST_BYTES else None


def _remedy(name: str) -> str:
    """A name that would do, where one can be made of this one."""
    changed = "".join("-" if c in FORBIDDEN or not c.isprintable() else c for c in name.lower()).strip("-_+.")
    if "://" in name:  # an address in the wrong place, of whose login no name is made
        return _REMEDY
    return f"{_REMEDY}: {changed}" if changed and len(changed.encode("utf-8", "replace")) <= MOST_BYTES else _REMEDY
