"""Settings from a TOML file, environment variables and overrides, merged in that order.

``HYBRID_SEARCH_DENSE_MODEL`` is the key ``dense.model``; ``HYBRID_SEARCH_URL`` is ``engine.url``. An empty variable
counts as not set; a line break that ends a secret is dropped; a variable that is neither a key nor known
(:data:`NO_SETTINGS`) is an error, as a key of a file is. Strings of the environment and of overrides are read by the
key's type: ``8``, ``0.5``, ``true`` or ``yes`` or ``on``, ``bm25,dense`` for a list, ``bm25=1,dense=0.5`` for a table;
lists and tables also as TOML writes them, ``["a", "b"]``. Sections ``[text.NAME]``, of which there may be any number,
have keys of their own (:mod:`hybrid_search.read.text_keys`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from hybrid_search.addresses import without_credentials
from hybrid_search.errors import SettingsError
from hybrid_search.read import text_keys
from hybrid_search.settings import IN_HEADERS, MASKED, SECRETS, Section, Settings, TextFieldSettings

PREFIX = "HYBRID_SEARCH_"
ALIASES = {f"{PREFIX}URL": "engine.url"}

NO_SETTINGS = {
    f"{PREFIX}DEBUG": "show tracebacks",
    f"{PREFIX}JUDGE_KEY": "the key of the model that judges",
    f"{PREFIX}JAVA_HOME": "the Java of the local node",
    f"{PREFIX}LOCAL_DIR": "the folder of the local nodes",
    f"{PREFIX}MAVEN_URL": "where the local node is fetched from",
    f"{PREFIX}SERVE_TOKEN": "what a caller of the workbench must show",
}
"""Variables that are read elsewhere, and what they say."""

_FOREIGN = re.compile(
    rf"{PREFIX}(TEST_|FAULTS?_)"  # the project's own tests
    r"|.*_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$"
)
"""Variables of others: Kubernetes gives every container those of a service that is named ``hybrid-search``."""

CLOSE, CLOSER = 0.7, 0.85
"""How alike two spellings are of which one may be meant; of keys of different sections more."""

WORDS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)

SECTIONS: dict[str, type[Section]] = {
    field.name: field.type for field in msgspec.structs.fields(Settings) if field.name != text_keys.SECTION
}
TYPES: dict[str, Any] = {
    f"{section}.{field.name}": field.type
    for section, struct in SECTIONS.items()
    for field in msgspec.structs.fields(struct)
}
"""The type of every key, by its dotted name."""
CLUSTERS = ("engine", "source")
"""Sections that say where a cluster is."""
_KEYS_OF_SERVICES = {f"{section}.api_key" for section in ("dense", "sparse", "rerank")}
_SECRETS = {f"{section}.{name}" for section in CLUSTERS for name in SECRETS}
_IN_HEADERS = {f"{section}.{name}" for section in CLUSTERS for name in ("url", *IN_HEADERS)}
SECRET_KEYS = frozenset({"search.cursor_key", *_SECRETS, *_KEYS_OF_SERVICES})
HEADER_KEYS = frozenset({*_IN_HEADERS, *_KEYS_OF_SERVICES})
"""Keys that hold credentials, and those that become headers."""


@dataclass(frozen=True, slots=True)
class _Given:
    """One value and the place that gave it."""

    value: Any
    place: str


def load_settings(
    path: Path | None = None,
    overrides: Mapping[str, str] = {},
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of a TOML file (None: the defaults), overridden by the environment, then by ``overrides``.

    Raises:
        SettingsError: a file that is missing or no TOML, an unknown key, a value of a wrong type, out of range or in
            contradiction with another; the message names the place, the key and the nearest right key.
    """
    given = _from_file(path) if path is not None else {}
    given |= _from_environment(environ)
    for key, text in overrides.items():
        given |= _given(key, text, "override")
    sections: dict[str, dict[str, Any]] = {name: {} for name in (*SECTIONS, text_keys.SECTION)}
    for key, item in given.items():
        section, name = key.split(".", 1)
        sections[section][name] = item.value
    try:
        fields = text_keys.nested(sections.pop(text_keys.SECTION))
        texts = {name: TextFieldSettings(**values) for name, values in fields.items()}
        made = {name: SECTIONS[name](**values) for name, values in sections.items()}
        return msgspec.structs.replace(Settings(), text=texts, **made)
    except SettingsError as error:
        raise _placed(error, given) from None


