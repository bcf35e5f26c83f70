r"""The one way out to a terminal: what documents, engines and files say is shown there, never obeyed.

A document may hold control sequences that colour a terminal, set its title or write the clipboard. Standard output
and error are guarded while a command runs (:func:`guarded`), so that whoever writes to them writes plain text; tables
and bars are drawn by :class:`hybrid_search.printed.console.Console`, whose own styles are the only sequences that
pass. A character that is not shown stands there as JSON writes it, ``\u001b``, so that JSON stays the same JSON.

Whatever the encoding of a terminal, nothing is refused: what it cannot say is written likewise.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from hybrid_search.errors import OutputError

_HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls but the newline, other line breaks, what turns the direction of text, half surrogate pairs."""

_UP = re.compile("\n*(\x1b\\[A)+")
_TAB = "    "
_ESCAPED = "hybrid_search.escaped"


def visible(text: str) -> str:
    """The text with every character that is not shown written out; a tab is four spaces, CRLF one line break."""
    if _HIDDEN.search(text) is None:
        return text
    return _HIDDEN.sub(_written, text.replace("\r\n", "\n").replace("\t", _TAB))


def one_line(text: str) -> str:
    """The text made visible, its line breaks and tabs too."""
    return _HIDDEN.sub(_written, text).replace("\n", "\\u000a")


def sayable(text: str, encoding: str | None) -> str:
    """The text with every character that an encoding lacks written out."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return text.encode(encoding or "utf-8", _ESCAPED).decode(encoding or "utf-8")
    return text


def _written(found: re.Match[str]) -> str:
    return _as_json(found[0])


def _as_json(characters: str) -> str:
    r"""Characters as JSON may write them: ``\u`` and four digits for each half of UTF-16."""
    units = characters.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[begin : begin + 4]}" for begin in range(0, len(units), 4))


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _as_json(error.object[error.start : error.end]), error.end


codecs.register_error(_ESCAPED, _escape)


class Stream:
    """A standard stream that takes any text, and whose failures are the package's own.

    After a failure it takes everything and writes nothing: one error is enough. ``must`` False is for standard error,
    beside which there is no place to say that it fails.
    """

    def __init__(self, inner: TextIO | None, name: str, *, must: bool) -> None:
        self._inner = inner
        self._name = name
        self._must = must
        self.failure: OutputError | None = None
        if inner is None:
            self.failure = OutputError("is closed", where=name, remedy="Send it to /dev/null if it is not wanted")

    @property
    def encoding(self) -> str:
        return getattr(self._inner, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if text:
            self._try(lambda stream: stream.write(sayable(text, self.encoding)))
        return len(text)

    def write_utf8(self, text: str) -> None:
        """Write text whatever the encoding of a terminal: it is for programs."""
        binary = getattr(self._inner, "buffer", None)
        if binary is None:
            self.write(text)
        else:
            self.flush()
            self._try(lambda _: binary.write(text.encode()))

    def flush(self) -> None:
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        return self._inner is not None and self._inner.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _try(self, write: Any) -> None:
        if self._inner is None or self.failure is not None:
            return
        try:
            write(self._inner)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            reason = (isinstance(error, OSError) and error.strerror) or error
            self.failure = OutputError(f"cannot be written ({reason})", where=self._name)
            if self._must:
                raise self.failure from error


class Guarded:
    """A stream for everybody: what is written to it is made visible. A console's own drawing goes beside it.

    With ``bars``, what libraries draw while they download comes through: a return to the start of a line, before a text
    that is written at once, and moves to lines above, alone. A document does not reach a terminal in either way.
    """

    encoding = "utf-8"
    """Any text is taken, whatever the encoding behind it."""
    errors = "strict"

    def __init__(self, plain: Stream, *, bars: bool = False) -> None:
        self._bars = bars
        self.rich_proxied_file = plain
        """Where rich writes; :class:`hybrid_search.printed.console.Console` makes visible what it draws."""

    def write(self, text: str) -> int:
        if self._bars and _UP.fullmatch(text):
            self.rich_proxied_file.write(text)
        elif self._bars and text.startswith("\r"):
            self.rich_proxied_file.write("\r" + visible(text[1:]))
        else:
            self.rich_proxied_file.write(visible(text))
        return len(text)

    @property
    def buffer(self) -> _Bytes:
        """For those who write bytes, of UTF-8."""
        return _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


class _Bytes:
    def __init__(self, stream: Guarded) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(data.decode("utf-8", "surrogateescape"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def plain_stream(*, stderr: bool = False) -> Stream:
    """Standard output or error for one who makes visible what he writes himself."""
    stream: Any = sys.stderr if stderr else sys.stdout
    plain = getattr(stream, "rich_proxied_file", None)
    return plain if isinstance(plain, Stream) else _stream(stream, stderr=stderr)


def write_lines(lines: Iterable[str]) -> None:
    """Lines for programs to standard output, made visible, in UTF-8, each as soon as it is there.

    Tabs stay: they are between two cells, and :func:`one_line` takes them out of a cell.
    """
    out = plain_stream()
    for line in lines:
        out.write_utf8("\t".join(map(visible, f"{line}\n".split("\t"))))
        out.flush()


def _stream(stream: TextIO | None, *, stderr: bool) -> Stream:
    return Stream(stream, "standard error" if stderr else "standard output", must=not stderr)


@contextmanager
def guarded() -> Iterator[None]:
    """Standard output and error are guarded within; a failure of standard output is one line and status 1.

    Raises:
        SystemExit: standard output is closed, or what was written to it could not be.
    """
    before = sys.stdout, sys.stderr
    out, err = _stream(before[0], stderr=False), _stream(before[1], stderr=True)
    sys.stdout, sys.stderr = cast("TextIO", Guarded(out)), cast("TextIO", Guarded(err, bars=True))
    try:
        with _failing_once(out):
            yield
    finally:
        err.flush()
        sys.stdout, sys.stderr = before
        for stream, inner in ((out, before[0]), (err, before[1])):
            if stream.failure is not None:
                _forget(inner)


@contextmanager
def _failing_once(out: Stream) -> Iterator[None]:
    """Say that ``out`` has failed, unless what ends the block has said so: libraries swallow errors of writing."""
    _end_if_failed(out)
    try:
        with suppress(OutputError):  # it is kept, and said below
            yield
            out.flush()
    except SystemExit as end:
        with suppress(OutputError):
            out.flush()
        if out.failure is None or end.code:
            raise
    _end_if_failed(out)


def _end_if_failed(out: Stream) -> None:
    if out.failure is not None:
        sys.stderr.write(f"hybrid-search: {out.failure}\n")
        raise SystemExit(out.failure.exit_status)


def _forget(stream: TextIO | None) -> None:
    """Let what a failed stream still holds go nowhere: the interpreter would try once more at its end, and complain."""
    if stream in {sys.__stdout__, sys.__stderr__} and stream is not None:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def hold_standard_descriptors() -> None:
    """Open what is closed of the descriptors 0 to 2, or the next file that is opened would be taken for a stream."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
