"""What was shown and what was clicked, from the logs that searches leave.

Two kinds of lines are read, and may stand in one file or in several:

- User Behavior Insights of OpenSearch, the documents of ``ubi_queries`` (``query_id``, ``user_query``,
  ``query_response_hit_ids``) and of ``ubi_events`` (``action_name``, ``query_id``,
  ``event_attributes.object.object_id``) as JSON lines, as they are or as an export has them, under ``_source``;
- ``query``, ``shown`` (a document's id), ``clicked`` (0 or 1) and ``position`` (from 1): as JSON lines, or as four
  columns between tabs, with or without a header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read.streams import opened

COLUMNS = ("query", "shown", "clicked", "position")
CLICK = "click"

Impression = tuple[str, str, int]
"""A query, a document and the position, from 1, at which it was shown."""

_CLICKED = {"1": True, "0": False, "true": True, "false": False}


@dataclass(slots=True)
class ClickLog:
    """How often each document was shown at each position for each query, and how often it was clicked there.

    Attributes:
        shown: how often; queries as :func:`asked` has them.
        clicked: how often of these; several clicks after one search count once.
        unmatched: clicks on what no search of the log had shown.
        unlisted: searches whose list of hits is not in the log.
    """

    shown: Counter[Impression] = field(default_factory=Counter)
    clicked: Counter[Impression] = field(default_factory=Counter)
    unmatched: int = 0
    unlisted: int = 0

    def add(self, query: str, document: str, position: int, *, clicked: bool) -> None:
        """One impression."""
        key = asked(query), document, position
        self.shown[key] += 1
        self.clicked[key] += clicked


def asked(query: str) -> str:
    """The same for queries that differ in case and white space alone."""
    return " ".join(query.split()).casefold()


@dataclass(slots=True)
class _Insights:
    """Searches and clicks of User Behavior Insights, in whatever order they come."""

    searches: dict[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    clicks: set[tuple[str, str]] = field(default_factory=set)

    def into(self, log: ClickLog) -> None:
        """Every search's list, with what was clicked in it."""
        for id_, (query, hits) in self.searches.items():
            log.unlisted += not hits
            for position, document in enumerate(hits, start=1):
                log.add(query, document, position, clicked=(id_, document) in self.clicks)
        lists = {(id_, document) for id_, (_, hits) in self.searches.items() for document in hits}
        log.unmatched += len(self.clicks - lists)


def read_clicks(paths: Iterable[str | Path], *, actions: Iterable[str] = (CLICK,)) -> ClickLog:
    """The log of files, compressed or not.

    Args:
        paths: files of either kind of lines; ``-`` is standard input.
        actions: the ``action_name`` of events that say that a hit was good: ``click``, ``add_to_cart``.

    Raises:
        SourceError: a file cannot be read, or there is no impression in any.
        RecordError: a line is none of the kinds, or a value is not what it should be.
    """
    log, insights, wanted = ClickLog(), _Insights(), frozenset(actions)
    for path in paths:
        with opened(path) as stream:
            for where, line in _lines(stream, str(path)):
                if line.lstrip().startswith("{"):
                    _take(_object(line, where), log, insights, wanted, where)
                elif (cells := [cell.strip() for cell in line.split("\t")]) != list(COLUMNS):
                    _take_row(cells, log, where)
    insights.into(log)
    if not log.shown:
        raise SourceError(
            "there is no search with its hits",
            where=", ".join(map(str, paths)),
            remedy="Give ubi_queries (with query_response_hit_ids) and ubi_events, or query, shown, clicked, position",
        )
    return log


def _lines(stream: Iterable[bytes], place: str) -> Iterator[tuple[str, str]]:
    for number, data in enumerate(stream, start=1):
        try:
            line = data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 at byte {error.start + 1}"
            raise RecordError(what, where=f"{place}:{number}", remedy="Write it in UTF-8") from None
        if line.strip():
            yield f"{place}:{number}", line


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"no JSON: {error}", where=where, remedy="Write one JSON object on each line") from error
    source = value.get("_source", value)
    return source if isinstance(source, dict) else {}


def _take(record: Mapping[str, Any], log: ClickLog, insights: _Insights, actions: frozenset[str], where: str) -> None:
    """One JSON object, by the keys that it has."""
    if "action_name" in record:
        document = _object_id(record)
        if record["action_name"] in actions and document is not None and record.get("query_id") is not None:
            insights.clicks.add((str(record["query_id"]), document))
    elif "user_query" in record and record.get("query_id") is not None:
        hits = record.get("query_response_hit_ids")
        listed = list(dict.fromkeys(map(str, hits))) if isinstance(hits, list) else []
        insights.searches[str(record["query_id"])] = str(record["user_query"] or ""), listed
    elif all(name in record for name in COLUMNS):
        values = [record[name] for name in COLUMNS]
        _take_row([str(int(one) if isinstance(one, bool) else one) for one in values], log, where)
    else:
        raise RecordError(
            "neither a query, nor an event, nor an impression",
            where=where,
            remedy="Expected ubi_queries, ubi_events, or query, shown, clicked, position",
        )


def _object_id(event: Mapping[str, Any]) -> str | None:
    attributes = event.get("event_attributes")
    described = attributes.get("object") if isinstance(attributes, dict) else None
    id_ = described.get("object_id") if isinstance(described, dict) else None
    return None if id_ is None else str(id_)


def _take_row(cells: Sequence[str], log: ClickLog, where: str) -> None:
    if len(cells) != len(COLUMNS):
        what = f"expected query, shown, clicked and position, got {len(cells)} columns"
        raise RecordError(what, where=where, remedy="Separate the columns by tabs")
    query, document, clicked, position = cells
    if clicked.lower() not in _CLICKED:
        raise RecordError(f"clicked is {clicked!r}", where=where, remedy="Use 0 or 1")
    if not (position.isascii() and position.isdigit()) or int(position) < 1:
        raise RecordError(f"the position is {position!r}", where=where, remedy="Positions count from 1")
    log.add(query, document, int(position), clicked=_CLICKED[clicked.lower()])
