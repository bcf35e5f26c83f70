"""What reaches a terminal: every character of a text, and none that it would obey."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hybrid_search.errors import OutputError
from hybrid_search.printed import Guarded, Stream, guarded, sayable, visible
from hybrid_search.printed.console import Console

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
ANY_TEXT = st.text(st.characters())
"""Any code point: controls and halves of surrogate pairs too."""
PIECES = ("\x1b", "[31m", "]52;c;", "\x07", "\x9b", "\r", "\n", "\t", "[/]", "[b]", ":x:", "a")
HOSTILE = st.lists(st.sampled_from(PIECES)).map("".join)


def test_control_characters_are_written_out_as_json_writes_them() -> None:
    """A sequence that would write the clipboard, an 8-bit one, a turned direction, half a pair; tabs and line ends."""
    assert visible("\x1b]52;c;aGk=\x07") == r"\u001b]52;c;aGk=\u0007"
    assert visible("\x9b31m \u202etxt \ud83d") == r"\u009b31m \u202etxt \ud83d"
    assert visible("a\tb\r\nc\rd\n") == "a    b\nc\\u000dd\n"
    assert visible("Grüße 😀 [/bold]") == "Grüße 😀 [/bold]"


@given(ANY_TEXT | HOSTILE)
def test_any_text_becomes_visible_once(text) -> None:
    """No control but the newline is left, UTF-8 can say it, and doing it twice changes nothing."""
    shown = visible(text)
    assert not CONTROLS.search(shown)
    assert visible(shown) == shown
    assert shown.encode().decode() == shown


@given(ANY_TEXT)
def test_json_stays_the_same_json(text) -> None:
    """What is written out within a JSON string is read back as what it was."""
    whole = "".join(character for character in text if not "\ud800" <= character <= "\udfff")
    written = orjson.dumps({"id": whole}).decode()
    assert json.loads(sayable(visible(written), "ascii")) == {"id": whole}


@given(ANY_TEXT | HOSTILE, st.sampled_from(["ascii", "latin-1", "utf-8"]))
def test_a_console_says_any_text_on_any_terminal(text, encoding) -> None:
    """In tables, panels and lines: no control but our own styles, no markup read, no character refused."""
    raw = BytesIO()
    file = TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=60)
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for drawn in (table, Panel(Text(text), title=Text(text)), text):
        console.print(drawn)
    file.flush()
    assert not CONTROLS.search(raw.getvalue().decode(encoding))


def test_markup_and_emoji_of_texts_are_literal() -> None:
    """Ids such as ``[draft]/plan.md`` and ``[/]`` are names."""
    file = StringIO()
    Console(file=file, width=60).print("[draft]/plan.md [/] :tada: [bold]x[/bold]")
    assert file.getvalue() == "[draft]/plan.md [/] :tada: [bold]x[/bold]\n"


def test_own_styles_pass_to_a_terminal(monkeypatch) -> None:
    """What the package draws is coloured; what a text holds is not."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = StringIO()
    Console(file=file, width=60).print(Text("\x1b[31mred", style="bold"))
    assert file.getvalue() == "\x1b[1m\\u001b[31mred\x1b[0m\n"


@given(ANY_TEXT | HOSTILE)
def test_whoever_writes_to_a_guarded_stream_writes_visible_text(text) -> None:
    """Text and bytes, whatever the encoding behind the stream."""
    raw = BytesIO()
    inner = TextIOWrapper(raw, encoding="ascii")
    stream = Guarded(Stream(inner, "standard output", must=True))
    assert stream.write(text) == len(text)
    stream.buffer.write(text.encode("utf-8", "surrogatepass"))
    stream.flush()
    assert not CONTROLS.search(raw.getvalue().decode("ascii"))


def test_the_bars_of_downloads_come_through_on_standard_error() -> None:
    """As tqdm draws them, and nothing else of what it is given; standard output takes none."""
    shown = StringIO()
    stream = Guarded(Stream(shown, "standard error", must=False), bars=True)
    for text in ("\r 10%|#   | \x1b[31m", "\n\n", "\x1b[A\x1b[A", "a\rb\x1b[A", "\x1b[A\n"):
        stream.write(text)
    assert shown.getvalue() == "\r 10%|#   | \\u001b[31m\n\n\x1b[A\x1b[Aa\\u000db\\u001b[A\\u001b[A\n"


