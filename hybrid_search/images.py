"""Images of documents and of queries: where one is, what a decoder made of it, and what an index has of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybrid_search.fingerprint import Fingerprint

Pixels = NDArray[np.uint8]
"""A decoded image: RGB, shape (height, width, 3)."""


class DecodedImage:
    """What a decoder made of an image.

    The pixels are taken once: whoever encodes them gives their memory back, while the document is still on its way.

    Attributes:
        thumbnail: JPEG; empty where none is wanted.
        text: what OCR has read in it.
    """

    __slots__ = ("_pixels", "text", "thumbnail")

    def __init__(self, pixels: Pixels, thumbnail: bytes = b"", text: str = "") -> None:
        self._pixels: Pixels | None = pixels
        self.thumbnail = thumbnail
        self.text = text

    def take(self) -> Pixels:
        """The pixels, which are gone then; ValueError where they are."""
        if self._pixels is None:
            raise ValueError("the pixels of this image were taken before")
        pixels, self._pixels = self._pixels, None
        return pixels


@dataclass(frozen=True, slots=True)
class KeptImage:
    """What an index has of an image, which it does not store: enough to write it there again.

    Attributes:
        model: of the vector; None without one.
        vector: shape (dimension,), float32; None where no model of the index reads images.
        thumbnail: JPEG; empty without one.
        beside_vectors: whether the texts beside it have dense vectors too (``images.text_vectors``).
    """

    model: Fingerprint | None = None
    vector: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    thumbnail: bytes = field(default=b"", repr=False)
    beside_vectors: bool = False

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that change with the vector and the thumbnail."""
        vector = b"" if self.vector is None else self.vector.tobytes()
        return hashlib.blake2b(vector + self.thumbnail, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image is: in a file, in bytes, at an address, or in an index that does not store it; one of them.

    Attributes:
        path: of a file.
        data: the bytes of a file.
        url: ``http`` or ``https``; asked only where ``images.urls`` allows it.
        kept: what the index has of it that the document was read out of.
        digest: of its bytes and of how it is decoded, once a load has looked at it.
        decoded: what was made of it.
    """

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    kept: KeptImage | None = None
    digest: str = field(default="", compare=False, repr=False)
    decoded: DecodedImage | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """How messages call it: without bytes, and without what an address says behind its path."""
        if self.path is not None:
            return self.path
        if self.kept is not None:
            return "an image of an index"
        return f"{len(self.data or b''):,} bytes" if self.url is None else self.url.partition("?")[0]

    @property
    def thumbnail(self) -> bytes:
        """JPEG, once there is one; else empty."""
        if self.kept is not None:
            return self.kept.thumbnail
        return b"" if self.decoded is None else self.decoded.thumbnail
