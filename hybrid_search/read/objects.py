"""Objects of a store in the place of files: ``s3://BUCKET/KEY`` (Amazon S3 and its like), ``gs://BUCKET/KEY`` (Google).

In this package such an address is a path, ``Path("s3:/BUCKET/KEY")``, so that names, suffixes and folders are those of
any file; :mod:`hybrid_search.read.storage` asks the disk or the store. The stores are reached through fsspec, and know
their credentials in their vendors' own ways: environment, profile, role of the machine. Nothing here reads them.

An object is one version of a key: its ETag, or generation, and its size. A reader says which one it wants; where the
store has another one by then, or changes it meanwhile, that is an error, never a mixture of both.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from hybrid_search.errors import HybridSearchError, MissingExtraError, SourceChangedError, SourceError

T = TypeVar("T")

STORES = {"s3": ("Amazon S3", "s3"), "gs": ("Google Cloud Storage", "gcs")}
"""The store and the extra of each scheme."""

FIRST = 1 << 18
"""Bytes of a first request: enough to tell format and encoding, and for a place that is only looked at."""

MOST = 8 << 20
"""Bytes of a request when much is read in order: each is twice the one before. So much memory a reader takes."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a request is sent again that failed although the library has repeated it five times itself."""

_OWN_NAMES = ("AWS_", "GOOGLE_", "GCSFS_", "STORAGE_")
_NO_CREDENTIALS = ("Credential", "ProfileNotFound", "RefreshError", "TokenRetrieval", "SSO", "Unauthorized")
_UNREACHABLE = ("Connect", "Timeout", "Endpoint", "Server", "Payload")
_RIGHTS = {
    "s3": "Check the credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID) and their rights: s3:ListBucket, s3:GetObject",
    "gs": "Check the credentials (GOOGLE_APPLICATION_CREDENTIALS) and their rights: storage.objects.list and .get",
}
_PLACES = {"s3": "Check the network, and AWS_ENDPOINT_URL for another store than Amazon's", "gs": "Check the network"}


class Seen(NamedTuple):
    """One version of an object: its size in bytes, and its ETag or generation."""

    size: int
    version: str

    @property
    def identity(self) -> str:
        """What stays as long as the content does."""
        return f"{self.version}:{self.size}"


def is_object(source: str | Path) -> bool:
    """Whether a source is in an object store, by its address or the path that stands for it."""
    scheme, colon, rest = str(source).partition(":/")
    return bool(colon) and scheme in STORES and bool(rest.strip("/"))


def address_of(path: str | Path) -> str:
    """The address that a path stands for: ``s3://bucket/key``."""
    scheme, _, rest = str(path).partition(":/")
    return f"{scheme}://{rest.lstrip('/')}"


def look(path: Path) -> Seen | None:
    """The object of this name, None where there is none.

    Raises:
        SourceError: the store cannot be reached or refuses, or there is no such bucket.
        MissingExtraError: without the library of the store.
    """
    found = _asked(path, _info)
    return None if found is None or found["type"] != "file" else _seen(found)


def is_prefix(path: Path) -> bool:
    """Whether there is no object of this name, but some below it; for what is raised see :func:`look`."""
    found = _asked(path, _info)
    return found is not None and found["type"] == "directory"


def below(folder: Path) -> dict[Path, Seen]:
    """All objects below a prefix, ascending by name; what consoles make to show an empty folder is none."""
    return _listed(folder, _asked(folder, lambda store, name: store.find(name, detail=True)))


def matching(pattern: Path) -> dict[Path, Seen]:
    """All objects that match a pattern (``s3://bucket/2026/**/*.jsonl``), ascending by name."""
    return _listed(pattern, _asked(pattern, lambda store, name: store.glob(name, detail=True)))


def open_object(path: Path, wanted: str | None = None, *, first: int = FIRST) -> ObjectStream:
    """An object as a stream that can be sought in; what it holds is of one version from beginning to end.

    Args:
        path: the object.
        wanted: its :attr:`Seen.identity`, None for the version of this moment.
        first: bytes of the first request after each leap.

    Raises:
        SourceChangedError: the store has another version, also while it is read.
        SourceError: it is not there, or cannot be read.
    """
    found = look(path)
    if found is None:
        raise (_changed(path) if wanted else SourceError("no such object", where=address_of(path), remedy=_CHECK))
    if wanted is not None and wanted != found.identity:
        raise _changed(path)
    pinned = f"#{found.version}" if _scheme(path) == "gs" else ""
    handle = _asked(path, lambda store, name: store.open(f"{name}{pinned}", "rb", cache_type="none"))
    return ObjectStream(path, handle, found.size, first)


