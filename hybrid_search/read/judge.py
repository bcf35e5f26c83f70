"""What a column of a sample holds, its role in a search, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

from hybrid_search.errors import RecordError
from hybrid_search.fields import moment, number
from hybrid_search.read.coordinates import is_place
from hybrid_search.read.html import holds_markup, html_text
from hybrid_search.read.names import is_body, is_dated, is_placed, title_rank
from hybrid_search.read.vectors import dense_vector, sparse_vector
from hybrid_search.readings import DAY, MONTH, PRINTED, boolean_in, is_missing, parts_of, printed_list

_LEAST_DIMENSION = 8
_LEAST_TERMS = 5
_LONGEST_LABEL = 60
_REPEATING = 0.9
"""A label to filter on is short, and at least a tenth of the records share theirs with another."""
_OFTEN_REPEATING = 0.5
_MOST_WORDS = 4
"""A label of more words is rather a text, unless every other record shares it."""
_FEWEST_WORDS = 3
_LONGEST_TITLE = 200
_MOST = 0.95
"""Of the values of a field that are numbers, dates or words for yes and no; the others are counted, and let pass."""
_MANY = 0.8
"""The same where the others are a few words that come again: ``on request``."""
_FEW_WORDS = 3
_MARKED = 0.5
"""Of texts with tags: some texts speak of them."""
_SEEN = 0.05
_PLAIN_WORDS = frozenset({"yes", "true", "false"})
_SEPARATORS = ("|", ";", ",")
_LETTERS = 0.5
ADDRESSES, FEW_LETTERS = "addresses", "few letters"


class Role(StrEnum):
    """What a field is used for; ``STORED`` fields come with the hits and are nothing more."""

    ID = "id"
    TEXT = "text"
    KEYWORD = "keyword"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    GEO = "geo"
    DENSE = "dense"
    SPARSE = "sparse"
    STORED = "stored"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a field holds, its role, why, and how its values are read: see ``DocumentSettings``."""

    kind: str
    role: Role
    reason: str
    separator: str | None = None
    decimal: str = "."
    date_order: str | None = None
    lenient: bool = False
    html: bool = False


@dataclass(slots=True)
class Column:
    """The values of one field that are there and not empty."""

    name: str
    values: list[Any] = field(default_factory=list)
    in_list: bool = False
    """Whether it is of objects in a list: such a field is filtered on, and no text."""
    is_shared: bool = False
    """Whether another field has the name too: ``a.b``, and ``b`` inside ``a``."""

    def all(self, test: Callable[[Any], bool]) -> bool:
        """Whether all values pass."""
        return all(map(test, self.values))

    def all_read(self, read: Callable[[Any], Any]) -> bool:
        """Whether a reader takes all values."""
        return all(_reads(read, value) for value in self.values)

    def share(self, test: Callable[[Any], bool]) -> float:
        """Of the values that pass."""
        return sum(map(test, self.values)) / len(self.values)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(map(str, self.values)))

    @property
    def words(self) -> float:
        """On average; of scripts without blanks half the characters are taken for words."""
        return sum(map(_words, self.values)) / len(self.values)

    @property
    def length(self) -> float:
        """On average, in characters."""
        return sum(len(str(value)) for value in self.values) / len(self.values)


def judged(column: Column) -> Finding:
    """What a column holds and is good for."""
    if column.is_shared:
        return Finding("mixed", Role.STORED, "two fields have this name")
    judges = (_judged_place, _judged_structure, _judged_boolean, _judged_date, _judged_number, _judged_strings)
    found = (judge(column) for judge in judges)
    return next((one for one in found if one is not None), Finding("mixed", Role.STORED, "of several types"))


def could_be_title(column: Column) -> bool:
    """Whether the values are short texts, and its name that of a title."""
    rank = title_rank(column.name)
    is_short = column.all(lambda value: isinstance(value, str)) and column.length <= _LONGEST_TITLE
    return bool(rank) and is_short and not column.is_shared and (rank > 1 or column.distinct >= len(column.values) / 2)


def is_sparse(column: Column) -> bool:
    """Objects of weights: several terms in each, and other terms in other records."""
    if not column.all(lambda value: isinstance(value, dict) and len(value) >= _LEAST_TERMS):
        return False
    return column.all_read(lambda value: sparse_vector(value, column.name)) and (
        len(column.values) == 1 or len({frozenset(value) for value in column.values}) > 1
    )


def _judged_place(column: Column) -> Finding | None:
    named = is_placed(column.name)
    return Finding("places", Role.GEO, "places") if column.all(partial(is_place, named=named)) else None


