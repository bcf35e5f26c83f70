"""How images of documents and queries are decoded, and what is kept of them."""

from __future__ import annotations

import re

from hybrid_search.settings.section import Section, require, require_at_least, require_seconds

FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff")
"""What is decoded unless the settings say otherwise: each has been read by everybody for decades."""
MOST_WORKERS = 64


class ImageSettings(Section, frozen=True):
    """Images; which field of a document has them is said by ``documents.image``.

    ``thumbnails`` is the longest side in pixels of the JPEG that is stored for each image, 0 for none. ``text_vectors``
    gives the texts of a document with images dense vectors too; without, its images stand for it in the dense leg.
    ``ocr`` names languages of tesseract (``eng``, ``deu+eng``) whose text is read out of images and searched.

    ``urls`` allows images at addresses to be fetched, ``private_addresses`` such of this machine and its networks too.
    ``formats``, ``max_bytes`` and ``max_pixels`` bound what is decoded, ``timeout`` how many seconds one image takes,
    to be fetched and to be decoded. Images whose longest side is above ``longest`` are made smaller for the models.
    ``workers`` is the number of processes that decode.
    """

    thumbnails: int = 0
    text_vectors: bool = False
    ocr: str | None = None
    urls: bool = False
    private_addresses: bool = False
    formats: tuple[str, ...] = FORMATS
    max_bytes: int = 32 << 20
    max_pixels: int = 64_000_000
    longest: int = 1024
    timeout: float = 30.0
    workers: int = 2

    def __post_init__(self) -> None:
        require(0 <= self.thumbnails <= 1024, "images.thumbnails", f"must be 0 to 1024 pixels, got {self.thumbnails}")
        require_at_least(1, "images.max_bytes", self.max_bytes)
        require_at_least(1, "images.max_pixels", self.max_pixels)
        require_at_least(16, "images.longest", self.longest)
        require_seconds("images.timeout", self.timeout)
        require(1 <= self.workers <= MOST_WORKERS, "images.workers", f"must be 1 to {MOST_WORKERS}, got {self.workers}")
        require(bool(self.formats), "images.formats", "names no format", f"Name some of: {', '.join(FORMATS)}")
        for name in self.formats:
            is_known = name in FORMATS
            require(is_known, "images.formats", f"{name!r} is not decoded", f"There are: {', '.join(FORMATS)}")
        is_named = self.ocr is None or re.fullmatch(r"[A-Za-z_]+(\+[A-Za-z_]+)*", self.ocr) is not None
        require(is_named, "images.ocr", f"{self.ocr!r} names no languages of tesseract", 'Example: "eng" or "deu+eng"')
        require(
            self.urls or not self.private_addresses,
            "images.private_addresses",
            "is of no use without images.urls",
            "Set images.urls, or leave it out",
        )