class ObjectStream(io.RawIOBase):
    """Reads ranges of an object, growing while it is read in order; a connection that breaks is made again."""

    def __init__(self, path: Path, handle: Any, size: int, first: int) -> None:
        self._path = path
        self._handle = handle
        self._size = size
        self._first = self._next = first
        self._place = 0
        self._begin = 0
        self._window = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Bytes from here on, as many as are there of the last request."""
        if not len(buffer) or self._place >= self._size:
            return 0
        end = self._begin + len(self._window)
        if not self._begin <= self._place < end:
            self._next = min(2 * self._next, MOST) if self._place == end and end else self._first
            self._begin, self._window = self._place, self._fetched(self._place, self._next)
        start = self._place - self._begin
        piece = self._window[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def close(self) -> None:
        self._window = b""
        super().close()

    def _fetched(self, place: int, length: int) -> bytes:
        length = min(length, self._size - place)

        def read() -> bytes:
            self._handle.seek(place)
            data: bytes = self._handle.read(length)
            if len(data) != length:
                raise ConnectionError(f"{len(data):,} of {length:,} bytes came")
            return data

        for pause in (*PAUSES, None):
            try:
                return read()
            except FileNotFoundError:
                raise _changed(self._path) from None
            except Exception as error:  # of the store's library, its client's and the transport's
                if "Expired" in type(error).__name__:
                    raise _changed(self._path) from error
                if pause is None or isinstance(error, PermissionError):
                    raise _failed(error, self._path) from error
            time.sleep(pause)
        raise AssertionError  # the last attempt has no pause


_CHECK = "Check the address"


def _scheme(path: Path) -> str:
    return str(path).partition(":")[0]


def _info(store: Any, name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = store.info(name)
    except FileNotFoundError as error:
        if "bucket" in str(error).lower() or "/" not in name:
            raise
        return None
    return found


def _seen(found: Mapping[str, Any]) -> Seen:
    version = found.get("generation") or found.get("ETag") or found.get("etag") or found.get("LastModified")
    return Seen(int(found["size"]), str(version).strip('"'))


def _listed(place: Path, found: Mapping[str, Mapping[str, Any]]) -> dict[Path, Seen]:
    """Objects by the paths that stand for them."""
    objects = {}
    for given, info in sorted(found.items()):
        name = given.partition("#")[0] if _scheme(place) == "gs" else given
        if info["type"] != "file" or name.endswith("/"):
            continue
        if "//" in name or not {".", ".."}.isdisjoint(PurePosixPath(name).parts):
            what = f"the key {name.partition('/')[2]!r} has an empty part, which no path can say"
            raise SourceError(what, where=address_of(place), remedy="Name the others by a pattern, or rename it")
        objects[Path(f"{_scheme(place)}:/{name}")] = _seen(info)
    return objects


def _asked(path: Path, ask: Callable[[Any, str], T]) -> T:
    """What a store answers, with all that its library may raise as errors of this package."""
    try:
        return ask(_store(_scheme(path), _surroundings()), address_of(path).partition("://")[2])
    except HybridSearchError:
        raise
    except Exception as error:  # of the store's library, its client's and the transport's
        raise _failed(error, path) from error


def _surroundings() -> str:
    """Stands for what the environment says of the stores: where it says something else, there are other credentials."""
    said = sorted(item for item in os.environ.items() if item[0].startswith(_OWN_NAMES))
    return hashlib.blake2b(repr(said).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


@lru_cache(maxsize=4)
def _store(scheme: str, _surroundings: str) -> Any:
    """The file system of a store. Without any credentials what everybody may read is read."""
    usual = {"use_listings_cache": False, "skip_instance_cache": True}
    for library in ("s3fs", "gcsfs"):  # they log what they raise, which is said here in one sentence
        logging.getLogger(library).addHandler(logging.NullHandler())
    if scheme == "s3":
        try:
            from botocore.session import Session
            from s3fs import S3FileSystem
        except ImportError:
            raise _missing(scheme) from None
        return S3FileSystem(anon=Session().get_credentials() is None, **usual)
    try:
        from gcsfs import GCSFileSystem
    except ImportError:
        raise _missing(scheme) from None
    return GCSFileSystem(version_aware=True, **usual)


def _missing(scheme: str) -> MissingExtraError:
    name, extra = STORES[scheme]
    return MissingExtraError(f"Reading from {name}", extra)


def _changed(path: Path) -> SourceChangedError:
    return SourceChangedError(
        "the object was changed or removed since it was first looked at",
        where=address_of(path),
        remedy="Run it again: what is unchanged goes on, this object is read anew",
    )


def _failed(error: Exception, path: Path) -> SourceError:
    """An error in words of our own: messages of libraries may hold what an address or a header holds."""
    where, scheme, name = address_of(path), _scheme(path), type(error).__name__
    if isinstance(error, FileNotFoundError):
        bucket = where.split("/")[2]
        is_bucket = "bucket" in str(error).lower() or where.rstrip("/").count("/") == 2
        return SourceError(f"no bucket {bucket!r}" if is_bucket else "no such object", where=where, remedy=_CHECK)
    if isinstance(error, PermissionError) or any(word in name for word in _NO_CREDENTIALS):
        why = "no credentials are found" if "NoCredentials" in name else "the store refuses access"
        return SourceError(f"{why} ({_code(error)})", where=where, remedy=_RIGHTS[scheme])
    if isinstance(error, ConnectionError | TimeoutError) or any(word in name for word in _UNREACHABLE):
        return SourceError(f"the store cannot be reached ({_code(error)})", where=where, remedy=_PLACES[scheme])
    return SourceError(f"the store answers with an error ({_code(error)})", where=where)


def _code(error: BaseException) -> str:
    """The name of an error, with the code of the store where it has given one: ``PermissionError, AccessDenied``."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, Mapping) else getattr(error, "code", None)
    return type(error).__name__ if code is None else f"{type(error).__name__}, {code}"