def _judged_structure(column: Column) -> Finding | None:
    """Booleans, vectors and lists as JSON has them."""
    if column.all(lambda value: isinstance(value, bool)):
        return Finding("boolean", Role.KEYWORD, "yes or no")
    dimension = _dimension(column)
    if dimension >= _LEAST_DIMENSION:
        return Finding("dense vector", Role.DENSE, f"{dimension} numbers in each")
    if is_sparse(column):
        return Finding("sparse vector", Role.SPARSE, "positive weights of terms")
    if column.all(_is_list_of_text):
        items = [item for value in column.values for item in value]
        is_short = all(len(item) <= 100 for item in items)
        is_spoken = sum(map(_words, items)) >= _FEWEST_WORDS * len(items) and len(set(items)) > len(items) / 2
        role, reason = (Role.KEYWORD, "short labels") if is_short and not is_spoken else (Role.TEXT, "paragraphs")
        return Finding("list of text", role, reason)
    return None


def _judged_boolean(column: Column) -> Finding | None:
    """Words for yes and no; digits alone are numbers."""
    written = {str(value).strip().lower() for value in column.values if not is_missing(value)}
    if not any(isinstance(value, str) for value in column.values) or not written - {"0", "1"}:
        return None
    if len({boolean_in(word) for word in written}) == 1 and not written & _PLAIN_WORDS:
        return None  # all NO may be Norway
    counted = _counted(column, boolean_in)
    if counted is None:
        return None
    reason = f"yes or no, in {len(written):,} words" if len(written) > 2 else "yes or no"
    return Finding("boolean", Role.BOOLEAN, _with_others(reason, counted), lenient=counted.others > 0)


def _judged_date(column: Column) -> Finding | None:
    if not column.all(lambda value: isinstance(value, str | int) and not isinstance(value, bool)):
        return None
    order = _order(column)
    counted = _counted(column, partial(_date_of, order=order, is_dated=is_dated(column.name)))
    if counted is None:
        if order is None and _counted(column, partial(_date_of, order=DAY, is_dated=False)) is not None:
            return Finding("date", Role.STORED, "day or month first? say it in date_order")
        return None
    reason = "dates" if order is None else f"dates, the {order} first"
    return Finding("date", Role.DATE, _with_others(reason, counted), date_order=order, lenient=counted.others > 0)


def _judged_number(column: Column) -> Finding | None:
    decimal = _decimal(column)
    counted = _counted(column, partial(_number_of, decimal=decimal))
    if counted is None:
        return None
    if any(map(_is_label, column.values)):
        role = Role.KEYWORD if column.all_read(_label_of) else Role.STORED
        return Finding("numeric label", role, "leading zeros or plus signs")
    reason = "numbers, with a decimal comma" if decimal == "," else "numbers"
    return Finding(
        "number",
        Role.NUMBER,
        _with_others(reason, counted),
        decimal=decimal,
        lenient=counted.others > 0,
    )


def _judged_strings(column: Column) -> Finding | None:
    if not column.all(lambda value: isinstance(value, str)):
        return None
    if column.share(lambda value: printed_list(value) is not None) >= _MOST:
        return _judged_printed(column)
    if column.all(lambda value: re.match(r"[a-z]+://\S+$", value) is not None):
        return Finding("text", Role.STORED, ADDRESSES)
    marked = column.share(holds_markup)
    is_label = _judged_text(column)[0] == Role.KEYWORD and not any("<" in value for value in column.values)
    if marked >= _MARKED and not is_label:
        plain = replace_values(column, html_text)
        return Finding("HTML", Role.TEXT, f"{_length(plain)} without its tags", html=True)
    separator = _separator(column)
    if separator is not None:
        return Finding("list in a cell", Role.KEYWORD, f"lists, split at {separator}", separator=separator)
    role, reason = _judged_text(column)
    has_tags = role == Role.TEXT and marked >= _SEEN
    return Finding("text", role, f"{reason}; {marked:.0%} hold tags, see html" if has_tags else reason)


def _judged_text(column: Column) -> tuple[Role, str]:
    if could_be_title(column) or is_body(column.name):
        return Role.TEXT, _length(column)
    repeating = _REPEATING if column.words < _MOST_WORDS else _OFTEN_REPEATING
    if column.length <= _LONGEST_LABEL and column.distinct < repeating * len(column.values):
        return Role.KEYWORD, f"{column.distinct:,} value{'s' * (column.distinct > 1)}"
    if sum(map(_letters, column.values)) < _LETTERS * len(column.values):
        return Role.STORED, FEW_LETTERS
    if column.words >= _FEWEST_WORDS:
        return Role.TEXT, _length(column)
    return Role.STORED, "seldom the same"


def _judged_printed(column: Column) -> Finding:
    items = [item for value in column.values for item in parts_of(value, PRINTED)]
    if all(isinstance(item, str | int) and len(str(item)) <= _LONGEST_LABEL for item in items):
        return Finding("printed list", Role.KEYWORD, "printed lists of labels", separator=PRINTED)
    return Finding("printed list", Role.STORED, "printed lists")


def replace_values(column: Column, change: Callable[[Any], Any]) -> Column:
    """The column with other values."""
    return replace(column, values=[change(value) for value in column.values])


@dataclass(frozen=True, slots=True)
class _Counted:
    """Of ``total`` values without words for none, ``others`` could not be read; ``missing`` are those words."""

    total: int
    others: int
    missing: int
    example: str = ""


