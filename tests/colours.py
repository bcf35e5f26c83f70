"""An encoder that sees colours: an image is its mean colour, a text the colours that it names. Distance is colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.encode.tokens import WordSpans
from hybrid_search.records import Fingerprint

COLOURS = {"red": (220, 20, 20), "green": (20, 160, 20), "blue": (20, 20, 220), "yellow": (240, 220, 20)}
NONE = (100, 100, 100)
"""What a text without a colour is."""


class Colours:
    """Dense vectors of three components; each word is a term of the sparse leg."""

    dense = Fingerprint(kind="dense", name="colours", weights="1", dimension=3, extra={"images": "mean"})
    sparse = Fingerprint(kind="sparse", name="words", weights="1")
    tokenizer = WordSpans()
    max_tokens = 20
    reads_images = True

    def __init__(self) -> None:
        self.images = 0

    def encode_images(self, images: Sequence[np.ndarray], *, query: bool = False) -> np.ndarray:
        del query
        self.images += len(images)
        return np.array([one.reshape(-1, 3).mean(axis=0) for one in images], dtype=np.float32).reshape(-1, 3) / 255

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        words = [text.lower().replace(".", " ").split() for text in texts]
        named = [[COLOURS[word] for word in some if word in COLOURS] or [NONE] for some in words]
        dense = np.array([np.mean(colours, axis=0) for colours in named], dtype=np.float32).reshape(-1, 3) / 255
        return EncodedTexts(dense, [dict.fromkeys(some, 1.0) for some in words])

    encode_queries = encode_documents


def picture(colour: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A file of one colour."""
    written = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(written, "PNG")
    return written.getvalue()


def save_pictures(folder: Path) -> Path:
    """Four pictures; only that of the sea has a caption, which names no colour, and fields of its own."""
    (folder / "more").mkdir(parents=True)
    for name, colour in {
        "rose.png": "red",
        "meadow.png": "green",
        "more/sea.png": "blue",
        "more/sun.png": "yellow",
    }.items():
        (folder / name).write_bytes(picture(colour))
    (folder / "more" / "sea.json").write_text('{"caption": "Waves in the evening.", "place": "Sylt"}')
    (folder / "README.md").write_text("# Pictures\n")
    return folder
