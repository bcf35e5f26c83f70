"""What a field of a record says of images: paths, addresses, bytes."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid_search.errors import RecordError
from hybrid_search.images import ImageSource

MOST_IMAGES = 64
"""Images of one document."""

_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w.+-]+=[\w.+-]*)*;base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
"""How files of the known formats begin."""


def images_in(value: Any, folder: Path | None, *, follow_links: bool = False) -> tuple[ImageSource, ...]:
    """The images that a field names, in order; a field that is missing or empty names none.

    Args:
        value: bytes, text, what data sets of the hub have (``{"bytes": ..., "path": ...}``), or a list of such. Text is
            an address, ``data:...;base64,``, base64, or else the path of a file.
        folder: what paths are relative to, and which files are in; None where there is none.
        follow_links: whether links may lead out of it.

    Raises:
        RecordError: it is none of these, or a path leads out of the folder.
    """
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > MOST_IMAGES:
        raise RecordError(f"{len(items):,} images, more than {MOST_IMAGES}", remedy="Make several documents of it")
    return tuple(_image(item, folder, follow_links) for item in items if item is not None and item != "")


def is_storable(value: Any) -> bool:
    """Whether the field is worth keeping beside the document: paths and addresses are, bytes are not."""
    items = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(item, str) and not _is_inline(item) for item in items)


def _is_inline(text: str) -> bool:
    return _DATA_URL.match(text) is not None or _from_base64(text) is not None


def _image(value: Any, folder: Path | None, follow_links: bool) -> ImageSource:
    if isinstance(value, Mapping):
        inner = value.get("bytes") or value.get("path")
        return _image("" if inner is None else inner, folder, follow_links)
    if isinstance(value, bytes | bytearray | memoryview) and len(value):
        return ImageSource(data=bytes(value))
    if not isinstance(value, str) or not value:
        raise RecordError(
            f"an image must be a path, an address or bytes, got {type(value).__name__}",
            remedy="Correct documents.image, or the field",
        )
    if (prefix := _DATA_URL.match(value)) is not None:
        return ImageSource(data=_decoded(value[prefix.end() :]))
    if _ADDRESS.match(value):
        return ImageSource(url=value)
    inline = _from_base64(value)
    return ImageSource(path=str(_inside(value, folder, follow_links))) if inline is None else ImageSource(data=inline)


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise RecordError("an image's data: URL holds no base64", remedy="Correct it, or leave it out")
    return data


def _from_base64(text: str) -> bytes | None:
    """The bytes of an image in base64; None for text that is none, as a path is."""
    if not _BASE64.fullmatch(text):
        return None
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError):
        return None
    return data if data.startswith(_BEGINNINGS) else None


def _inside(name: str, folder: Path | None, follow_links: bool) -> Path:
    """The file of this name; one outside the folder would be shown to everybody who may search.

    Raises:
        RecordError: it is outside, or there is no folder.
    """
    if folder is None:
        remedy = "Set documents.image_folder, or give bytes or addresses"
        raise RecordError(f"the image {name[:80]!r} is a path, and this source has no folder", remedy=remedy)
    outside = RecordError(
        f"the image {name[:80]!r} is outside of {folder}",
        remedy="Set documents.image_folder to the folder that holds all images",
    )
    if "\0" in name:
        raise outside
    root = Path(os.path.normpath(folder.absolute()))
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(root):
        raise outside
    try:
        leads_out = not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link that leads round in a circle
        leads_out = True
    if leads_out and not follow_links:
        raise outside
    return path
