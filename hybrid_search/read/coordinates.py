"""How a look at a sample knows places: by their form, and two numbers by the name of their field or their decimals."""

from __future__ import annotations

import re
from typing import Any

from hybrid_search.geo import is_pair, place

_PRECISE = re.compile(r"\.\d{3,}\D+\d+\.\d{3,}")
"""Two numbers of three decimals and more are a place, and seldom anything else."""


def is_place_object(value: Any) -> bool:
    """Whether an object, or each of a list of them, says a place: ``{"lat": 48.1, "lon": 11.5}``, or GeoJSON."""
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(item, dict) and _says(item) for item in listed)


def is_place(value: Any, *, named: bool) -> bool:
    """Whether a value says a place; ``named``: the name of its field speaks of one."""
    if isinstance(value, dict | list) and is_place_object(value):
        return True
    if isinstance(value, list):
        return named and is_pair(value) and _says(value)
    is_told = isinstance(value, str) and (named or "(" in value or _PRECISE.search(value) is not None)
    return is_told and _says(value)


def _says(value: Any) -> bool:
    try:
        place(value)
    except ValueError:
        return False
    return True
