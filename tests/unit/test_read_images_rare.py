"""Images that few have, and what is no image at all: the right pixels, or an error that says what it is."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.images import ImageSource
from hybrid_search.read.images.content import content_of
from hybrid_search.read.images.decode import Decoding, NoImageError, decoded
from hybrid_search.read.splits import plan_splits
from hybrid_search.settings import ImageSettings

HOW = Decoding.of(ImageSettings())


@pytest.mark.parametrize(
    ("greys", "expected"),
    [
        (np.array([[0, 32768, 65535]], dtype=np.int32), [0, 127, 255]),
        (np.array([[0, 0.5, 1]], dtype=np.float32), [0, 127, 255]),
        (np.array([[-2, 0, 2]], dtype=np.float32), [0, 127, 255]),
        (np.array([[0, 100, 200]], dtype=np.int32), [0, 100, 200]),
        (np.array([[np.nan, np.inf, 7]], dtype=np.float32), [0, 255, 7]),
        (np.array([[5000, 5000]], dtype=np.int32), [0, 0]),
    ],
)
def test_greys_of_32_bits_are_seen(greys: np.ndarray, expected: list[int]) -> None:
    """Scans and maps: from the least to the greatest, unless they are of 0 to 255 already; Pillow would clip them."""
    written = io.BytesIO()
    Image.fromarray(greys).save(written, "TIFF")
    found = decoded(written.getvalue(), HOW).take()
    assert found[0].tolist() == [[grey] * 3 for grey in expected]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is HEIC, and none of jpeg, png"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "it is AVIF, and none of jpeg, png"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "it is none of jpeg, png"),
    ],
)
def test_what_is_no_image_that_is_decoded_is_called_by_its_name(data: bytes, said: str) -> None:
    """What telephones write is no damage."""
    with pytest.raises(NoImageError, match=f"^{said}"):
        decoded(data, HOW)


def test_a_place_without_an_image_is_told_from_one_that_is_none(tmp_path: Path) -> None:
    """A folder, a pipe (nobody waits for it), a circle of links, and nothing."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    places = {
        ".": "is a folder, no image",
        "pipe.png": "is a pipe or a device, no image",
        "circle.png": "cannot be read: Too many levels",
        "gone.png": "there is no image",
        "gone/a.png": "there is no image",
        "a\0.png": "there is no image",
    }
    for name, said in places.items():
        with pytest.raises(RecordError, match=said):
            content_of(ImageSource(path=str(tmp_path / name)), ImageSettings(), "x")


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """Not the folder that it is in, which is there."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "c.png").symlink_to("gone.png")
    with pytest.raises(SourceError, match=r"c\.png: no such file"):
        plan_splits(tmp_path)
