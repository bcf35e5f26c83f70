"""Pictures: a file is a document, captioned by a text or JSON file beside it, else by its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from hybrid_search.errors import RecordError
from hybrid_search.read.places import leads_out
from hybrid_search.read.raw import RawRecord, RawRecords

if TYPE_CHECKING:
    from hybrid_search.read.formats.input_file import InputFile

IMAGE = "image"
"""The field of a picture's record that has its path; also the name of the format."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
CAPTIONS = (".txt", ".json")
CAPTION_FIELDS = ("caption", "text", "description")
"""Of an object beside a picture, the first that is there; its other fields are stored."""
MOST_CAPTION = 1 << 20
"""Bytes of a file beside a picture."""
_SEPARATORS = re.compile(r"[\s_\-.]+")


def read_photo(given: InputFile) -> RawRecords:
    """The record of a picture: ``_id`` (its path), ``title`` (its name in words), ``text`` (its caption), ``image``."""
    given.check_is_file("A picture")
    try:
        beside = _caption(given)
    except RecordError as error:
        given.on_bad(error, given.name.encode("utf-8", "surrogateescape"))
        return
    values = {"title": words_of(given.path), "text": "", **beside, "_id": given.name, IMAGE: given.name}
    yield RawRecord(values, given.place, image=given.path)


def words_of(path: Path) -> str:
    """The words of a file's name: ``red_circle-02.png`` is ``red circle 02``."""
    return _SEPARATORS.sub(" ", path.stem).strip()


def captions_of(path: Path) -> list[Path]:
    """Where a picture's caption may be: ``a.txt``, ``a.jpg.txt``, ``a.json``, ``a.jpg.json``; the first counts."""
    return [place for suffix in CAPTIONS for place in (path.with_suffix(suffix), path.with_name(path.name + suffix))]


def _caption(given: InputFile) -> dict[str, Any]:
    """The fields that the file beside a picture gives; none where there is none."""
    found = next((one for one in captions_of(given.path) if one.is_file() and not leads_out(one, given.folder)), None)
    if found is None:
        return {}
    with found.open("rb") as opened:
        data = opened.read(MOST_CAPTION + 1)
    where = str(found)
    if len(data) > MOST_CAPTION:
        raise RecordError(f"a caption of more than {MOST_CAPTION:,} bytes", where=where, remedy="Make it shorter")
    try:
        said = data.decode("utf-8-sig").strip() if found.suffix == ".txt" else orjson.loads(data)
    except ValueError as error:
        remedy = "Write it in UTF-8, as text or as JSON"
        raise RecordError(f"a caption that cannot be read ({error})", where=where, remedy=remedy) from None
    if isinstance(said, str):
        return {"text": said}
    if not isinstance(said, dict):
        raise RecordError("a caption is a text or an object", where=where, remedy='Write {"caption": "..."}')
    named = next((name for name in CAPTION_FIELDS if isinstance(said.get(name), str)), None)
    return said if named is None else {**{key: said[key] for key in said if key != named}, "text": said[named]}
