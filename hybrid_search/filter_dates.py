"""Dates as filters have them: in every form that documents have, as a whole day, month or year, or relative to now.

Relative ones are date math as both engines write it: ``now-7d``, ``now/d``, ``2024-05-01||+1M/d``. ``now`` is given to
the engine as a moment where it is known, so that all that is asked with one call sees the same.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hybrid_search import fields
from hybrid_search.errors import QueryError

_UNITS = {4: "y", 7: "M", 10: "d"}
"""What a date of so many characters (2024, 2024-12, 2024-12-31) is rounded to."""

_LEAST_MILLISECONDS = 10**11
_SECONDS_OF_OFFSET = re.compile(r"[+-]\d\d:\d\d:\d\d")

NOW = "now"
ANCHOR = "||"
"""What stands between a date and the math on it."""

_MATH = re.compile(r"(?:[+-]\d{1,9}[yMwdhHms]|/[yMwdhHms])*")
_STEP = re.compile(r"[+-](\d+)([yMwdhHms])")
_DAYS = {"y": 365.25, "M": 30.5, "w": 7.0, "d": 1.0, "h": 1 / 24, "H": 1 / 24, "m": 1 / 1440, "s": 1 / 86400}
MOST_DAYS = 3_650_000
"""How far math may lead, some 10,000 years: an engine refuses the whole search where it leads beyond its calendar."""

_FORMS = "Write it as 2024-12-31, 2024-12-31T23:59:59Z or now-7d"
_MATH_FORMS = "Write it as now, now-7d, now-1M/M or 2024-12-31||+1d; the units are y, M, w, d, h, m (minutes) and s"


def bound(field: str, value: Any, order: str | None, now: int | None) -> str | int:
    """A moment as it is; a year, month or day as date math that the engine rounds down or up, as the bound asks.

    Args:
        field: for messages.
        value: text, a date, or epoch milliseconds.
        order: what comes first in ``05/07/2022``, ``day`` or ``month``.
        now: what ``now`` means, in epoch milliseconds; None leaves that to the engine.

    Raises:
        QueryError: it is no date.
    """
    given = value.isoformat() if isinstance(value, date) else value.strip() if isinstance(value, str) else value
    if isinstance(given, str) and (given[:3].lower() == NOW or ANCHOR in given):
        return _relative(field, given, order, now)
    read = _date_in(given, order)
    if read is None:
        raise QueryError(f"{fields.shown(value)} is no date", where=field, remedy=_FORMS)
    return f"{read}{ANCHOR}/{_UNITS[len(read)]}" if isinstance(read, str) and len(read) in _UNITS else read


def _relative(field: str, text: str, order: str | None, now: int | None) -> str:
    """Date math, from a moment on."""
    anchor, _, math = (NOW, "", text[3:]) if text[:3].lower() == NOW else text.partition(ANCHOR)
    math = re.sub(r"\s", "", math).removeprefix(ANCHOR)
    if not _MATH.fullmatch(math):
        raise QueryError(f"{fields.shown(text)} is no date", where=field, remedy=_MATH_FORMS)
    if sum(int(count) * _DAYS[unit] for count, unit in _STEP.findall(math)) > MOST_DAYS:
        raise QueryError(f"{fields.shown(text)} is more than 10,000 years away", where=field, remedy=_MATH_FORMS)
    if anchor == NOW:
        return NOW + math if now is None else f"{_written(now)}{ANCHOR}{math}"
    read = _date_in(anchor.strip(), order)
    if not isinstance(read, str):
        raise QueryError(f"{fields.shown(anchor)} is no date", where=field, remedy=_MATH_FORMS)
    return f"{read}{ANCHOR}{math}"


def _written(milliseconds: int) -> str:
    """A moment in the form that both engines read, to the millisecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def _date_in(given: Any, order: str | None) -> str | int | None:
    """The date in a form that both engines read: ISO-8601 or epoch milliseconds; None for anything else."""
    is_partial = isinstance(given, str) and len(given) in {4, 7}
    try:
        whole = fields.moment(f"{given}-01-01"[:10] if is_partial else given, order)
    except ValueError:
        return None
    if isinstance(whole, int) and abs(whole) < _LEAST_MILLISECONDS:
        return None  # a year, or seconds
    if isinstance(whole, str) and _SECONDS_OF_OFFSET.search(whole):
        return None
    return str(given) if is_partial else whole
