"""Bytes of text in whatever encoding as UTF-8: what it is, is known by its mark, its zeros, or by statistics."""

from __future__ import annotations

import codecs
import io
import re
from typing import Any, BinaryIO, cast

from hybrid_search.read.raw import OnNote

SAMPLE = 1 << 18
"""Bytes at the beginning that are looked at, and those of all other blocks of the sample together."""
_BLOCKS = 16
_BUFFER = 1 << 16

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 first: its mark of little-endian begins with that of UTF-16."""

_LATIN = ("cp1250", "cp1252")
_OTHERS = ("cp1251", "cp1253", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
"""What exports of one language or another are written in."""

_WESTERN = "cp1252"
_LATIN1 = re.compile(r"iso-8859-1|latin-?1|us-ascii|ascii", re.IGNORECASE)
"""What pages say and browsers read as Windows-1252."""
_NAMES = {"cp1252": "Windows-1252 (Latin-1)"}
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FOREIGN = re.compile(rb"[\x80-\xff]")
_IN_WORDS = re.compile(rb"(?<=[A-Za-z\x80-\xff])[\x80-\xff]|[\x80-\xff](?=[A-Za-z\x80-\xff])")
_RUNS = re.compile(rb"[\x80-\xff]{2,}")


def as_utf8(stream: BinaryIO, place: str, on_note: OnNote, *, said: str | None = None) -> BinaryIO:
    """The stream itself where it is UTF-8, else one that gives its text in UTF-8; which encoding it was, is noted.

    A byte that the encoding does not have comes through as it is, which no reader takes for UTF-8. Only a sample is
    looked at: text that is UTF-8 except for some bytes is left as it is, for the reader to name its lines. What is
    ``said`` of the encoding in the text itself is believed where it is not UTF-8.
    """
    encoding = encoding_of(stream)
    if encoding is None:
        return stream
    if said is not None and encoding not in {"utf-16", "utf-32"} and _is_known(said):
        return io.BufferedReader(_Recoded(stream, _WESTERN if _LATIN1.fullmatch(said) else said), _BUFFER)
    name = _NAMES.get(encoding, encoding.upper().replace("_", "-"))
    has_mark = encoding in {"utf-16", "utf-32"}
    on_note(f"{place}: is read as {name}" + ("" if has_mark else "; if that is wrong: iconv -f ENCODING -t UTF-8"))
    return io.BufferedReader(_Recoded(stream, encoding), _BUFFER)


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return encoding.lower().replace("-", "") != "utf8"


def encoding_of(stream: BinaryIO) -> str | None:
    """Python's name for the encoding of a stream, None for UTF-8 and for what is no text; nothing is consumed."""
    head = cast("io.BufferedReader", stream).peek(SAMPLE)[:SAMPLE]
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if (wide := _wide(head)) is not None:
        return wide
    if head.startswith(codecs.BOM_UTF8):
        return None
    return _narrow(head, [head, *_blocks(stream)])


def _wide(head: bytes) -> str | None:
    """UTF-16 without its mark: of mostly Latin text every second byte is zero."""
    even, odd = head[0:4096:2], head[1:4096:2]
    if len(odd) < 2 or head.count(0) < len(odd) * 0.3:
        return None
    if odd.count(0) > len(odd) * 0.6 and even.count(0) < len(even) * 0.1:
        return "utf-16-le"
    if even.count(0) > len(even) * 0.6 and odd.count(0) < len(odd) * 0.1:
        return "utf-16-be"
    return None


def _blocks(stream: BinaryIO) -> list[bytes]:
    """Whole lines from all over a stream that can seek, the beginning left out."""
    if not stream.seekable():
        return []
    here, size = stream.tell(), stream.seek(0, io.SEEK_END)
    found = []
    if size > 2 * SAMPLE:
        for number in range(1, _BLOCKS + 1):
            stream.seek(size * number // (_BLOCKS + 1))
            found.append(stream.read(SAMPLE // _BLOCKS).partition(b"\n")[2])
    stream.seek(here)
    return found


def _narrow(head: bytes, blocks: list[bytes]) -> str | None:
    if all(map(_is_utf8, blocks)):
        return None
    lines = [line for block in blocks for line in block.splitlines(keepends=True) if not line.isascii()]
    foreign = [line for line in lines if not _is_utf8(line)]
    if len(foreign) * 2 < len(lines) or _CONTROLS.search(head):
        return None  # UTF-8 with some bytes that are broken, or no text
    return _guessed(b"".join(foreign)[:_BUFFER])


def _is_utf8(data: bytes) -> bool:
    """Whether it is UTF-8, a last character that is cut off aside."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _guessed(text: bytes) -> str | None:
    """In Latin script letters beyond ASCII stand alone among others; of two that fit, Western European is preferred."""
    from charset_normalizer import from_bytes

    if len(_IN_WORDS.findall(text)) * 2 < len(_FOREIGN.findall(text)):
        return None  # bytes that stand alone are no letters
    in_runs = sum(map(len, _RUNS.findall(text))) / len(_FOREIGN.findall(text))
    candidates = (*(_LATIN if in_runs < 0.9 else ()), *(_OTHERS if in_runs >= 0.5 else ()))
    found = from_bytes(text, cp_isolation=list(candidates))
    best = found.best()
    western = next((match for match in found if _WESTERN in match.could_be_from_charset), None)
    if best is None:
        return _WESTERN if in_runs < 0.5 else None
    if western is not None and western.chaos <= best.chaos + 0.01 and western.coherence >= best.coherence:
        return _WESTERN
    return best.encoding


class _Recoded(io.RawIOBase):
    """A stream of text in UTF-8; it does not close what it reads."""

    def __init__(self, inner: BinaryIO, encoding: str) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            data = self._inner.read(_BUFFER)
            self._ended = not data
            self._ready = self._decoder.decode(data, final=self._ended).encode("utf-8", "surrogateescape")
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
