"""The end of a log, what is added to it, and the lines that an error quotes."""

from __future__ import annotations

from itertools import islice

from hybrid_search.engine.local import logs
from hybrid_search.engine.local.health import failure
from hybrid_search.engine.local.logs import follow, tail
from hybrid_search.engine.local.plan import plan_members


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
