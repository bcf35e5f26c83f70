"""Front matter: the fields between ``---`` (YAML) or ``+++`` (TOML) at the beginning of a Markdown file."""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

from hybrid_search.read.columns import plain

_YAML = re.compile(r"\A---[ \t]*\n(?P<keys>.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(?P<keys>.*?)^\+\+\+[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^([\w-]+):[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_MAX = 1 << 16
"""Characters: beyond any front matter, and what a parser may be asked to look at."""


class FrontMatter(NamedTuple):
    """Fields by their names in lower case, and the text that follows."""

    fields: dict[str, Any]
    body: str


def front_matter(text: str) -> FrontMatter:
    """The fields at the beginning of a text, none where it has no front matter.

    Values of YAML are text as it is written (``no`` is a country too), or lists and objects of text; what is broken is
    read line by line.
    """
    if (found := _YAML.match(text)) and len(found["keys"]) <= _MAX:
        fields = _yaml(found["keys"])
    elif (found := _TOML.match(text)) and len(found["keys"]) <= _MAX:
        fields = _toml(found["keys"])
    else:
        return FrontMatter({}, text)
    if fields is None:
        fields = {match[1]: match[2].strip("\"'") for match in _LINE.finditer(found["keys"])}
    filled = {str(name).lower(): value for name, value in fields.items() if value not in ("", None, [], {})}
    return FrontMatter(filled, text[found.end() :])


def _yaml(text: str) -> dict[str, Any] | None:
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.BaseLoader)):
            return None  # a few lines of references can stand for gigabytes
        fields = yaml.load(text, yaml.BaseLoader)  # noqa: S506 it makes nothing but text, lists and dictionaries
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return fields if isinstance(fields, dict) else None


def _toml(text: str) -> dict[str, Any] | None:
    try:
        return {name: plain(value) for name, value in tomllib.loads(text).items()}
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
