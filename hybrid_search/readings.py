"""Values as people write them: prices, dates, words for yes and no, several values in one cell.

A source keeps its values as they are; what is read here is what filters compare. What can be read in two ways is read
in neither, unless the field's :class:`~hybrid_search.records.FieldReading` says which: ``1,234`` is a thousand unless
the comma is its decimal mark, ``05/07/2022`` no date at all until day or month is known to come first.
"""

from __future__ import annotations

import ast
import re
from datetime import date, datetime
from typing import Any

import orjson

DAY, MONTH = "day", "month"
"""What comes first in a date such as 05/07/2022."""

PRINTED = "[]"
"""The separator of a list that was printed, as Python or JSON write one: ``['new', 'sale']``."""

YES = frozenset({"yes", "y", "true", "t", "1", "on", "ja", "oui", "si", "sí", "sì", "sim", "tak", "wahr", "vrai"})
NO = frozenset({"no", "n", "false", "f", "0", "off", "nein", "non", "não", "nee", "nie", "nej", "falsch", "faux"})
_MISSING = frozenset({"", "nan", "n/a", "na", "#n/a", "null", "none", "nil", "nat", "<na>", "\\n", "-", "--", "–", "—"})

_LONGEST = 60
"""No amount or date has more characters; patterns with many optional blanks are slow on long texts."""

_CODES = (
    "AED AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW MXN MYR NOK NZD PHP PLN RON RUB SAR SEK SGD"
    " THB TRY TWD UAH USD VND ZAR"
).replace(" ", "|")
_MONEY = rf"(?:(?:[A-Z]{{1,2}})?[$€£¥₹₩₽฿₺₫₪₴₦₱]|{_CODES}|kr\.?|zł|Kč|Ft|lei|Fr\.|Rs\.?|%)"
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<before>[-−]?)\s*(?:{_MONEY})?\s*(?P<inner>[-−]?)\s*"
    rf"(?P<digits>[.,]?\d(?:[\d.,'’\s]*\d)?)(?P<even>[.,][-–—])?\s*(?:{_MONEY})?(?P<close>\))?"
)
_SPACES = re.compile(r"[\s'’]")

_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = (
    r"(?:[\sT,]+(?:at\s+)?(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_FORMS = tuple(
    re.compile(_WEEKDAY + form + _TIME, re.IGNORECASE)
    for form in (
        r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})",
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
        r"(?P<name>[a-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[\s-]+(?P<name>[a-z]{3,9})\.?,?[\s-]+(?P<year>\d{4})",
    )
)


def is_missing(value: Any) -> bool:
    """Whether it is a word for no value, as spreadsheets and programs write it: ``NaN``, ``n/a``, ``-``, blank."""
    return isinstance(value, str) and value.strip().lower() in _MISSING


def boolean_in(value: Any) -> bool | None:
    """What a word such as ``yes``, ``FALSE`` or ``1`` says, None for any other value."""
    word = str(value).strip().lower()
    return True if word in YES else False if word in NO else None


def parts_of(value: Any, separator: str | None) -> list[Any]:
    """The values in one cell: those between ``separator``, or of a printed list; any other value is one."""
    if separator is None or not isinstance(value, str):
        return [value]
    if separator == PRINTED:
        listed = printed_list(value)
        return [value] if listed is None else listed
    return [part for piece in value.split(separator) if (part := piece.strip())]


