"""The other ways in which pandas writes a frame as JSON: ``columns`` (the default), ``index`` and ``split``."""

from __future__ import annotations

from typing import Any


def rows_of_frame(values: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of the one object that such a file holds, None where it is another object."""
    if {"columns", "data"} <= set(values) <= {"columns", "index", "data"}:
        return _split(values["columns"], values["data"])
    inner = list(values.values())
    if not inner or not all(isinstance(part, dict) and part for part in inner):
        return None
    if all(map(str.isdigit, values)):
        return inner
    labels = inner[0].keys()
    if len(inner) < 2 or not all(map(str.isdigit, labels)) or any(part.keys() != labels for part in inner):
        return None
    return [{name: column[label] for name, column in values.items()} for label in labels]


def _split(columns: Any, data: Any) -> list[dict[str, Any]] | None:
    if not isinstance(columns, list) or not isinstance(data, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    return [dict(zip(map(str, columns), row, strict=True)) for row in data]
