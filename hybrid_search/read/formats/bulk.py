"""What Elasticsearch and OpenSearch write and take: bodies of ``_bulk``, hits of searches, a console's export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from hybrid_search.errors import RecordError
from hybrid_search.read.formats.json_layout import is_action
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, OnNote, RawRecord, RawRecords

_HIT = frozenset({"sort", "fields", "highlight", "found", "matched_queries", "inner_hits"})
_REQUEST = re.compile(r"(GET|POST|PUT|DELETE|HEAD|PATCH)[ \t]+(\S+)")
_DOCUMENT = re.compile(r"/?(?P<index>[^/?]+)/(?:_doc|_create|doc)(?:/(?P<id>[^/?]+))?/?(?:\?.*)?")
_BULK = re.compile(r"/?(?:[^/?]+/)?(?:[^/?]+/)?_bulk/?(?:\?.*)?")
_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)


def unwrapped(values: dict[str, Any]) -> dict[str, Any]:
    """The document inside a hit, as elasticdump and searches write it, with its ``_id``; any other object as it is."""
    source = values.get("_source")
    if not isinstance(source, dict) or "_id" not in values:
        return values
    return with_id(source, values) if all(key.startswith("_") or key in _HIT for key in values) else values


def with_id(source: dict[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """A document with the ``_id`` that stood beside it."""
    identifier = about.get("_id")
    return source if identifier is None else {"_id": identifier, **source}


def read_bulk(lines: RawRecords, place: str, on_bad: OnBad, on_note: OnNote) -> RawRecords:
    """Documents of the lines of ``_bulk`` bodies, with the ids of their actions.

    Deletions are passed over and counted in a note; updates, which are parts of documents, go to ``on_bad`` unless
    they say that they are whole (``doc_as_upsert``).
    """
    action: RawRecord | None = None
    indices: dict[str, None] = {}
    deleted = 0
    for record in lines:
        if action is None or is_action(record.values):
            if action is not None:
                _report(on_bad, "the action has no document", action)
            action = None
            if not is_action(record.values):
                _report(on_bad, "expected an action: index, create, update or delete", record)
            elif "delete" in record.values:
                deleted += 1
            else:
                action = record
            continue
        ((name, about),) = action.values.items()
        action = None
        if "_index" in about:
            indices[str(about["_index"])] = None
        if name == "update" and not _is_whole(record.values):
            _report(on_bad, "an update is a part of a document", record)
            continue
        yield record._replace(values=with_id(record.values["doc"] if name == "update" else record.values, about))
    if action is not None:
        _report(on_bad, "the action has no document", action)
    _note(place, deleted, list(indices), on_note)


def _is_whole(values: Mapping[str, Any]) -> bool:
    return values.get("doc_as_upsert") is True and isinstance(values.get("doc"), dict)


def _report(on_bad: OnBad, what: str, record: RawRecord) -> None:
    on_bad(RecordError(what, where=record.where, remedy="Write an action and a document in turn"), record.as_bytes())


def _note(place: str, deleted: int, indices: list[str], on_note: OnNote) -> None:
    if deleted:
        on_note(f"{place}: deletions in its _bulk bodies were passed over: {deleted:,}")
    if len(indices) > 1:
        on_note(f"{place}: documents for {len(indices)} indices ({', '.join(indices[:5])}) are read as one source")


def read_console(stream: BinaryIO, place: str, on_bad: OnBad, on_note: OnNote) -> RawRecords:
    """Documents of a console's requests: ``POST _bulk``, ``PUT index/_doc/id``; others are counted in a note."""
    others = 0
    for number, method, path, body in _requests(stream):
        if _BULK.fullmatch(path):
            yield from read_bulk(_json_lines(body, number, place, on_bad), place, on_bad, on_note)
            continue
        target = _DOCUMENT.fullmatch(path) if method in {"POST", "PUT"} else None
        if target is None:
            others += 1
            continue
        about = {"_id": target["id"]} if target["id"] else {}
        for record in _json_lines([_one_line(body)], number, place, on_bad):
            yield record._replace(values=with_id(record.values, about))
    if others:
        on_note(f"{place}: requests that index no document were passed over: {others:,}")


def _requests(stream: BinaryIO) -> Iterator[tuple[int, str, str, list[str]]]:
    """Line, method, path and body of each request; comments and empty lines are left out of the body."""
    request: tuple[int, str, str, list[str]] | None = None
    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), 1):
        text = line.decode("utf-8-sig", "surrogateescape").rstrip()
        if found := _REQUEST.match(text):
            if request is not None:
                yield request
            request = number, found[1], found[2], []
        elif request is not None and text and not text.lstrip().startswith(("#", "//")):
            request[3].append(text)
    if request is not None:
        yield request


def _one_line(body: list[str]) -> str:
    """A body over several lines as one, the console's strings in triple quotes as JSON's."""
    return _QUOTED.sub(lambda match: json.dumps(match[1]), "\n".join(body))


def _json_lines(lines: list[str], number: int, place: str, on_bad: OnBad) -> RawRecords:
    for offset, line in enumerate(lines, 1):
        where = f"{place}:{number + offset}"
        data = line.encode("utf-8", "surrogateescape")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            on_bad(RecordError(f"broken JSON: {error}", where=where, remedy="Mend the request"), data)
            continue
        if isinstance(values, dict):
            yield RawRecord(values, where, data + b"\n")
        else:
            on_bad(RecordError("expected an object", where=where, remedy="Mend the request"), data)
