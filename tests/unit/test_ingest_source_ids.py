"""The ids of a source: exact however many there are, and nothing of them left behind."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import IngestError
from hybrid_search.ingest.state import seen as module
from hybrid_search.ingest.state.seen import PARTITIONS, SourceIds


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=3) | st.sampled_from(["a", "\ud800"])), st.lists(st.text(max_size=2)))
def test_it_is_a_set_of_strings(tmp_path_factory, added, asked):
    """Each id is new exactly once; what was not added is missing, in the order in which it is asked for."""
    folder, known = tmp_path_factory.getbasetemp() / "ids", set()
    with SourceIds(folder) as ids:
        for id_ in added:
            assert ids.add(id_) == (id_ not in known)
            known.add(id_)
        assert list(ids.missing([*asked, *added])) == [id_ for id_ in asked if id_ not in known]


def test_it_grows_without_losing_an_id(tmp_path):
    """100,000 ids, so that every table has been doubled (1,024 slots, of which 7/10 are used; some 1,560 ids)."""
    assert 100_000 / PARTITIONS > 2 * 0.7 * 1_024
    names = [f"{number:x}" for number in range(100_000)]
    random.Random(1).shuffle(names)
    with SourceIds(tmp_path) as ids:
        assert all(ids.add(name) for name in names)
        assert not any(ids.add(name) for name in names)
        assert list(ids.missing([*names, "other"])) == ["other"]


def test_hashes_that_share_a_home_stand_behind_it(tmp_path, monkeypatch):
    """Many more ids than the spare slots after the last home, all of which belong there."""
    digests = [b"\xff" * 8 + number.to_bytes(8, "big") for number in range(500)]
    hashed = int.from_bytes(b"\xff" * 8, "little")
    monkeypatch.setattr(module, "_hashes", lambda id_: (digests[int(id_)], hashed))
    with SourceIds(tmp_path) as ids:
        assert all(ids.add(str(number)) for number in range(400))
        assert not any(ids.add(str(number)) for number in range(400))
        assert list(ids.missing(["7", "450"])) == ["450"]


def test_missing_ids_are_a_stream(tmp_path):
    """Nothing is gathered: the first answer comes before the second question."""
    asked = []

    def questions():
        for number in range(5):
            asked.append(number)
            yield str(number)

    with SourceIds(tmp_path) as ids:
        found = ids.missing(questions())
        assert (next(found), asked) == ("0", [0])
        assert (next(found), asked) == ("1", [0, 1])


def test_two_threads_share_it(tmp_path):
    """Of two threads that add the same ids each id is new to exactly one."""
    new = []
    with SourceIds(tmp_path) as ids:

        def add():
            new.append(sum(ids.add(str(number)) for number in range(20_000)))

        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(new) == 20_000


def test_nothing_is_left_in_the_folder(tmp_path):
    """Neither after closing nor after kill -9, for the files have no names."""
    program = (
        "import sys, time; from pathlib import Path; from hybrid_search.ingest.state.seen import SourceIds\n"
        "ids = SourceIds(Path(sys.argv[1])); [ids.add(str(n)) for n in range(50_000)]; print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with SourceIds(tmp_path) as ids:
        ids.add("a")
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_folder(tmp_path):
    """No file may grow beyond a limit: the error of the package says where and what to do."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SourceIds(tmp_path) as ids:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(IngestError, match=rf"{tmp_path}: the ids of the source cannot be kept.*Make room"):
                list(map(ids.add, map(str, range(100_000))))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(ids.missing(["0", "none"])) == ["none"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A file stands in its place."""
    (tmp_path / "state").write_text("")
    with pytest.raises(IngestError, match=r"state.*cannot be kept"):
        SourceIds(tmp_path / "state" / "loads")
