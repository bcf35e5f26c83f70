"""Images of strangers: what fields may name, what is decoded, and what a hostile file costs."""

from __future__ import annotations

import base64
import io
import os
import signal
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hybrid_search.cli.searching.images import ImageOptions
from hybrid_search.errors import HybridSearchError, QueryError, RecordError, SettingsError
from hybrid_search.images import ImageSource
from hybrid_search.read.images.content import content_of, digest_of
from hybrid_search.read.images.decode import Decoding, NoImageError, decoded
from hybrid_search.read.images.decoders import Decoders
from hybrid_search.read.images.named import images_in, is_storable
from hybrid_search.read.images.worker import write
from hybrid_search.settings import ImageSettings

HOW = Decoding.of(ImageSettings())


def written(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right: 40 x 20."""
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 0, 255), (20, 0, 40, 20))
    return image.convert(mode)


def pixels(data: bytes, how: Decoding = HOW) -> np.ndarray:
    return decoded(data, how).take()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1"])
def test_every_kind_of_pixels_becomes_rgb(mode: str) -> None:
    """Palettes, alpha, printing inks and greys are three channels of eight bits afterwards."""
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = pixels(written(halves(mode), kind))
    assert found.shape == (20, 40, 3)
    assert found.dtype == np.uint8
    if mode in {"RGB", "RGBA", "P", "CMYK"}:
        assert found[10, 5].tolist() == [255, 0, 0]
        assert found[10, 35].tolist() == [0, 0, 255]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A grey of half the range, 0x8000, is 0x80."""
    grey = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    assert set(pixels(written(grey)).ravel().tolist()) == {0x80}


def test_what_is_transparent_shows_white() -> None:
    """As a page would show it."""
    assert set(pixels(written(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))).ravel().tolist()) == {255}


def test_exif_turns_an_image_upright() -> None:
    """Orientation 6 means a quarter turn to the right: what was left is on top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    found = pixels(written(halves(), "JPEG", exif=exif, quality=95))
    assert found.shape == (40, 20, 3)
    assert found[5, 10, 0] > 200
    assert found[35, 10, 2] > 200


def test_damaged_exif_costs_nothing() -> None:
    """The pixels are whole."""
    data = written(halves(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert pixels(data).shape == (20, 40, 3)


def test_of_an_animation_the_first_frame_counts() -> None:
    """Later frames are not decoded."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    found = pixels(written(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert found[4, 4].tolist() == [255, 0, 0]


def test_a_large_image_is_made_smaller_and_has_a_thumbnail_without_metadata() -> None:
    """3000 x 1000 is 1024 x 341 for models and 160 x 53 for people; where it was taken is not kept."""
    exif = Image.Exif()
    exif[0x010E] = "the place where it was taken"
    data = written(Image.new("RGB", (3000, 1000), (9, 99, 9)), "JPEG", exif=exif)
    found = decoded(data, Decoding.of(ImageSettings(thumbnails=160)))
    assert found.take().shape == (341, 1024, 3)
    small = Image.open(io.BytesIO(found.thumbnail))
    assert (small.format, small.size) == ("JPEG", (160, 53))
    assert b"the place" not in found.thumbnail


def test_an_image_within_the_limits_is_not_changed() -> None:
    """Models get its very pixels."""
    own = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    assert np.array_equal(pixels(written(Image.fromarray(own))), own)


