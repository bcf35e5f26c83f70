"""The bytes of an image, wherever it is; and what tells whether they have changed."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from hybrid_search.errors import RecordError
from hybrid_search.images import ImageSource
from hybrid_search.read.images.fetch import fetched
from hybrid_search.settings.images import ImageSettings

_BLOCK = 1 << 20


def content_of(image: ImageSource, settings: ImageSettings, where: str) -> bytes:
    """The bytes of an image.

    Raises:
        RecordError: there is no such file, it is too large, or its address may not be asked or does not answer.
    """
    if image.data is not None:
        return image.data
    if image.url is not None:
        check_allowed(image, settings, where)
        return fetched(image.url, settings, where)
    path = _file(image, settings, where)
    try:
        with path.open("rb") as opened:
            return opened.read(settings.max_bytes + 1)
    except OSError as error:
        raise _unreadable(image, error, where) from error


def digest_of(image: ImageSource, settings: ImageSettings, where: str) -> str:
    """32 hexadecimal digits that change with the bytes; of an address with the address alone, which is not asked.

    Raises:
        RecordError: there is no such file, it is too large, or addresses are not asked.
    """
    digest = hashlib.blake2b(digest_size=16)
    if image.data is not None:
        digest.update(image.data)
    elif image.url is not None:
        check_allowed(image, settings, where)
        digest.update(image.url.encode("utf-8", "surrogatepass"))
    else:
        try:
            with _file(image, settings, where).open("rb") as opened:
                while block := opened.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise _unreadable(image, error, where) from error
    return digest.hexdigest()


def check_allowed(image: ImageSource, settings: ImageSettings, where: str) -> None:
    """Raise RecordError for an address where none is asked."""
    if image.url is not None and not settings.urls:
        remedy = "Set images.urls = true if what the records name may be asked"
        raise RecordError("the image is at an address, and none is asked", where=where, remedy=remedy)


def _file(image: ImageSource, settings: ImageSettings, where: str) -> Path:
    path = Path(image.path or "")
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise RecordError(f"there is no image {image.path}", where=where, remedy="Check the path") from None
    except OSError as error:  # a link that leads round in a circle, a folder that may not be entered, a name too long
        raise _unreadable(image, error, where) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise RecordError(f"{image.path} is {kind}, no image", where=where, remedy="Name a file")
    if size > settings.max_bytes:
        what = f"the image {image.path} has {size:,} bytes, more than {settings.max_bytes:,}"
        raise RecordError(what, where=where, remedy="Make it smaller, or raise images.max_bytes")
    return path


def _unreadable(image: ImageSource, error: OSError, where: str) -> RecordError:
    return RecordError(f"the image {image.path} cannot be read: {error.strerror or error}", where=where)
