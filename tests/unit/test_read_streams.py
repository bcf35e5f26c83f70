"""Bytes of a source: compression undone, and every way in which reading can fail."""

import bz2
import gzip
import io
import lzma
import sys
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import SourceError
from hybrid_search.read import packed, records
from hybrid_search.read.streams import opened, zstd

TEXT = b"first line\nsecond line\n" * 2000


def refusal(source):
    with pytest.raises(SourceError) as caught, opened(source) as stream:
        stream.read()
    return str(caught.value)


def lines(source):
    with opened(source) as stream:
        return list(stream)


PACKS = {"plain": bytes, "gzip": gzip.compress, "zstandard": zstd.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
@pytest.mark.parametrize("name", ["a.jsonl", "a"])
def test_compression_is_known_by_the_first_bytes(tmp_path, pack, name):
    """Compressed data is unpacked whatever the file is called."""
    path = tmp_path / name
    path.write_bytes(pack(TEXT))
    assert lines(path) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("pack", list(PACKS.values())[1:], ids=list(PACKS)[1:])
def test_several_compressed_members_are_one_stream(tmp_path, pack):
    """Files that were appended to each other are read to the end of the last."""
    path = tmp_path / "a"
    path.write_bytes(pack(b"a\n") + pack(b"b\n"))
    assert lines(path) == [b"a\n", b"b\n"]


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_standard_input_is_read_and_left_open(monkeypatch, pack):
    """A dash is standard input, which may be compressed too, and which is not ours to close."""
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(pack(TEXT))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert b"".join(lines("-")) == TEXT
    assert not stdin.buffer.closed


def test_an_empty_file_is_an_empty_stream(tmp_path):
    """Nothing inside is nothing read, whatever the suffix promises."""
    for name in ("a.jsonl", "a.jsonl.gz"):
        (tmp_path / name).write_bytes(b"")
        assert lines(tmp_path / name) == []


def test_a_missing_file_is_named(tmp_path):
    """The message has the path and what to do."""
    assert refusal(tmp_path / "a") == f"{tmp_path / 'a'}: no such file or folder. Check the path"


def test_what_cannot_be_opened_is_named(tmp_path):
    """A folder in the place of a file gives the system's reason."""
    assert refusal(tmp_path) == f"{tmp_path}: cannot be opened (Is a directory)"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz", ".zip"])
def test_a_suffix_that_lies_is_refused(tmp_path, suffix):
    """Plain text under the name of a compressed file was probably an error page."""
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"<html>")
    assert refusal(path) == f"{path}: is named {suffix}, but holds no such data. Rename it, or fetch it again"


@given(cut=st.integers(4, 200), pack=st.sampled_from(list(PACKS.values())[1:]))
def test_compressed_data_that_is_cut_short_is_never_taken_for_the_end(tmp_path_factory, cut, pack):
    """However much is missing, the reader raises instead of losing the rest silently."""
    path = tmp_path_factory.mktemp("cut") / "a"
    packed = pack(bytes(range(256)) * 4)
    path.write_bytes(packed[: -min(cut, len(packed) - 6)])
    assert refusal(path).startswith(f"{path}: the compressed data is broken or cut short (")


def test_a_wrong_checksum_is_refused(tmp_path):
    """Bytes that changed on the way are found at the end of the stream."""
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress(TEXT))
    packed[-8] ^= 1
    path.write_bytes(packed)
    assert refusal(path).startswith(f"{path}: the compressed data is broken or cut short (CRC check failed")


def skippable(data):
    """A frame of Zstandard that holds nothing of ours, as pzstd and seekable files have them."""
    return b"\x5a\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize(
    "packed",
    [
        skippable(b"size") + zstd.compress(TEXT),
        skippable(b"") + skippable(b"x") + zstd.compress(TEXT[:99]) + skippable(b"y") + zstd.compress(TEXT[99:]),
        zstd.compress(TEXT) + skippable(b"index" * 50),
    ],
    ids=["before", "between", "behind"],
)
def test_skippable_frames_of_zstandard_are_skipped(tmp_path, packed):
    """Wherever they are."""
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(packed)
    assert b"".join(lines(path)) == TEXT


def archive(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def test_the_one_file_of_a_zip_archive_is_read(tmp_path):
    """Folders and what macOS and others hide in it do not count; its own name tells the format."""
    files = {"data/": b"", "data/a.csv": b"id,text\n1,x\n", "__MACOSX/data/._a.csv": b"x", ".DS_Store": b"x"}
    path = archive(tmp_path / "products.zip", files)
    assert lines(path) == [b"id,text\n", b"1,x\n"]
    assert [record.values for record in records(path)] == [{"id": "1", "text": "x"}]


def test_an_archive_of_several_files_or_none_is_refused(tmp_path):
    """They are named, so that one may be chosen."""
    path = archive(tmp_path / "a.zip", {"a.csv": b"", "b.csv": b""})
    assert refusal(path).startswith(f"{path}: the archive holds 2 files (a.csv, b.csv ...), not one. Unpack it")
    assert "holds 0 files" in refusal(archive(tmp_path / "b.zip", {".hidden": b""}))


def test_an_archive_from_a_pipe_is_refused(monkeypatch, tmp_path):
    """Its index is at its end."""
    data = archive(tmp_path / "a.zip", {"a.csv": b"x"}).read_bytes()

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(data))))
    assert refusal("-").startswith("<stdin>: a zip archive cannot be read from a pipe")


def test_a_closed_standard_input_is_one_line(monkeypatch):
    """As in a service without one, or after ``<&-``."""
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-") == "<stdin>: standard input is closed. Pipe the documents into it"


def test_xz_may_not_ask_for_any_memory(tmp_path, monkeypatch):
    """Its head says how much is needed, which is allocated before a byte is read."""
    monkeypatch.setattr(packed, "XZ_MEMORY", 1 << 20)
    path = tmp_path / "a.xz"
    path.write_bytes(lzma.compress(TEXT, preset=6))
    assert "broken or cut short (Memory usage limit" in refusal(path)


@pytest.mark.parametrize("pack", list(PACKS.values())[1:], ids=list(PACKS)[1:])
def test_what_unpacks_to_gigabytes_is_read_in_pieces(tmp_path, pack):
    """64 MiB of nothing in a few kilobytes: a megabyte of it takes a few of memory."""
    path = tmp_path / "a"
    path.write_bytes(pack(bytes(1 << 26)))
    tracemalloc.start()
    try:
        with opened(path) as stream:
            assert stream.read(1 << 20) == bytes(1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    """Bytes of names that are not UTF-8 reach Python as half surrogate pairs, which no stream of UTF-8 takes."""
    path = tmp_path / "caf\udce9.jsonl"
    message = refusal(path)
    assert message.encode().endswith(b"caf\\udce9.jsonl: no such file or folder. Check the path")