def printed_list(text: str) -> list[Any] | None:
    """The list that a text holds as JSON or Python print it, None for any other text."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return None
    for read in (orjson.loads, ast.literal_eval):
        try:
            found = read(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, list) else None
    return None


def amount_in(text: str, decimal: str = ".") -> int | float | None:
    """The number of a text with signs of money and separators of thousands, None for any other text.

    ``decimal`` decides only what can be read in two ways: of ``1,234`` and ``1.234`` it is the mark that is no
    separator of thousands.
    """
    found = _AMOUNT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    plain = _plain(found["digits"], "," if (found["even"] or "").startswith(",") else decimal)
    if plain is None:
        return None
    number = float(plain) if "." in plain else int(plain)
    return -number if found["open"] or found["before"] or found["inner"] else number


def _plain(digits: str, decimal: str) -> str | None:
    """The digits as Python writes a number, None where the groups are no thousands."""
    mark = _decimal_mark(digits, decimal)
    whole, _, fraction = digits.rpartition(mark) if mark else (digits, "", "")
    if (mark in whole and mark) or (not fraction.isdigit() and fraction):
        return None
    if not _is_grouped(whole):
        return None
    joined = re.sub(r"\D", "", whole) or "0"
    return f"{joined}.{fraction}" if mark else joined


def _decimal_mark(digits: str, decimal: str) -> str:
    """The mark before the fraction, empty where there is none."""
    point, comma = digits.rfind("."), digits.rfind(",")
    if point >= 0 and comma >= 0:
        return "." if point > comma else ","
    mark = "." if point >= 0 else ","
    if digits.count(mark) != 1:
        return ""
    whole, _, fraction = digits.partition(mark)
    could_be_thousands = len(fraction) == 3 and re.fullmatch(r"[1-9]\d{0,2}", whole)
    return mark if mark == decimal or not could_be_thousands else ""


def _is_grouped(whole: str) -> bool:
    """Whether a whole number is without separators, or has one kind of them between thousands (or lakhs)."""
    marks = set(_SPACES.sub(" ", whole)) - set("0123456789")
    if not marks:
        return whole.isdigit() or not whole
    first, *groups = re.split(r"\D", whole)
    in_thousands = all(len(group) == 3 for group in groups)
    in_lakhs = all(len(group) == 2 for group in groups[:-1]) and len(groups[-1]) == 3 and marks == {","}
    return len(marks) == 1 and 1 <= len(first) <= 3 and (in_thousands or in_lakhs)


def written_date(text: str, order: str | None = None) -> str | None:
    """A date that is written in another way than ISO-8601, in that; None for any other text.

    With dots the day comes first. With slashes or hyphens what comes first is ``order``, or what the numbers leave: in
    ``26/05/2025`` only the 26 can be the day.
    """
    for form in _FORMS if len(text) <= _LONGEST else ():
        if found := form.fullmatch(text):
            return _iso(found, order)
    return None


def compact_date(text: str) -> str | None:
    """``20240116`` as ``2024-01-16`` where it is a date from 1900 to 2099; None for any other text."""
    if not re.fullmatch(r"(19|20)\d{6}", text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _iso(found: re.Match[str], order: str | None) -> str | None:
    parts = found.groupdict()
    day_and_month = _day_and_month(parts, order)
    if day_and_month is None:
        return None
    day, month = day_and_month
    try:
        moment = datetime.fromisoformat(f"{parts['year']}-{month:02}-{day:02}{_clock(parts)}")
    except ValueError:
        return None
    return moment.isoformat() if parts["time"] else moment.date().isoformat()


def _day_and_month(parts: dict[str, str | None], order: str | None) -> tuple[int, int] | None:
    if name := (parts.get("name") or "").lower():
        month = next((number for number, known in enumerate(_NAMES, 1) if known.startswith(name)), 0)
        month = 9 if name == "sept" else month
        return (int(parts["day"] or 0), month) if month else None
    if parts.get("month"):
        return int(parts["day"] or 0), int(parts["month"] or 0)
    first, second = int(parts["first"] or 0), int(parts["second"] or 0)
    known = DAY if parts["mark"] == "." else order
    if known is None and (first > 12 or first == second):
        known = DAY
    elif known is None and second > 12:
        known = MONTH
    return None if known is None else (first, second) if known == DAY else (second, first)


def _clock(parts: dict[str, str | None]) -> str:
    """The time of a date as ISO-8601 writes it; empty where it has none."""
    if not parts["time"]:
        return ""
    hour, _, rest = parts["time"].partition(":")
    half = (parts["half"] or "").lower()[:1]
    shown = int(hour) % 12 + 12 * (half == "p") if half else int(hour)
    zone = parts["zone"] or ""
    return f"T{shown:02}:{rest}{'+00:00' if zone.upper() in {'Z', 'UTC', 'GMT'} else zone}"