class Full(StringIO):
    """A disk without space."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_failing_stream_fails_once() -> None:
    """The first write says why; what comes after it goes nowhere, for one line is enough."""
    stream = Stream(Full(), "standard output", must=True)
    with pytest.raises(OutputError, match=r"^standard output: cannot be written \(No space left on device\)$"):
        stream.write("a")
    assert stream.write("b") == 1
    Stream(Full(), "standard error", must=False).write("nobody could be told")


@pytest.mark.parametrize("status", [None, 0, 2], ids=str)
def test_output_that_a_library_failed_to_write_is_said_all_the_same(monkeypatch, status) -> None:
    """A library that swallows the error does not make it a success; an error that was said is not said again."""
    said = StringIO()
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", said)

    def block() -> None:
        with guarded():
            try:
                sys.stdout.write("a")
            except OutputError:
                if status is not None:
                    raise SystemExit(status) from None

    with pytest.raises(SystemExit) as ended:
        block()
    assert ended.value.code == (status or 1)
    assert said.getvalue().count("cannot be written") == (status != 2)


COMMANDS = {
    "version": ["--version"],
    "help": ["search", "--help"],
    "status": ["status"],
    "init": ["init", "examples/kitchen", "-o", "-"],
    "init --json": ["init", "examples/kitchen", "-o", "-", "--json"],
    "cache info": ["cache", "info"],
}


def ran(arguments: list[str], shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A command run by a shell that redirects its streams."""
    line = [sys.executable, "-m", "hybrid_search", *arguments]
    return subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "bash", *line],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def no_nodes(monkeypatch, tmp_path) -> None:
    """Commands look at no node or cache of this machine."""
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_and_status_1(command) -> None:
    """No traceback, and the interpreter does not complain at its end."""
    done = ran(COMMANDS[command], "> /dev/full")
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith(("hybrid-search:", "Trace", "Exce"))]
    assert lines == ["hybrid-search: standard output: cannot be written (No space left on device)"]
    assert done.returncode == 1


def test_closed_streams_are_one_line_at_most() -> None:
    """Closed output is said before any work is done; closed error output and closed input stop nothing."""
    closed = ran(["status"], ">&-")
    assert closed.returncode == 1
    assert closed.stderr.decode().startswith("hybrid-search: standard output: is closed. ")
    assert len(closed.stderr.splitlines()) == 1
    assert ran(["status"], "2>&- <&-").returncode == 0
    wrong = ran(["statuss"], "2>/dev/full")
    assert (wrong.returncode, wrong.stderr) == (2, b"")


def test_a_reader_that_has_gone_is_one_line() -> None:
    """``| head`` ends a command without a traceback."""
    done = ran(["search", "--help"], "| true; exit ${PIPESTATUS[0]}")
    assert done.returncode in {0, 1}  # the help may be written before the reader is gone
    assert done.stderr.decode().splitlines() in (
        [],
        ["hybrid-search: standard output: cannot be written (Broken pipe)"],
    )


@pytest.mark.parametrize("command", ["init", "init --json"])
def test_a_terminal_that_knows_only_ascii_gets_everything(command, tmp_path) -> None:
    """Tables are drawn, and JSON is the same JSON."""
    source = tmp_path / "a.jsonl"
    source.write_text(json.dumps({"_id": "Grüße\u009b", "text": "…"}, ensure_ascii=False) + "\n", encoding="utf-8")
    arguments = [*COMMANDS[command][:1], str(source), *COMMANDS[command][2:]]
    done = ran(arguments, "", PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()
    if "--json" in arguments:
        assert json.loads(done.stdout)["fields"][0]["example"] == "Grüße\u009b"
    else:
        assert rb"Gr\u00fc\u00dfe\u009b" in done.stderr