def to_toml(settings: Settings) -> str:
    """All settings that have a value, as TOML that :func:`load_settings` reads back; secrets are left out."""
    tables: dict[str, dict[str, Any]] = msgspec.to_builtins(settings)
    for section in CLUSTERS:
        if tables[section].get("url") is not None:
            tables[section]["url"] = without_credentials(tables[section]["url"])
    return tomli_w.dumps({section: _sayable(_told(table)) for section, table in tables.items()})


def _told(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section without its secrets; tables in it are named by users, whose field may be called ``password``."""
    return {key: value for key, value in section.items() if key not in MASKED or isinstance(value, dict)}


def _sayable(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without what has no value, which TOML cannot say."""
    return {
        key: _sayable(value) if isinstance(value, dict) else value for key, value in table.items() if value is not None
    }


def _placed(error: SettingsError, given: Mapping[str, _Given]) -> SettingsError:
    """The same error with the place that gave the key: a file, a variable or an override."""
    where = error.where or ""
    key = where if where in given else ".".join(where.split(".")[:2])
    place = f"{given[key].place}: {error.where}" if key in given else error.where
    return SettingsError(error.what, where=place, remedy=error.remedy)


def _from_file(path: Path) -> dict[str, _Given]:
    place = str(path)
    tables = _toml(path)
    given = {}
    for section, table in tables.items():
        if section not in {*SECTIONS, text_keys.SECTION}:
            raise _unknown(section, place)
        if not isinstance(table, dict):
            raise SettingsError(f"[{section}] must be a table, got {_kind(table)}", where=place)
        named = ((f"{section}.{name}", value) for name, value in table.items())
        for key, value in named if section in SECTIONS else text_keys.in_table(table, place):
            given[key] = _Given(_converted(key, value, place, strict=True), place)
    return given


def _given(key: str, text: str, place: str) -> dict[str, _Given]:
    """What one string of the environment or a flag gives; ``text`` may be several keys."""
    named = text_keys.in_text(key, text, place) if text_keys.is_text(key) else [(key, text)]
    return {one: _Given(_parsed(one, value, place), place) for one, value in named}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        remedy = "Write one with: hybrid-search init SOURCE -o FILE"
        raise SettingsError("no such settings file", where=str(path), remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file cannot be read: {error}", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}", where=str(path)) from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for variable in sorted(name for name, value in environ.items() if value):
        key = _key_of(variable)
        if key is None:
            continue
        if key in given and given[key].value != environ[variable]:
            raise SettingsError(f"{given[key].place} and {variable} differ", where=key, remedy="Set only one of them")
        given |= _given(key, _without_line_break(key, environ[variable]), variable)
    return given


def _without_line_break(key: str, text: str) -> str:
    """A secret without the line break that ends the file that a cluster's secret store made the variable of."""
    if key not in HEADER_KEYS:
        return text
    return text.removesuffix("\n").removesuffix("\r")


def _key_of(variable: str) -> str | None:
    """The key that a variable sets, or None where it belongs to others.

    Raises:
        SettingsError: it would set one, but there is no such section.
    """
    if variable in ALIASES:
        return ALIASES[variable]
    if not variable.startswith(PREFIX) or variable in NO_SETTINGS or _FOREIGN.match(variable):
        return None
    section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
    if section in SECTIONS:
        return f"{section}.{name}"
    if (key := text_keys.of_variable(variable.removeprefix(PREFIX).lower())) is not None:
        return key
    known = [name.removeprefix(PREFIX) for name in (*ALIASES, *NO_SETTINGS, *map(_variable, TYPES))]
    near = difflib.get_close_matches(variable.removeprefix(PREFIX), known, n=1)
    remedy = (
        f"Did you mean {PREFIX}{near[0]}?"
        if near
        else f"{PREFIX}SECTION_KEY sets a key; sections: {', '.join(SECTIONS)}"
    )
    raise SettingsError("no such variable", where=variable, remedy=remedy)


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "_").upper()


