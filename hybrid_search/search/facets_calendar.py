"""Calendar intervals in a time zone: where one begins, as the engines' date histograms have it, and what it is called.

An hour or minute is one of the clock; a day, week, month, quarter or year begins at midnight, or at the first moment
after it where clocks are set forward over midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

from hybrid_search.errors import QueryError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds of a moment with a time zone, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


@cache
def zone(name: str) -> tzinfo:
    """The time zone of this name or offset.

    Raises:
        QueryError: there is none; the nearest is named.
    """
    if name == "UTC":
        return UTC
    if isinstance(name, str) and (offset := _OFFSET.fullmatch(name)) and int(offset[2]) <= 18 and int(offset[3]) < 60:
        behind = -1 if offset[1] == "-" else 1
        return timezone(behind * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    known = available_timezones()
    if name in known:
        return ZoneInfo(name)
    near = get_close_matches(str(name), known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else "Write it as Europe/Berlin, UTC or +02:00."
    if not known:
        remedy = "This machine knows no time zones: pip install tzdata, or give an offset such as +02:00."
    raise QueryError(f"unknown time zone {name!r:.60}", where="facets", remedy=remedy)


def start_of(moment: int, interval: str, time_zone: str) -> int | None:
    """The first moment of the interval that holds ``moment``, both epoch milliseconds.

    None for what Python's calendar cannot say: it goes from year 1 to 9999.
    """
    try:
        local = (EPOCH + timedelta(milliseconds=moment)).astimezone(zone(time_zone))
        return milliseconds(_BEGIN[interval](local).astimezone(UTC))
    except (OverflowError, ValueError):
        return None


def end_of(start: int, interval: str, time_zone: str) -> int | None:
    """The first moment after the interval that begins at ``start``; None beyond the calendar."""
    return start_of(start + _LONGER[interval] // timedelta(milliseconds=1), interval, time_zone)


def written(moment: int, time_zone: str = "UTC") -> str | None:
    """ISO-8601 with the offset of the time zone, as filters take it; None beyond the calendar.

    In UTC where the offset has seconds, as those of the times before standard time have: no engine reads them.
    """
    try:
        local = (EPOCH + timedelta(milliseconds=moment)).astimezone(zone(time_zone))
    except (OverflowError, ValueError):
        return None
    if (offset := local.utcoffset()) is not None and offset % timedelta(minutes=1):
        local = local.astimezone(UTC)
    return local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")


def label(start: int, interval: str, time_zone: str) -> str:
    """``2024``, ``2024-Q2``, ``2024-05``, ``2024-05-13`` (a week by its Monday), ``2024-05-13T10:00+02:00``."""
    local = (EPOCH + timedelta(milliseconds=start)).astimezone(zone(time_zone))
    if interval == "quarter":
        return f"{local.year:04}-Q{(local.month + 2) // 3}"
    if interval in {"hour", "minute"}:
        return local.isoformat(timespec="minutes")
    return local.date().isoformat()[: {"year": 4, "month": 7}.get(interval, 10)]


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _week(local: datetime) -> datetime:
    return _midnight(local - timedelta(days=local.weekday()))


def _quarter(local: datetime) -> datetime:
    return _midnight(local.replace(month=(local.month - 1) // 3 * 3 + 1, day=1))


_BEGIN: Mapping[str, Callable[[datetime], datetime]] = MappingProxyType(
    {
        "minute": lambda local: local.replace(second=0, microsecond=0),
        "hour": lambda local: local.replace(minute=0, second=0, microsecond=0),
        "day": _midnight,
        "week": _week,
        "month": lambda local: _midnight(local.replace(day=1)),
        "quarter": _quarter,
        "year": lambda local: _midnight(local.replace(month=1, day=1)),
    }
)

INTERVALS = tuple(_BEGIN)

_LONGER: Mapping[str, timedelta] = MappingProxyType(
    {
        "minute": timedelta(minutes=1, seconds=1),
        "hour": timedelta(hours=1, minutes=1),
        "day": timedelta(days=1, hours=12),
        "week": timedelta(days=8),
        "month": timedelta(days=40),
        "quarter": timedelta(days=100),
        "year": timedelta(days=380),
    }
)
"""From the first moment of an interval into the next one, whatever clocks do in between."""
