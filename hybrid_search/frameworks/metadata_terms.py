"""Metadata of any shape as terms of one keyword field: what was never declared is filtered on all the same.

Frameworks give every document a dictionary of whatever their users put there, and filter on any of it. A mapping that
grows with each key is never rid of one again, and two documents whose values differ in type do not fit one mapping.
Here every value of every key becomes a few terms of one field, and a comparison becomes the terms of which it holds
one. A term is a sign, the path of the key and what it says of the value::

    ?year~i             there is a value, a whole number        =year~nc09f9c!i     it is this one
    #year~c09f9         a number whose digits begin so          @Nday~80..          a date, at this moment

(``~`` stands for a separator that no text has.) Numbers are written in digits that ascend with them: those of a double,
most significant first and without zeros at the end, then what a larger whole number has beyond it. Whatever is greater
than a number has, at the first digit that differs, a greater one: so a range is a list of beginnings, at most 256, and
a number has a term for each beginning of its own. Dates likewise, by wall clock and by moment: one without a time zone
compares with another's wall clock. What holds in a list holds in any of its items, as the engines have it, or in the
list as a whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

SEPARATOR = "\x1f"
"""What a path may not hold, and no term has elsewhere but before what it says of a value."""

LONGEST = 1_000
"""Characters of a text that is in a term as it is; of a longer one there is the hash."""

LONGEST_PATH = 150
"""Characters of a path that is."""

NUMBERS = "ifb"
"""Types that compare as numbers: whole, with a fraction, yes or no."""
TYPES = {bool: "b", int: "i", float: "f", str: "s", list: "l", tuple: "l", dict: "d", datetime: "t", date: "t"}
OTHER = "o"
"""Of a type that is kept and compares with nothing."""

_DIGITS = "0123456789abcdef"
_SIGN = 1 << 63
_WALL, _NAIVE, _MOMENT = "W", "N", "U"
_YEAR_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def terms(path: str, value: Any) -> Iterator[str]:
    """The terms of what a key holds; of a dictionary also those of its keys, behind a dot. None has none."""
    if value is None:
        return
    yield _term("?", path, _type(value))
    yield from _of_value(path, value)


def _of_value(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield _term("=", path, _whole(value))
        for key, inner in value.items():
            yield from terms(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        yield _term("=", path, _whole(value))
        for item in value:
            yield from terms(path, item)
    elif isinstance(value, bool | int | float):
        yield from _of_number(path, value)
    elif isinstance(value, str):
        yield _term("=", path, _text(value))
    elif isinstance(value, date):
        yield _term("=", path, f"t{value.isoformat()}")
    if (moment := moment_in(value)) is not None:
        yield from _of_moment(path, moment)


def _of_number(path: str, value: float) -> Iterator[str]:
    if (digits := digits_of(value)) is not None:
        yield _term("=", path, f"n{digits}!{_type(value)}")
        yield from (_term("#", path, digits[:end]) for end in range(1, len(digits) + 1))


def _of_moment(path: str, moment: datetime) -> Iterator[str]:
    for clock, digits in _clocks(moment):
        yield _term(f"={clock}", path, digits)
        yield from (_term(clock, path, digits[:end]) for end in range(1, len(digits) + 1))


def there(path: str) -> str:
    """The term of a key that holds something of which nothing more is said."""
    return _term("?", path, OTHER)


def present(path: str) -> list[str]:
    """Terms of which a document has one whose key holds anything."""
    return [_term("?", path, kind) for kind in (*dict.fromkeys(TYPES.values()), OTHER)]


def equal(path: str, value: Any) -> list[str]:
    """Terms of which a document has one where the key holds this value, or a list that does."""
    found: list[str] = []
    if isinstance(value, bool | int | float):
        digits = digits_of(value)
        found = [] if digits is None else _numbers(path, digits)
    elif isinstance(value, str):
        found = [_term("=", path, _text(value))]
    elif isinstance(value, Mapping | list | tuple):
        found = [_term("=", path, _whole(value))]
    if (moment := moment_in(value)) is not None:
        found += [_term(f"={clock}", path, digits) for clock, digits in _compared(moment)]
    return found


def hashed(path: str, text: str) -> str:
    """The term of a text that is too long to be in terms."""
    return _term("=", path, f"h{_hash(text)}")


def ordered(path: str, operator: str, value: float | datetime) -> list[str]:
    """Terms of which a document has one where the key holds something ``>``, ``>=``, ``<`` or ``<=`` the value."""
    if isinstance(value, datetime):
        bounds = [(clock, digits, [_term(f"={clock}", path, digits)]) for clock, digits in _compared(value)]
    else:
        digits = digits_of(value)
        bounds = [] if digits is None else [("#", digits, _numbers(path, digits))]
    found: list[str] = []
    for sign, digits, same in bounds:
        found += same if "=" in operator else []
        found += (_above if ">" in operator else _below)(sign, path, digits)
    return found


def _above(sign: str, path: str, digits: str) -> list[str]:
    greater = [digits[:at] + other for at, digit in enumerate(digits) for other in _DIGITS if other > digit]
    return [_term(sign, path, beginning) for beginning in (*greater, *(digits + other for other in _DIGITS))]


def _below(sign: str, path: str, digits: str) -> list[str]:
    less = [digits[:at] + other for at, digit in enumerate(digits) for other in _DIGITS if other < digit]
    shorter = [digits[:at] for at in range(1, len(digits)) if digits[at - 1] != "0"]
    if sign == "#":
        same = [term for beginning in shorter for term in _numbers(path, beginning)]
    else:
        same = [_term(f"={sign}", path, beginning) for beginning in shorter]
    return [_term(sign, path, beginning) for beginning in less] + same


def digits_of(number: float) -> str | None:
    """Hexadecimal digits that ascend with the number, without zeros at the end; None for what is no number.

    Those of the double below or at it with its bits in order, then of a whole number what it has beyond that.
    """
    rest = 0
    try:
        nearest = float(number)
        if isinstance(number, int):
            nearest = math.nextafter(nearest, -math.inf) if nearest > number else nearest
            rest = number - int(nearest)
    except OverflowError:
        return None
    if math.isnan(nearest) or rest.bit_length() > 64:
        return None
    bits: int = struct.unpack(">Q", struct.pack(">d", nearest + 0.0))[0]
    ascending = bits ^ (0xFFFFFFFFFFFFFFFF if bits & _SIGN else _SIGN)
    return (f"{ascending:016x}" + (f"{rest:016x}" if rest else "")).rstrip("0")


def value_in(term: str) -> Any:
    """The value that an ``=`` term says; None where it holds the hash of one (:func:`holds_hash`)."""
    said = term.rpartition(SEPARATOR)[2]
    sign, rest = said[:1], said[1:]
    if sign == "n":
        return _number_in(*rest.split("!"))
    if sign == "t":
        return datetime.fromisoformat(rest) if len(rest) > 10 else date.fromisoformat(rest)
    return rest if sign == "s" else None


def holds_hash(term: str) -> bool:
    """Whether an ``=`` term stands for a value that it does not say: a long text, or a whole dictionary."""
    return term.rpartition(SEPARATOR)[2][:1] in {"h", "d"}


def _number_in(digits: str, kind: str) -> float:
    ascending = int(digits[:16].ljust(16, "0"), 16)
    bits = ascending ^ (_SIGN if ascending & _SIGN else 0xFFFFFFFFFFFFFFFF)
    number: float = struct.unpack(">d", struct.pack(">Q", bits))[0]
    if kind == "i":
        return int(number) + int(digits[16:].ljust(16, "0"), 16)
    return bool(number) if kind == "b" else number


def moment_in(value: Any) -> datetime | None:
    """The moment of a date, or of a text that is an ISO 8601 date with its day; None for what is none."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # a day has no time zone
    if not isinstance(value, str) or len(value) < 10 or f"{value[4]}{value[7]}" != "--" or value[10:11] not in "Tt ":
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _clocks(moment: datetime) -> list[tuple[str, str]]:
    """What is kept of a date: its wall clock, and of one with a time zone its moment too."""
    if moment.tzinfo is None:
        return [(_NAIVE, _seconds(moment))]
    return [(_WALL, _seconds(moment.replace(tzinfo=None))), (_MOMENT, _seconds(moment))]