def bomb(side: int = 50_000) -> bytes:
    """A PNG of some hundred bytes whose header says 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """No pixel of it is decoded."""
    with pytest.raises(NoImageError, match="50,000 x 50,000 pixels, more than 64,000,000"):
        pixels(bomb())


def test_only_formats_that_are_named_are_decoded() -> None:
    """Pillow knows many more, some of which start other programs."""
    with pytest.raises(NoImageError, match="none of jpeg, png"):
        pixels(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(NoImageError, match="none of png"):
        pixels(written(halves(), "JPEG"), Decoding.of(ImageSettings(formats=("png",))))
    with pytest.raises(NoImageError, match="it is empty"):
        pixels(b"")
    with pytest.raises(NoImageError, match="bytes, more than 10"):
        pixels(written(halves()), Decoding.of(ImageSettings(max_bytes=10)))


@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255), kind=st.sampled_from(["PNG", "GIF"]))
@settings(max_examples=60)
def test_damaged_bytes_are_an_image_or_none(cut: int, at: int, byte: int, kind: str) -> None:
    """Nothing but NoImageError leaves the decoder, whatever the bytes."""
    data = bytearray(written(halves(), kind))
    data[at % len(data)] = byte
    with suppress(NoImageError):
        assert pixels(bytes(data[: len(data) - cut])).shape[2] == 3


def test_a_decoder_answers_and_goes_on_after_a_bad_image() -> None:
    """A process of its own decodes one after the other; a bad one is a record error with its place."""
    with Decoders(2) as decoders:
        with pytest.raises(RecordError, match=r"photos\.jsonl:3: the image cannot be read: it is none of"):
            decoders.decode(b"no image", HOW, "photos.jsonl:3")
        found = [
            one.take() for one in decoders.side_by_side(lambda d: decoders.decode(d, HOW, "x"), [written(halves())] * 5)
        ]
    assert all(np.array_equal(one, np.asarray(halves())) for one in found)


def test_a_decoder_that_crashes_or_hangs_costs_its_image_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends, the image is a bad record, and the next image has a process again."""
    (tmp_path / "pytesseract.py").write_text(
        "import os, time\n"
        "def image_to_string(image, lang, timeout):\n"
        "    if lang == 'crash':\n        os.abort()\n"
        "    if lang == 'hang':\n        time.sleep(600)\n"
        "    return 'STOP'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def how(ocr: str, timeout: float = 60.0) -> Decoding:
        return Decoding.of(ImageSettings(ocr=ocr, timeout=timeout))

    with Decoders(1) as decoders:
        assert decoders.decode(written(halves()), how("eng"), "x").text == "STOP"
        with pytest.raises(RecordError, match="made its decoder crash"):
            decoders.decode(written(halves()), how("crash"), "x")
        assert decoders.decode(written(halves()), how("eng"), "x").text == "STOP"
        with pytest.raises(RecordError, match=r"took more than 0\.5 s"):
            decoders.decode(written(halves()), how("hang", 0.5), "x")
        assert decoders.decode(written(halves()), how("eng"), "x").text == "STOP"


def test_a_decoder_that_hangs_does_not_outlive_who_asked_it(tmp_path: Path) -> None:
    """Whoever would have ended it may be killed: the system ends it, a second after its time."""
    (tmp_path / "pytesseract.py").write_text("def image_to_string(*_, **__):\n    while True:\n        pass\n")
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "hybrid_search.read.images.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert worker.stdin is not None
    write(worker.stdin, {"how": Decoding.of(ImageSettings(ocr="eng", timeout=0.1)).as_json()}, written(halves()))
    assert worker.wait(60) == -signal.SIGALRM
    worker.stdin.close()


def test_a_field_names_paths_addresses_or_bytes(tmp_path: Path) -> None:
    """Bytes are given plainly, in a data URL, in base64, or as data sets of the hub have them."""
    data = written(halves())
    encoded = base64.b64encode(data).decode()
    for given_ in (data, f"data:image/png;base64,{encoded}", encoded, {"bytes": data, "path": "x.png"}):
        assert images_in(given_, None) == (ImageSource(data=data),)
        assert not is_storable(given_)
    assert images_in("https://example.com/a.png?key=1", None)[0].name == "https://example.com/a.png"
    assert images_in(["a.png", {"path": "b/c.png"}], tmp_path) == (
        ImageSource(path=str(tmp_path / "a.png")),
        ImageSource(path=str(tmp_path / "b" / "c.png")),
    )
    assert is_storable(["a.png", "https://example.com/a.png"])
    assert images_in(None, None) == images_in([], None) == images_in("", None) == ()


@pytest.mark.parametrize("name", ["/etc/hostname", "../b.png", "a/../../b.png", "link.png", "a\0.png"])
def test_paths_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    """What lies outside would be shown to everybody who may search, by its thumbnail or by what is like it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "b.png").write_bytes(written(halves()))
    (folder / "link.png").symlink_to(tmp_path / "b.png")
    with pytest.raises(RecordError, match="is outside of"):
        images_in(name, folder)


def test_what_names_no_image_is_a_bad_record() -> None:
    """A number, a data URL without base64, a path without a folder, too many."""
    wrong = [(7, "got int"), ("data:image/png;base64,%%%", "no base64"), ("a.png", "has no folder"), (["a"] * 65, "65")]
    for value, said in wrong:
        with pytest.raises(RecordError, match=said):
            images_in(value, None)


def test_a_digest_changes_with_the_bytes(tmp_path: Path) -> None:
    """Of a file with what is in it; of an address with the address, which is not asked for it."""
    one, allowed = tmp_path / "a.png", ImageSettings(urls=True)
    one.write_bytes(b"1")
    image = ImageSource(path=str(one))
    before = digest_of(image, allowed, "x")
    one.write_bytes(b"2")
    assert digest_of(image, allowed, "x") != before
    assert digest_of(ImageSource(data=b"2"), allowed, "x") == digest_of(image, allowed, "x")
    assert digest_of(ImageSource(url="https://nowhere.invalid/a"), allowed, "x")
    for source, said in [
        (ImageSource(path=str(tmp_path / "none.png")), "there is no image"),
        (ImageSource(path=str(tmp_path)), "is a folder, no image"),
        (ImageSource(url="https://example.com/"), "none is asked"),
    ]:
        for look in (digest_of, content_of):
            with pytest.raises(RecordError, match=said):
                look(source, ImageSettings(), "x")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Its size is enough."""
    large = tmp_path / "large.png"
    with large.open("wb") as opened:
        os.truncate(opened.fileno(), 1 << 40)
    with pytest.raises(RecordError, match="bytes, more than"):
        digest_of(ImageSource(path=str(large)), ImageSettings(), "x")


@pytest.mark.parametrize(
    "wrong",
    [{"thumbnails": -1}, {"formats": ("eps",)}, {"formats": ()}, {"ocr": "eng; rm"}, {"private_addresses": True}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    """By their key."""
    with pytest.raises(SettingsError, match=rf"images\.{next(iter(wrong))}"):
        ImageSettings(**wrong)


def test_an_image_to_search_by_that_is_no_file_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    """A folder, and what is not there."""
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "gone.png", "is no file")):
        with pytest.raises(QueryError, match=said):
            ImageOptions(place).text([])


def test_a_decoder_that_does_not_begin_is_no_bad_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is said once, and is no fault of an image."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with Decoders(1) as decoders, pytest.raises(HybridSearchError, match="does not begin") as raised:
        decoders.decode(written(halves()), HOW, "x")
    assert not isinstance(raised.value, RecordError)
