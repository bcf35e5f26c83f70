"""Names of columns: every one its own, and one made where a column has none."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from hybrid_search.errors import SourceError
from hybrid_search.read.raw import OnNote

INDEX = "index"
"""The name of a first column without one: pandas' ``to_csv`` and spreadsheets leave that of row labels empty."""


def header_names(rows: Iterator[list[str]], place: str, on_note: OnNote) -> list[str]:
    """The header, which is the first row that is not empty.

    Raises:
        SourceError: it is broken, or names a column twice.
    """
    filled = (row for row in rows if any(cell.strip() for cell in row))
    try:
        names = next(filled, [])
    except csv.Error as error:
        raise SourceError(f"the header is broken: {error}", where=f"{place}:1", remedy="Quote its names") from None
    return named_columns(names, place, on_note)


def named_columns(names: list[str], place: str, on_note: OnNote) -> list[str]:
    """Names without blanks around them; a column that has none is ``index`` if it is the first, else ``column_N``."""
    given = [name.strip() for name in names]
    repeated = {name for name in given if name and given.count(name) > 1}
    if repeated:
        what = f"the header names {min(repeated)!r} twice"
        raise SourceError(what, where=f"{place}:1", remedy="Give every column its own name")
    made = {
        number: INDEX if number == 0 and INDEX not in given else _free(f"column_{number + 1}", given)
        for number, name in enumerate(given)
        if not name
    }
    if made:
        on_note(f"{place}: columns without a name are called {', '.join(made.values())}")
    return [made.get(number, name) for number, name in enumerate(given)]


def _free(name: str, taken: list[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)