def _counted(column: Column, read: Callable[[Any], Any]) -> _Counted | None:
    """How many values a reader takes, None where they are too few; a reader gives None, or raises ValueError."""
    written = [value for value in column.values if not is_missing(value)]
    others = Counter(str(value) for value in written if not _reads(read, value))
    count, total = others.total(), len(written)
    has_few_words = len(others) <= _FEW_WORDS and count > len(others)
    if not total or total - count < (_MANY if has_few_words else _MOST) * total:
        return None
    return _Counted(total, count, len(column.values) - total, next((other for other, _ in others.most_common(1)), ""))


def _with_others(reason: str, counted: _Counted) -> str:
    said = [reason]
    if counted.others:
        shown = counted.example if len(counted.example) <= 20 else f"{counted.example[:19]}…"
        said.append(f"{counted.others:,} of {counted.total:,} are not: {shown}")
    if counted.missing:
        said.append(f"{counted.missing:,} missing")
    return "; ".join(said)


def _reads(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        return read(value) is not None
    except (RecordError, ValueError):
        return False


def _date_of(value: Any, order: str | None, *, is_dated: bool) -> str | int | None:
    """A date; years and other numbers are none as far as one can see, unless the field's name speaks of a time."""
    digits = str(value).strip()
    if digits.lstrip("-").isdigit():
        is_whole = len(digits) == 8 or len(digits) >= 12
        return moment(value, order) if is_dated and is_whole else None
    return moment(value, order) if isinstance(value, str) and len(digits) > 4 else None


def _order(column: Column) -> str | None:
    """What comes first in dates with slashes or hyphens, as far as one of them shows it."""
    pairs = [re.match(r"\s*(\d{1,2})([/-])(\d{1,2})\2\d{4}", str(value)) for value in column.values]
    found = [(int(pair[1]), int(pair[3])) for pair in pairs if pair]
    day, month = any(first > 12 for first, _ in found), any(second > 12 for _, second in found)
    return None if day == month else DAY if day else MONTH


def _decimal(column: Column) -> str:
    """A comma where values show that it is the decimal mark, and none that a point is."""
    texts = [re.sub(r"[^\d.,]", "", value) for value in column.values if isinstance(value, str) and len(value) <= 60]
    comma = any(re.fullmatch(r"(\d{1,3}(\.\d{3})*|\d+),(\d{1,2}|\d{4,})", text) for text in texts)
    point = any(re.fullmatch(r"(\d{1,3}(,\d{3})*|\d+)\.(\d{1,2}|\d{4,})", text) for text in texts)
    return "," if comma and not point else "."


def _number_of(value: Any, decimal: str) -> int | float:
    return number(value, decimal)


def _label_of(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("no label")  # noqa: TRY004 one exception for type and value
    return str(value)


def _is_label(value: Any) -> bool:
    """Digits that would not come back from a number: ``01730`` and ``+49`` are a post code and a telephone number."""
    return isinstance(value, str) and re.match(r"\s*(\+|-?0\d)", value) is not None


def _separator(column: Column) -> str | None:
    """What separates labels that come again, where half of the values have several of them."""
    for separator in _SEPARATORS:
        if separator == ";" and any("&" in value for value in column.values):
            continue  # the end of an entity
        cells = [parts_of(value, separator) for value in column.values]
        items = [item for cell in cells for item in cell]
        several = sum(len(cell) > 1 for cell in cells)
        is_short = all(len(item) <= _LONGEST_LABEL and len(item.split()) <= _FEWEST_WORDS for item in items)
        is_repeated = len(set(items)) < (len(items) / 2 if separator != "," else len(items) / 4)
        if several >= len(cells) / 2 and is_short and is_repeated:
            return separator
    return None


def _words(value: Any) -> float:
    text = str(value)
    count = len(text.split())
    dense = sum("\u3040" <= character <= "\u9fff" or "\u0e00" <= character <= "\u0e7f" for character in text[:1000])
    return max(count, dense / 2)


def _letters(value: str) -> float:
    """The share of letters among what is no white space."""
    marks = [character for character in value[:1000] if not character.isspace()]
    return sum(map(str.isalpha, marks)) / max(1, len(marks))


def _length(column: Column) -> str:
    """As an average over the records that have the field."""
    words = max(1, round(column.words))
    return f"{words:,} word{'s' * (words > 1)} long"


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _dimension(column: Column) -> int:
    """The one size of all dense vectors of a field; 0 where they are none, or of several sizes."""
    first = column.values[0]
    if not isinstance(first, list) and not (isinstance(first, str) and len(first) > 40 and " " not in first):
        return 0
    try:
        sizes = {dense_vector(value, column.name).size for value in column.values}
    except RecordError:
        return 0
    return sizes.pop() if len(sizes) == 1 else 0


def texts_of(column: Column, finding: Finding) -> Sequence[str]:
    """The texts of a column, those of HTML without its tags."""
    texts = [value for value in column.values if isinstance(value, str)]
    return [html_text(text) for text in texts] if finding.html else texts
