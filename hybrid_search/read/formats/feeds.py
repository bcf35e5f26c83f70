"""XML as a stream: feeds (RSS, Atom), dumps of MediaWiki, and any file of elements that repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from hybrid_search.errors import SourceError
from hybrid_search.read.encodings import as_utf8
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.html import html_text
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import RawRecord, RawRecords

if TYPE_CHECKING:
    from io import BufferedReader
    from xml.etree.ElementTree import Element

FEEDS = {"rss": "item", "RDF": "item", "feed": "entry", "mediawiki": "page"}
"""The elements that are records, by the root of the file."""

_DECLARATION = re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml[^>]*encoding=|\xff\xfe|\xfe\xff")
"""The parser reads what a declaration or a mark says."""

_ALIKE = {
    "guid": "_id",
    "id": "_id",
    "description": "summary",
    "encoded": "content",
    "pubDate": "published",
    "date": "published",
    "updated": "updated",
    "creator": "author",
    "category": "tags",
}
"""Elements of feeds by the name of the field."""


def read_xml(given: InputFile) -> RawRecords:
    """Items of feeds, with the text of their HTML; pages of MediaWiki; or the elements that ``--records`` names.

    A record of any other file has the attributes and elements of its element as fields, those that repeat as lists.

    Raises:
        SourceError: it is no XML from some place on, defines entities, or holds no such element.
    """
    with given.opened_as_is() as file:
        says_so = _DECLARATION.match(cast("BufferedReader", file).peek(200))
        stream = file if says_so else as_utf8(file, given.place, given.on_note)
        bounded = _Bounded(stream, given.place)
        events = _events(bounded, given.place)
        _, root = next(events)
        kind = _local(root)
        name = (given.records_path or "").split(".")[-1] or FEEDS.get(kind)
        if name is None:
            raise _unknown(root, events, given)
        compose = _fields if given.records_path is not None else _page if kind == "mediawiki" else _item
        count = 0
        for count, element in enumerate(_named(events, root, name, bounded), 1):
            values = compose(element)
            yield RawRecord({"text": values} if isinstance(values, str) else values, f"{given.place} {name} {count}")
        if not count:
            raise SourceError(f"holds no element {name!r}", where=given.place, remedy="Check --records")


class _Bounded:
    """A stream that ends with an error where an element takes more than 64 MiB; whoever ends one says so."""

    def __init__(self, stream: Any, place: str) -> None:
        self._stream = stream
        self._place = place
        self.since = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self.since += len(data)
        if self.since > MAX_LINE:
            what = f"has an element of more than {MAX_LINE} bytes"
            raise SourceError(what, where=self._place, remedy="Name smaller elements: --records NAME")
        return data


def _events(stream: _Bounded, place: str) -> Iterator[tuple[str, Element]]:
    """Elements as they begin and as they end, the root first."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    try:
        yield from iterparse(stream, events=("start", "end"))
    except (ParseError, DefusedXmlException, ValueError) as error:
        what = f"cannot be read as XML ({' '.join(str(error).split())})"
        remedy = "Correct the file; entities that it defines itself are not read"
        raise SourceError(what, where=place, remedy=remedy) from None


def _named(events: Iterator[tuple[str, Element]], root: Element, name: str, stream: _Bounded) -> Iterator[Element]:
    """The elements of a name; each, and what lies between them, is dropped when it is done."""
    above, record = [root], None
    for event, element in events:
        if event == "start":
            above.append(element)
            if record is None and _local(element) == name:
                record = element
            continue
        above.pop()
        if record is not None and element is not record:
            continue
        if element is record:
            yield element
            record = None
        stream.since = 0
        if above:
            above[-1].remove(element)


def _local(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _unknown(root: Element, events: Iterator[tuple[str, Element]], given: InputFile) -> SourceError:
    """The error that names the elements which repeat."""
    counts: dict[str, int] = {}
    for event, element in islice(events, 20_000):
        if event == "end" and (len(element) or element.attrib):
            counts[_local(element)] = counts.get(_local(element), 0) + 1
    names = sorted((name for name, count in counts.items() if count > 1), key=lambda name: -counts[name])
    found = f", has the elements {', '.join(names[:5])}" if names else ""
    what = f"is XML of no known kind (its root is {_local(root)}){found}"
    return SourceError(
        what, where=given.place, remedy=f"Name the element of a record: --records {names[0] if names else 'NAME'}"
    )


def _item(element: Element) -> dict[str, Any]:
    """An item of RSS or an entry of Atom: ``_id``, ``title``, ``text``, ``link``, ``published``, ``author`` ..."""
    values: dict[str, Any] = {}
    for child in element:
        name = _local(child)
        field = _ALIKE.get(name, name)
        value = _value(child, field, values)
        if value:
            values[field] = value
    values["text"] = values.pop("content", None) or values.get("summary", "")
    if values.get("summary") == values["text"]:
        values.pop("summary")
    if "_id" not in values and "link" in values:
        values["_id"] = values["link"]
    return values


def _value(child: Element, field: str, values: Mapping[str, Any]) -> Any:
    """What an element of an item says, by its field; None for links to what is not the item itself."""
    if field == "link":
        return (
            (child.get("href") or (child.text or "").strip()) if child.get("rel", "alternate") == "alternate" else None
        )
    if field == "tags":
        return [*values.get("tags", []), child.get("term") or _text(child)]
    if field == "author":
        return next((_text(part) for part in child if _local(part) == "name"), _text(child))
    return _date(_text(child)) if field in {"published", "updated"} else _markup(child)


def _page(element: Element) -> dict[str, Any]:
    """A page of MediaWiki: ``_id``, ``title`` and the ``text`` of its latest revision, in its markup."""
    values: dict[str, Any] = {}
    for child in element.iter():
        name = _local(child)
        if name in {"title", "text"}:
            values[name] = child.text or ""
        elif name == "id":
            values.setdefault("_id", child.text or "")
    return values


def _fields(element: Element) -> dict[str, Any] | str:
    """Attributes and elements as fields, those that come several times as lists; the text of one that has none."""
    values: dict[str, Any] = dict(element.attrib)
    for child in element:
        name, value = _local(child), _fields(child)
        if name == "field" and "name" in child.attrib:  # Solr: <field name="title">
            name, value = child.attrib["name"], _text(child)
        if value in ("", {}):
            continue
        before = values.get(name)
        values[name] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    text = (element.text or "").strip()
    if not values:
        return text
    return {**values, "text": text} if text else values


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _markup(element: Element) -> str:
    """The text of an element that holds HTML, as text or as elements of its own."""
    from xml.etree.ElementTree import tostring

    if len(element):
        for inner in element.iter():
            inner.tag = _local(inner)  # of XHTML too, whose names have a namespace
        return html_text("".join(tostring(child, encoding="unicode") for child in element))
    return html_text((element.text or "").strip())


def _date(text: str) -> str:
    """A date of RSS (RFC 822) in ISO-8601; any other as it is."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC).isoformat()
    except (TypeError, ValueError, IndexError):
        return text
