"""The keys of ``[text.NAME]`` sections, of which there is one for each field that is searched on its own.

``text.title.weight`` and ``text.title.analyzer``; ``text.title = 2`` is the weight. The names of fields are the user's,
so that all between ``text.`` and the last dot is the name. ``text`` itself is all of them: ``title=2,brand=1.5``, or a
table as TOML writes it, ``{title = {weight = 2, analyzer = "german"}}``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from hybrid_search.errors import SettingsError

SECTION = "text"
KINDS: Mapping[str, Any] = {"weight": float, "analyzer": str}


def is_text(key: str) -> bool:
    """Whether a key is of these sections."""
    return key == SECTION or key.startswith(f"{SECTION}.")


def in_table(table: Mapping[str, Any], place: str, within: str = SECTION) -> Iterator[tuple[str, Any]]:
    """The keys of ``[text]`` in a file with their values; a table in a table is a name with a dot."""
    for name, value in table.items():
        key = f"{within}.{name}"
        if not isinstance(value, dict):
            yield (f"{key}.weight" if within == SECTION else _known(key, place)), value
        elif not name.strip():
            raise SettingsError("holds an empty name", where=f"{place}: [{within}]", remedy="Name the field")
        else:
            yield from in_table(value, place, key)


def in_text(key: str, text: str, place: str) -> Iterator[tuple[str, str | Any]]:
    """The keys that one string of the environment or a flag sets, with their values as they were written."""
    if key != SECTION:
        is_whole = key.count(".") > 1 and get_close_matches(key.rpartition(".")[2], KINDS)
        yield (_known(key, place) if is_whole else f"{key}.weight"), text
    elif text.strip()[:1] == "{":
        try:
            yield from in_table(tomllib.loads(f"value = {text.strip()}")["value"], place)
        except tomllib.TOMLDecodeError as error:
            what = f"not valid TOML: {text.strip()} ({error})"
            raise SettingsError(what, where=f"{place}: {key}", remedy="Write title=2,brand=1.5") from None
    else:
        for part in filter(str.strip, text.split(",")):
            name, _, weight = part.partition("=")
            yield f"{SECTION}.{name.strip()}.weight", weight.strip()


def _known(key: str, place: str) -> str:
    name, _, kind = key.rpartition(".")
    if kind not in KINDS:
        remedy = f"Known: {', '.join(f'{name}.{one}' for one in KINDS)}"
        raise SettingsError(f"unknown key {key!r}", where=place, remedy=remedy)
    return key


def of_variable(name: str) -> str | None:
    """The key of a variable's name without its prefix, ``text_title_weight``; None where it is of no such section."""
    if name == SECTION:
        return SECTION
    field, _, kind = name.removeprefix(f"{SECTION}_").rpartition("_")
    return f"{SECTION}.{field}.{kind}" if name.startswith(f"{SECTION}_") and field and kind in KINDS else None


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{"title.weight": 2}`` as ``{"title": {"weight": 2}}``."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        name, _, kind = key.rpartition(".")
        found.setdefault(name, {})[kind] = value
    return found