def _compared(moment: datetime) -> list[tuple[str, str]]:
    """What of the dates kept compares with this one: without a time zone wall clocks; with one moments, or its own."""
    wall = _seconds(moment.replace(tzinfo=None))
    return [(_NAIVE, wall), (_WALL, wall) if moment.tzinfo is None else (_MOMENT, _seconds(moment))]


def _seconds(moment: datetime) -> str:
    """Digits that ascend with a date: of its seconds since the year 1, and a day more, then of its microseconds."""
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _YEAR_ZERO
    return f"{since.days * 86_400 + since.seconds + 86_400:010x}{since.microseconds:05x}".rstrip("0")


def _numbers(path: str, digits: str) -> list[str]:
    return [_term("=", path, f"n{digits}!{kind}") for kind in NUMBERS]


def _type(value: Any) -> str:
    return next((sign for kind, sign in TYPES.items() if isinstance(value, kind)), OTHER)


def _text(text: str) -> str:
    return f"s{text}" if len(text) <= LONGEST and _is_plain(text) else f"h{_hash(text)}"


def _whole(value: Any) -> str:
    """The hash of a list or a dictionary, in which equal numbers are one."""
    sign = "d" if isinstance(value, Mapping) else "l"
    return f"{sign}{_hash(json.dumps(_alike(value), sort_keys=True, default=repr))}"


