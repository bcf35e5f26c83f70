"""Plain text and Markdown: one document in each file."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hybrid_search.errors import EmptyTextError, RecordError
from hybrid_search.read.formats.bulk import read_console
from hybrid_search.read.formats.json_layout import Layout, is_console
from hybrid_search.read.front_matter import front_matter
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import RawRecord, RawRecords
from hybrid_search.read.streams import PACKED

if TYPE_CHECKING:
    from hybrid_search.read.formats.input_file import InputFile

MARKDOWN = frozenset({".md", ".markdown", ".mdx"})
TEXT = MARKDOWN | {".txt", ".text", ".rst"}
OWN_FIELDS = ("_id", "title", "text")
"""Those of a file that is one document; a field of its front matter with such a name is kept as ``front_NAME``."""
_HEADING = re.compile(
    r"^#{1,6}[ \t]+(?P<title>.+?)[ \t]*#*[ \t]*$|^(?P<underlined>\S.*)\n(?:=+|-+)[ \t]*$", re.MULTILINE
)


class Titled(NamedTuple):
    """A text without its title, and the title."""

    title: str
    text: str


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, that of a compression left aside, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in PACKED), "")


def read_text(given: InputFile) -> RawRecords:
    """The record of a file: ``_id`` (its path), ``title``, ``text`` and the fields of its front matter.

    The title is that of the front matter, else the first heading, else the file's name. An export of the Kibana
    console, which is a text file by its name, is read as the documents that it indexes.
    """
    with given.opened() as stream:
        data = stream.read(MAX_LINE)
    if given.is_alone and suffix_of(given.path) == ".txt" and is_console(data):
        given.on_note(f"{given.place}: is read as {Layout.CONSOLE}")
        yield from read_console(BytesIO(data), given.place, given.on_bad, given.on_note)
        return
    try:
        text = decoded(data, given.place)
    except RecordError as error:
        given.on_bad(error, data)
        return
    name = given.path.name.partition(".")[0] or given.path.name
    is_markdown = suffix_of(given.path) in MARKDOWN
    titled = markdown_title(text, name) if is_markdown else Titled(name, text)
    fields = front_matter(text).fields if is_markdown else {}
    yield document_record(given, titled, fields, data)


def document_record(given: InputFile, titled: Titled, fields: dict[str, Any], data: bytes | None = None) -> RawRecord:
    """The record of a file that is one document."""
    others = {f"front_{key}" if key in OWN_FIELDS else key: value for key, value in fields.items() if key != "title"}
    values = {"_id": given.name, "title": titled.title, "text": titled.text, **others}
    return RawRecord(values, given.place, data)


def decoded(data: bytes, place: str) -> str:
    """The text of a file.

    Raises:
        RecordError: it is longer than 64 MiB, not UTF-8, or empty (EmptyTextError).
    """
    if len(data) == MAX_LINE:
        raise RecordError(f"the text is longer than {MAX_LINE} bytes", where=place, remedy="Split the file")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is {data[error.start]:#04x}, which is not UTF-8"
        raise RecordError(what, where=place, remedy="Write the file in UTF-8: iconv -t UTF-8") from None
    if not text.strip():
        raise EmptyTextError("the text is empty", where=place, remedy="Leave the file out")
    return text


def markdown_title(text: str, name: str) -> Titled:
    """The title of a Markdown text: of its front matter, else its first heading, else ``name``; each taken off."""
    front = front_matter(text)
    if given := front.fields.get("title"):
        return Titled(str(given), front.body)
    heading = _HEADING.search(front.body)
    if heading is None:
        return Titled(name, front.body)
    body = front.body
    return Titled(
        heading["title"] or heading["underlined"], body[: heading.start()] + body[heading.end() :].lstrip("\n")
    )
