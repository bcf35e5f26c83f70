"""Plain text and Markdown: one document in each file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hybrid_search.errors import RecordError
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import OnBad, RawRecord, RawRecords
from hybrid_search.read.streams import PACKED, opened
from hybrid_search.records import ResumePoint

MARKDOWN = frozenset({".md", ".markdown"})
TEXT = MARKDOWN | {".txt", ".text", ".rst"}
_FRONT_MATTER = re.compile(r"\A---\n(?P<keys>.*?)^---\s*$\n?", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(
    r"^#{1,6}[ \t]+(?P<title>.+?)[ \t]*#*[ \t]*$|^(?P<underlined>\S.*)\n(?:=+|-+)[ \t]*$", re.MULTILINE
)


class Titled(NamedTuple):
    """A text without its title, and the title."""

    title: str
    text: str


def text_files(folder: Path) -> list[Path]:
    """Text and Markdown files under a folder, hidden ones left out, sorted."""
    found = (path for path in folder.rglob("*") if suffix_of(path) in TEXT and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, that of a compression left aside, in lower case."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in PACKED), "")


def read_texts(files: Sequence[Path], folder: Path, on_bad: OnBad, *, start: ResumePoint | None = None) -> RawRecords:
    """Records with ``_id`` (the path below ``folder``), ``title`` (the first heading, else the name) and ``text``.

    Files before ``start`` are not opened; the place behind each is said.
    """
    for number, path in enumerate(files):
        if start is not None and number < start.offset:
            continue
        with opened(path) as stream:
            data = stream.read(MAX_LINE)
        name = path.relative_to(folder).as_posix()
        try:
            titled = _titled(_decoded(data, path), path)
        except RecordError as error:
            on_bad(error, data)
            continue
        yield RawRecord(
            {"_id": name, "title": titled.title, "text": titled.text},
            str(path),
            data,
            ResumePoint(number + 1, 1),
        )


def _decoded(data: bytes, path: Path) -> str:
    if len(data) == MAX_LINE:
        raise RecordError(f"the text is longer than {MAX_LINE} bytes", where=str(path), remedy="Split the file")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is {data[error.start]:#04x}, which is not UTF-8"
        raise RecordError(what, where=str(path), remedy="Write the file in UTF-8: iconv -t UTF-8") from None


def _titled(text: str, path: Path) -> Titled:
    name = path.name.partition(".")[0] or path.name
    if not text.strip():
        raise RecordError("the text is empty", where=str(path), remedy="Leave the file out")
    return markdown_title(text, name) if suffix_of(path) in MARKDOWN else Titled(name, text)


def markdown_title(text: str, name: str) -> Titled:
    """The title of a Markdown text: of its front matter, else its first heading, else ``name``; each taken off."""
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    given = re.search(r"^title:[ \t]*(.+?)[ \t]*$", front["keys"], re.MULTILINE) if front else None
    if given:
        return Titled(given[1].strip("\"'"), body)
    heading = _HEADING.search(body)
    if heading is None:
        return Titled(name, body)
    return Titled(
        heading["title"] or heading["underlined"], body[: heading.start()] + body[heading.end() :].lstrip("\n")
    )
