"""The end of a log, what is added to it, and the lines that an error quotes."""

from __future__ import annotations

import os
import time
from itertools import islice

import msgspec
import pytest

from hybrid_search.engine.local import logs
from hybrid_search.engine.local.health import cause_of_death, failure
from hybrid_search.engine.local.logs import follow, tail
from hybrid_search.engine.local.plan import plan_members
from hybrid_search.errors import LocalNodeError


def test_the_last_lines(tmp_path):
    """Fewer where there are fewer; none of a file that is not there."""
    log = tmp_path / "log"
    assert tail(log, 3) == []
    log.write_text("a\nb\nc\n")
    assert tail(log, 2) == ["b", "c"]
    assert tail(log, 9) == ["a", "b", "c"]
    assert tail(log, 0) == []


def test_following_shows_whole_lines_as_they_are_added(tmp_path, monkeypatch):
    """Not what was there before; a line when its end is written; a log begun anew from its start."""
    log = tmp_path / "log"
    log.write_text("old\n")

    def rotated():
        log.unlink()
        (tmp_path / "keeps-the-inode").touch()
        log.write_text("new 1\n")

    steps = iter([lambda: append(log, "a\nhal"), lambda: append(log, "f\n"), rotated])
    monkeypatch.setattr(logs.time, "sleep", lambda _: next(steps)())
    assert [line for _, line in islice(follow([log]), 3)] == ["a", "half", "new 1"]


def append(path, text):
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path, kind):
    """The server's account can put anything where its log is: root neither follows it nor waits for it."""
    secret, log = tmp_path / "secret", tmp_path / "log"
    secret.write_text("root's\n")
    {"link": lambda: log.symlink_to(secret), "pipe": lambda: os.mkfifo(log), "folder": log.mkdir}[kind]()
    for read in (lambda: tail(log, 9), lambda: next(follow([log]))):
        with pytest.raises(LocalNodeError, match="link" if kind == "link" else "is no file") as caught:
            read()
        assert caught.value.where == str(log)


@pytest.mark.parametrize(
    ("console", "log", "told"),
    [
        (
            "",
            "[INFO ] a\n[ERROR][b] fatal error in thread [x], exiting\njava.lang.Oops: no\n\tat c\n",
            "lang.Oops: no",
        ),
        ("Terminating due to java.lang.OutOfMemoryError: Java heap space\n", "[INFO ] a\n", "OutOfMemoryError"),
        ("", "[INFO ] a\n", "it was killed"),
    ],
    ids=["fatal", "memory", "killed"],
)
def test_the_cause_of_a_death_is_in_the_logs(tmp_path, console, log, told):
    """The fatal line and the one after it, or that there is none."""
    member = plan_members("a", tmp_path, tmp_path / "data", [(9200, 9300)])[0]
    member = msgspec.structs.replace(member, created=time.time())
    member.log.parent.mkdir()
    member.log.write_text(log)
    member.console.write_text(console)
    assert told in cause_of_death(member)


def test_a_server_that_ended_with_the_machine_did_not_die_of_itself(tmp_path):
    """It was started before the machine was."""
    member = plan_members("a", tmp_path, tmp_path / "data", [(9200, 9300)])[0]
    assert cause_of_death(member) == "the machine was started anew since"


def test_a_failure_quotes_the_lines_that_tell_of_trouble(tmp_path):
    """The reason, not the routine before and after it; one line, with the place of the rest."""
    member = plan_members("a", tmp_path, tmp_path / "data", [(9200, 9300)])[0]
    member.log.parent.mkdir()
    member.log.write_text(
        "[INFO] JVM arguments [-XX:ErrorFile=crash.log]\n"
        "[ERROR] java.net.BindException: Address already in use\n"
        "[INFO] stopped\n"
    )
    message = str(failure(member, "OpenSearch ended while starting"))
    assert "its log ends with: [ERROR] java.net.BindException: Address already in use. Read" in message
    assert "[INFO]" not in message
    assert str(member.log) in message


def test_a_failure_without_a_log_says_so(tmp_path):
    """Killed before its first word."""
    member = plan_members("a", tmp_path, tmp_path / "data", [(9200, 9300)])[0]
    assert "nothing (it may have been killed for want of memory)" in str(failure(member, "OpenSearch ended"))