def _type_of(key: str) -> Any:
    """The type of a key's value; None where there is no such key."""
    name, _, kind = key.rpartition(".")
    return text_keys.KINDS.get(kind) if text_keys.is_text(name) and name != text_keys.SECTION else TYPES.get(key)


def _parsed(key: str, text: Any, place: str) -> Any:
    """A string of the environment or a flag as the key's type."""
    kind = _type_of(key)
    value: Any = text
    if not isinstance(text, str):
        return _converted(key, value, place, strict=True)
    if kind in (tuple[str, ...], dict[str, float], dict[str, str]) and text.strip()[:1] in {"[", "{"}:
        value = _toml_value(key, text, place)
    elif kind == tuple[str, ...]:
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif kind == dict[str, float]:
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        value = {name.strip(): _number(number) for name, _, number in pairs}
    elif kind == dict[str, str]:
        value = {name.strip(): given.strip() for name, _, given in (p.partition("=") for p in text.split(",")) if name}
    elif kind is float:
        value = _number(text)
    elif kind in (bool, bool | None):
        value = WORDS.get(text.strip().lower(), text)
    return _converted(key, value, place, strict=False)


def _toml_value(key: str, text: str, place: str) -> Any:
    """A list or table as a settings file writes it: ``["kind"]``, ``{bm25 = 1}``."""
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError as error:
        what = f"not valid TOML: {text.strip()} ({error})"
        raise SettingsError(what, where=f"{place}: {key}", remedy="Write a,b or TOML's own form") from None


def _number(text: str) -> float | str:
    """The number that a text holds, or the text, for the message that says so."""
    try:
        return float(text)
    except ValueError:
        return text


def _converted(key: str, value: Any, place: str, *, strict: bool) -> Any:
    kind = _type_of(key)
    if kind is None:
        raise _unknown(key, place)
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        shown = "" if key in HEADER_KEYS else f" ({value!r})"
        expected = _EXPECTED.get(str(kind).removeprefix("typing."), "another type")
        what = f"expected {expected}, got {_kind(value)}{shown}"
        raise SettingsError(what, where=f"{place}: {key}") from None


_EXPECTED = {
    "<class 'str'>": "a string",
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false (yes or no, on or off)",
    "bool | None": "true or false (yes or no, on or off)",
    "str | None": "a string",
    "int | None": "a whole number",
    "tuple[str, ...]": "a list of strings",
    "dict[str, float]": "a table of numbers",
    "dict[str, str]": "a table of strings",
}


def _kind(value: Any) -> str:
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def _unknown(key: str, place: str) -> SettingsError:
    """The error for a key that does not exist, with the nearest one that does."""
    section, _, name = key.rpartition(".")
    return SettingsError(f"unknown key {key!r}", where=place, remedy=_nearest(section, name))


def _nearest(section: str, name: str) -> str:
    """Advice: the right section for a known name, else the known name that is spelt most like it."""
    meant = section if section in SECTIONS else next(iter(_close(section, SECTIONS)), "")
    if f"{meant}.{name}" in TYPES:
        return f"Did you mean {meant}.{name}?"
    if not section and _close(name, SECTIONS):
        return f"Did you mean [{_close(name, SECTIONS)[0]}]?"
    names = [known for known in TYPES if known.split(".")[1] == name] or _close_names(meant, name)
    if names:
        return f"Did you mean {' or '.join(names)}?"
    known = [key for key in TYPES if key.startswith(f"{meant}.")] if meant else SECTIONS
    return f"Known {'keys' if meant else 'sections'}: {', '.join(known)}"


def _close_names(section: str, name: str) -> list[str]:
    """The key most like ``section.name`` within the section, else in any."""
    for keys, cutoff in (([key for key in TYPES if key.startswith(f"{section}.")], CLOSE), (TYPES, CLOSER)):
        by_name = {key.split(".")[1]: key for key in keys}
        if near := _close(name, by_name, cutoff):
            return [by_name[near[0]]]
    return []


def _close(word: str, known: Iterable[str], cutoff: float = CLOSE) -> list[str]:
    return difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
