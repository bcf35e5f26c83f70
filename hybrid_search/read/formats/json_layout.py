"""How JSON lies in a file: on lines, in an array, over several lines, as bodies of ``_bulk``, in a console's export."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any

_BOM = b"\xef\xbb\xbf"
_CONSOLE = re.compile(rb"(?:\s*(?:#|//)[^\n]*\n)*\s*(?:GET|POST|PUT|DELETE|HEAD|PATCH)[ \t]+\S")
_INDEXING = re.compile(rb"^(?:POST|PUT)[ \t]+\S*\b_(?:bulk|doc|create)\b", re.MULTILINE)
_RESPONSE = re.compile(rb'\{\s*"(?:took|_scroll_id|timed_out|pit_id)"\s*:')
_OPEN = (b"{", b"[", b",", b":")
ACTIONS = frozenset({"index", "create", "update", "delete"})
_ABOUT_ACTIONS = re.compile(
    r"_?(index|id|type|routing|version|version_type|parent|op_type)|if_seq_no|if_primary_term|require_alias"
    r"|require_data_stream|pipeline|retry_on_conflict|dynamic_templates|list_executed_pipelines"
)


class Layout(StrEnum):
    """How the objects of a file follow each other."""

    LINES = "JSON lines"
    VALUES = "JSON objects over several lines"
    ARRAY = "a JSON array"
    BULK = "bodies of _bulk"
    RESPONSES = "responses to searches"
    CONSOLE = "an export of the Kibana console"


def layout_of(head: bytes) -> Layout:
    """The layout of a file that begins with ``head``; what cannot be told is lines, whose reader names their faults."""
    text = head.removeprefix(_BOM).lstrip()
    if _CONSOLE.match(text):
        return Layout.CONSOLE
    line, _, rest = text.partition(b"\n")
    first = _parsed(line)
    if text.startswith(b"["):
        is_line = isinstance(first, list) and bool(first) and not any(isinstance(item, dict) for item in first)
        return Layout.LINES if is_line else Layout.ARRAY
    if isinstance(first, dict):
        return Layout.BULK if is_action(first) else Layout.RESPONSES if is_response(first) else Layout.LINES
    if _RESPONSE.match(text):
        return Layout.RESPONSES
    return Layout.VALUES if text.startswith(b"{") and _goes_on(line, rest) else Layout.LINES


def _goes_on(line: bytes, rest: bytes) -> bool:
    """Whether an object goes on behind its first line, or others follow on it."""
    if _is_followed(line):
        return True
    return line.rstrip().endswith(_OPEN) and not any(map(_is_line, rest.split(b"\n", 100)[:100]))


def is_console(text: bytes) -> bool:
    """Whether a text is an export of the console that indexes documents; others begin with ``POST`` too."""
    return _CONSOLE.match(text.removeprefix(_BOM)) is not None and _INDEXING.search(text) is not None


def is_action(values: dict[str, Any]) -> bool:
    """Whether an object is the first line of an action of ``_bulk``."""
    if len(values) != 1:
        return False
    ((name, about),) = values.items()
    return name in ACTIONS and isinstance(about, dict) and all(map(_ABOUT_ACTIONS.fullmatch, about))


def is_response(values: dict[str, Any]) -> bool:
    """Whether an object is the answer to a search or a scroll."""
    hits = values.get("hits")
    return isinstance(hits, dict) and isinstance(hits.get("hits"), list)


def _parsed(line: bytes) -> Any:
    """The value of a line that is whole, else None."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_line(line: bytes) -> bool:
    """Whether it is an object of its own; of what is printed over lines the inner ones are set in, or not whole."""
    return line.startswith(b'{"') and _parsed(line) is not None


def _is_followed(line: bytes) -> bool:
    """Whether one object follows another on the same line."""
    try:
        text = line.decode().strip()
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip(" ,").startswith("{")
