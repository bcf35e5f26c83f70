"""PDF, Word, PowerPoint, OpenDocument, EPUB and RTF: one document in each file, by kreuzberg.

Kreuzberg, because it is one wheel of 39 MB without dependencies, under the MIT licence, and reads all of them; docling
brings torch and models to download, markitdown fifteen packages with an inference engine among them.
"""

from __future__ import annotations

from typing import Any

from hybrid_search.errors import EmptyTextError, MissingExtraError, RecordError
from hybrid_search.read.formats.input_file import InputFile
from hybrid_search.read.jsonl import MAX_LINE
from hybrid_search.read.raw import RawRecords
from hybrid_search.read.texts import Titled, document_record

_OPTIONS: dict[str, Any] = {"use_cache": False, "disable_ocr": True}
_KEPT = ("authors", "keywords", "subject", "created_at", "page_count", "language")


def read_office(given: InputFile) -> RawRecords:
    """The record of a file: ``_id`` (its path), ``title`` (the one it names, else the file's name) and ``text``.

    Pictures are not read: a scan has no text, and goes to ``on_bad``, as does what is broken or of more than 64 MiB.

    Raises:
        MissingExtraError: without ``kreuzberg``.
    """
    given.check_is_file("an office document")
    try:
        text, metadata = _extracted(given)
    except RecordError as error:
        given.on_bad(error, given.place.encode() + b"\n")
        return
    title = metadata.get("title")
    name = given.path.name.partition(".")[0] or given.path.name
    fields = {name: metadata[name] for name in _KEPT if metadata.get(name)}
    yield document_record(given, Titled(str(title).strip() if title else name, text), fields)


def _extracted(given: InputFile) -> tuple[str, dict[str, Any]]:
    try:
        import kreuzberg
    except ImportError:
        raise MissingExtraError("Reading PDF and office documents", "documents") from None
    size = given.path.stat().st_size
    if size > MAX_LINE:
        raise RecordError(f"has {size:,} bytes, more than {MAX_LINE:,}", where=given.place, remedy="Split the file")
    try:
        found = kreuzberg.extract_file_sync(given.path, config=kreuzberg.ExtractionConfig(**_OPTIONS))
    except (kreuzberg.KreuzbergError, OSError, RuntimeError) as error:
        what = f"no text can be read from it ({' '.join(str(error).split())[:200]})"
        raise RecordError(what, where=given.place, remedy="Open it, and save it anew") from error
    text = found.content.replace("\r\n", "\n").strip()
    if not text:
        remedy = "Read a scan with OCR first: ocrmypdf"
        raise EmptyTextError("the text is empty: a scan?", where=given.place, remedy=remedy)
    return text, dict(found.metadata)
