"""Bytes of a source: compression undone, and every way in which reading can fail."""

import gzip
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import SourceError
from hybrid_search.read.streams import opened, zstd

TEXT = b"first line\nsecond line\n" * 2000


def refusal(source):
    with pytest.raises(SourceError) as caught, opened(source) as stream:
        stream.read()
    return str(caught.value)


def lines(source):
    with opened(source) as stream:
        return list(stream)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstandard"])
@pytest.mark.parametrize("name", ["a.jsonl", "a"])
def test_compression_is_known_by_the_first_bytes(tmp_path, pack, name):
    """Compressed data is unpacked whatever the file is called."""
    path = tmp_path / name
    path.write_bytes(pack(TEXT))
    assert lines(path) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstandard"])
def test_several_compressed_members_are_one_stream(tmp_path, pack):
    """Files that were appended to each other are read to the end of the last."""
    path = tmp_path / "a"
    path.write_bytes(pack(b"a\n") + pack(b"b\n"))
    assert lines(path) == [b"a\n", b"b\n"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstandard"])
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


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_suffix_that_lies_is_refused(tmp_path, suffix):
    """Plain text under the name of a compressed file was probably an error page."""
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"<html>")
    assert refusal(path) == f"{path}: is named {suffix}, but holds no such data. Rename it, or fetch it again"


@given(cut=st.integers(4, 200), pack=st.sampled_from([gzip.compress, zstd.compress]))
def test_compressed_data_that_is_cut_short_is_never_taken_for_the_end(tmp_path_factory, cut, pack):
    """However much is missing, the reader raises instead of losing the rest silently."""
    path = tmp_path_factory.mktemp("cut") / "a"
    packed = pack(bytes(range(256)) * 4)
    path.write_bytes(packed[: -min(cut, len(packed) - 4)])
    assert refusal(path).startswith(f"{path}: the compressed data is broken or cut short (")


def test_a_wrong_checksum_is_refused(tmp_path):
    """Bytes that changed on the way are found at the end of the stream."""
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress(TEXT))
    packed[-8] ^= 1
    path.write_bytes(packed)
    assert refusal(path).startswith(f"{path}: the compressed data is broken or cut short (CRC check failed")
