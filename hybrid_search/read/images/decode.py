"""Bytes to pixels by Pillow, within limits. Runs in a process of its own (:mod:`hybrid_search.read.images.worker`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.images import DecodedImage
from hybrid_search.settings.images import ImageSettings

QUALITY = 80
"""Of the JPEG of a thumbnail."""
BACKGROUND = (255, 255, 255)
"""What shows through where an image is transparent."""
HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""Brands of the files that telephones write."""


class NoImageError(Exception):
    """Bytes of which no image can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How images are decoded; see :class:`~hybrid_search.settings.images.ImageSettings`."""

    formats: tuple[str, ...]
    max_bytes: int
    max_pixels: int
    longest: int
    thumbnail: int = 0
    ocr: str | None = None
    timeout: float = 30.0

    @classmethod
    def of(cls, settings: ImageSettings, *, only_pixels: bool = False) -> Decoding:
        """As the settings say; for the image of a query ``only_pixels``."""
        thumbnail, ocr = (0, None) if only_pixels else (settings.thumbnails, settings.ocr)
        bounds = settings.formats, settings.max_bytes, settings.max_pixels, settings.longest
        return cls(*bounds, thumbnail, ocr, settings.timeout)

    def as_json(self) -> dict[str, Any]:
        """For the process that decodes."""
        return asdict(self)


def decoded(data: bytes, how: Decoding) -> DecodedImage:
    """The first image in ``data``: upright as EXIF says, RGB, on white where it is transparent, no larger than wanted.

    Raises:
        NoImageError: it is of no allowed format, too large, or damaged.
    """
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the size in the header is compared below, before a pixel is decoded
    if not data:
        raise NoImageError("it is empty")
    if len(data) > how.max_bytes:
        raise NoImageError(f"it has {len(data):,} bytes, more than {how.max_bytes:,}")
    try:
        with _unwarned(), Image.open(BytesIO(data), formats=[name.upper() for name in how.formats]) as opened:
            _check_size(opened.size, how)
            if opened.format == "JPEG" and max(opened.size) > 2 * how.longest:
                opened.draft(None, (how.longest, how.longest))  # a half, a fourth or an eighth, never below that
            image = _smaller(_rgb(_upright(opened)), how.longest)
    except NoImageError:
        raise
    except UnidentifiedImageError:
        raise NoImageError(f"{_kind_of(data)}none of {', '.join(how.formats)}") from None
    except MemoryError:
        raise NoImageError("it takes more memory than a decoder may have") from None
    except Exception as error:  # damaged files raise whatever a format's reader does not foresee
        raise NoImageError(f"it is damaged ({type(error).__name__}: {str(error)[:100]})") from error
    text = "" if how.ocr is None else _read(image, how)
    return DecodedImage(np.asarray(image, dtype=np.uint8), _thumbnail(image, how.thumbnail), text)


def _kind_of(data: bytes) -> str:
    """The beginning of a sentence; it names what telephones write (ISO 23008-12), though no decoder here reads it."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    name = "AVIF" if brand in {b"avif", b"avis"} else "HEIC" if brand in HEIC else ""
    return f"it is {name}, and " if name else "it is "


@contextmanager
def _unwarned() -> Iterator[None]:
    """Pillow warns of damaged metadata, which cost nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_size(size: tuple[int, int], how: Decoding) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise NoImageError("it has no pixels")
    if width * height > how.max_pixels:
        raise NoImageError(f"it has {width:,} x {height:,} pixels, more than {how.max_pixels:,}")


def _upright(image: Any) -> Any:
    """Turned as EXIF says; where that is damaged the image is as it is."""
    from PIL import ImageOps

    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001  # damaged metadata raise anything; the pixels are whole
        return image


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        return Image.fromarray(_stretched(np.asarray(image, dtype=np.float32))).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        own = image.convert("RGBA")
        white = Image.new("RGBA", own.size, (*BACKGROUND, 255))
        return Image.alpha_composite(white, own).convert("RGB")
    return image.convert("RGB")


def _stretched(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Greys of 32 bits, which say not what white is, from the least as black to the greatest as white.

    Those from 0 to 255 that are more than a mask of zeros and ones are as they are; NaN is black.
    """
    finite = grey[np.isfinite(grey)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low < 0 or high <= 1 or high > 255:
        grey = (grey - low) * (255 / (high - low) if high > low else 0.0)
    return np.nan_to_num(grey, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)


def _smaller(image: Any, longest: int) -> Any:
    if max(image.size) <= longest:
        return image
    image.thumbnail((longest, longest), reducing_gap=2.0)
    return image


def _thumbnail(image: Any, side: int) -> bytes:
    """A JPEG without any metadata: where a photo was taken is nobody's business."""
    if not side:
        return b""
    from PIL import Image

    small = Image.fromarray(np.asarray(image))
    small.thumbnail((side, side))
    written = BytesIO()
    small.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()


def _read(image: Any, how: Decoding) -> str:
    """The text that tesseract reads.

    Raises:
        NoImageError: it fails, or takes too long.
    """
    tesseract = import_module("pytesseract")
    try:
        return str(tesseract.image_to_string(image, lang=how.ocr, timeout=how.timeout)).strip()
    except Exception as error:  # its errors are of several kinds, RuntimeError for a timeout among them
        raise NoImageError(f"tesseract does not read it ({type(error).__name__}: {str(error)[:100]})") from error