def _alike(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _alike(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_alike(inner) for inner in value]
    return digits_of(value) or repr(value) if isinstance(value, bool | int | float) else value


def _is_plain(text: str) -> bool:
    """Whether a term can hold it as it is: it is text, and has no separator."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return SEPARATOR not in text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def beginning(sign: str, path: str) -> str:
    """What the terms of a sign begin with, whose path begins so; long paths, which are hashes, are not among them."""
    return f"{sign}{path}"


def beginning_of_values(path: str, sign: str = "") -> str:
    """What the terms of a key's values begin with: all, or numbers (n), texts (s) or dates (t)."""
    return _term("=", path, sign)


def field_in(term: str) -> tuple[str, str]:
    """The path and the type that a ``?`` term says."""
    path, _, kind = term[1:].rpartition(SEPARATOR)
    return path, kind


def is_list(term: str) -> bool:
    """Whether an ``=`` term stands for a whole list."""
    return term.rpartition(SEPARATOR)[2].startswith("l")


def value_with(path: str, record: Mapping[str, Any], term: str) -> Any:
    """What a record has at a path that has this term; None where it has nothing such."""
    for value in _values_at(record, path):
        if term in _of_value(path, value):
            return value
    return None


def _values_at(record: Mapping[str, Any], path: str) -> Iterator[Any]:
    """All values at a path: of keys with dots, of objects, and the items of lists on the way."""
    pending: list[tuple[Any, str]] = [(record, path)]
    while pending:
        value, rest = pending.pop()
        if isinstance(value, list | tuple):
            pending += [(item, rest) for item in value]
        elif not rest:
            yield value
        elif isinstance(value, Mapping):
            names = ((str(key), inner) for key, inner in value.items())
            pending += [(inner, rest[len(name) + 1 :]) for name, inner in names if f"{rest}.".startswith(f"{name}.")]


def _term(sign: str, path: str, said: str) -> str:
    return f"{sign}{_said(path)}{SEPARATOR}{said}"


def _said(path: str) -> str:
    return path if len(path) <= LONGEST_PATH and _is_plain(path) else f"\\{_hash(path)}"


def all_terms(metadata: Iterable[tuple[str, Any]]) -> list[str]:
    """The terms of all keys and values, each once, in order."""
    return list(dict.fromkeys(term for path, value in metadata for term in terms(path, value)))
