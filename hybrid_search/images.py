"""Images of documents and of queries: where one is, and what a decoder made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
class ImageSource:
    """Where an image is: in a file, in bytes, or at an address; one of them.

    Attributes:
        path: of a file.
        data: the bytes of a file.
        url: ``http`` or ``https``; asked only where ``images.urls`` allows it.
        digest: of its bytes and of how it is decoded, once a load has looked at it.
        decoded: what was made of it.
    """

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    digest: str = field(default="", compare=False, repr=False)
    decoded: DecodedImage | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """How messages call it: without bytes, and without what an address says behind its path."""
        if self.path is not None:
            return self.path
        return f"{len(self.data or b''):,} bytes" if self.url is None else self.url.partition("?")[0]
