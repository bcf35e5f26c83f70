"""What watches over workers, over a place that a script plays: who is started, heard, slowed down and replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hybrid_search.errors import IngestError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.pace import Refused
from hybrid_search.ingest.report import IngestProgress, IngestReport
from hybrid_search.ingest.state.bad_records import BAD_RECORDS
from hybrid_search.ingest.state.letters import LETTERS
from hybrid_search.scale import ray_actor
from hybrid_search.scale.letters import together_in_one
from hybrid_search.scale.watch import DEATHS, Bounds, Crew
from hybrid_search.scale.work import Begun, Ended, Failed, Share
from hybrid_search.settings import Settings

DONE = [IngestReport("i", documents=5, indexed=5), Ended()]
BEGUN = IngestProgress(1, 1, 0)


class Stage:
    """A place whose n-th worker tells the n-th script, a message each time; the last script is for all that follow."""

    def __init__(self, *scripts) -> None:
        self.scripts = list(scripts)
        self.open, self.shares, self.slowed = {}, [], []

    def start(self, share):
        number = len(self.shares)
        self.shares.append(share)
        name = f"worker {number + 1}"
        self.open[name] = list(self.scripts[min(number, len(self.scripts) - 1)])
        return name

    def news(self):
        told = [(name, script.pop(0)) for name, script in self.open.items()]
        self.open = {name: script for name, script in self.open.items() if script}
        return told

    def slow_down(self, name, said):
        self.slowed.append((name, said))


def share():
    return Share("s", "i", Settings(), LoadFiles(skip_bad=Path("bad.jsonl")), SourceOptions())


def crew(stage, least, most=None, waiting=lambda: False, progress=lambda _: None):
    return Crew(stage, share(), Bounds(least, most or least), progress, waiting)


def test_a_report_is_of_all_together():
    """5 and 5 documents; the progress was 1 and 1."""
    told = []
    report = crew(Stage([BEGUN, *DONE]), 2, progress=told.append).run()
    assert (report.documents, report.indexed, report.notes) == (10, 10, ())
    assert told[-1].documents == 2


def test_what_is_left_out_is_counted_once():
    """Who ends the load counts the 7 of all; another knows of 3 of them."""
    scripts = [[IngestReport("i", skipped=count), Ended()] for count in (3, 7)]
    assert crew(Stage(*scripts), 2).run().skipped == 7


def test_one_that_dies_is_replaced_by_a_careful_one_with_its_files():
    """The second of two dies: a third works in its place, with the models apart, and the notes name the dead."""
    stage = Stage([BEGUN, BEGUN, BEGUN, *DONE], [BEGUN, Ended("exit -9")], DONE)
    report = crew(stage, 2).run()
    assert report.documents == 10
    assert report.notes == ("worker 2 died (exit -9); others took what it had",)
    assert [one.careful for one in stage.shares] == [False, False, True]
    assert [one.files.skip_bad.name for one in stage.shares] == ["bad.jsonl", "bad-w2.jsonl", "bad-w2.jsonl"]


def test_deaths_are_borne_up_to_a_number():
    """Each of two may die three times; then it is not replaced, and where none is left that is an error."""
    stage = Stage([Ended("exit -11")])
    with pytest.raises(IngestError, match=r"all workers died, the last exit -11"):
        crew(stage, 2).run()
    assert len(stage.shares) == 2 + 2 * DEATHS


def test_one_that_was_stopped_is_not_replaced():
    """It ended without an error and without a report; the other loads the rest."""
    stage = Stage([Ended()], DONE)
    assert crew(stage, 2).run().documents == 5
    assert len(stage.shares) == 2


def test_a_failure_is_told():
    """The others come to their ends first."""
    with pytest.raises(IngestError, match=r"a worker failed: bad.jsonl:2 is broken"):
        crew(Stage([Failed("bad.jsonl:2 is broken"), Ended()], DONE), 2).run()


def test_a_refusal_slows_down_the_others_alone():
    """The first of three is refused by the engine."""
    stage = Stage([Refused(1, 2.0), *DONE], [BEGUN, *DONE], [BEGUN, *DONE])
    crew(stage, 3).run()
    assert stage.slowed == [("worker 2", Refused(1, 2.0)), ("worker 3", Refused(1, 2.0))]


def test_there_are_more_of_them_while_splits_wait():
    """From one up to three, each once the last has begun; none where nothing waits."""
    script = [BEGUN, BEGUN, BEGUN, BEGUN, *DONE]
    stage = Stage(script)
    report = crew(stage, 1, 3, waiting=lambda: len(stage.open) == len(stage.shares)).run()  # until one has ended
    assert (report.documents, len(stage.shares)) == (15, 3)
    stage = Stage(script)
    assert crew(stage, 1, 3).run().documents == 5
    assert len(stage.shares) == 1


def test_dead_letters_of_all_are_in_one_file(tmp_path):
    """The first file has its own line and that of the second, which is gone; a line that both have is there once."""
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(LETTERS.header + path.name.encode() + b"\nboth\n")
    elsewhere = tmp_path / "elsewhere"
    assert together_in_one([*paths, elsewhere]) == [paths[0], elsewhere]
    assert paths[0].read_bytes() == LETTERS.header + b"a\nboth\nb\n"
    assert not paths[1].exists()
    assert together_in_one(paths, elsewhere) == [elsewhere, paths[1]]
    assert elsewhere.read_bytes() == LETTERS.header + b"a\nboth\nb\n"


def test_what_a_worker_that_died_had_refused_is_told(tmp_path):
    """Who ends the load knows of 3 refused documents, 1 of them its own: the letters of the dead one are here too."""
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(LETTERS.header + path.name.encode() + b"\n")
    ended = IngestReport("i", documents=5, refused=1, refused_in_all=3)
    told = IngestProgress(9, 9, 2, waiting="a busy engine", slowed=4)
    followed = []
    stage = Stage([Begun(paths[1]), told, Ended("exit -9")], [BEGUN, Begun(paths[0]), BEGUN, ended, Ended()])
    stage.scripts.append([Ended()])
    report = crew(stage, 2, progress=followed.append).run()
    assert (report.refused, report.dead_letters) == (3, paths[1])
    assert paths[1].read_bytes() == LETTERS.header + b"b\na\n"
    assert any("2 were refused by workers that died" in note for note in report.notes)
    assert (followed[-1].documents, followed[-1].waiting, followed[-1].slowed, followed[-1].workers) == (10, None, 0, 0)


def test_a_letter_on_another_machine_is_named(tmp_path):
    """It was refused there, and its file is not here; so it is with records that were left out."""
    elsewhere = tmp_path / "elsewhere"
    report = crew(Stage([Begun(elsewhere), IngestReport("i", refused=1, skipped=1), Ended()]), 1).run()
    assert [note for note in report.notes if "replay them there" in note and str(elsewhere) in note]
    assert [note for note in report.notes if "left out are also in bad.jsonl, on the machine" in note]


def test_bad_records_of_all_are_in_the_file_that_was_named(tmp_path):
    """Two workers have left out a record each."""
    bad = tmp_path / "bad.jsonl"
    for name in ("bad.jsonl", "bad-w2.jsonl"):
        (tmp_path / name).write_bytes(BAD_RECORDS.header + name.encode() + b"\n")
    one = replace(share(), files=LoadFiles(skip_bad=bad))
    Crew(Stage([Begun(tmp_path / "letters"), *DONE]), one, Bounds(2, 2), lambda _: None).run()
    assert bad.read_bytes() == BAD_RECORDS.header + b"bad.jsonl\nbad-w2.jsonl\n"
    assert not (tmp_path / "bad-w2.jsonl").exists()


def test_relative_paths_are_those_of_the_command(tmp_path, monkeypatch):
    """An actor works in the command's folder, where its node has it, and else in the one that it was started in."""
    (theirs := tmp_path / "theirs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seen = []
    monkeypatch.setattr(ray_actor, "work", lambda *_: seen.append(Path.cwd()))
    for folder in (None, tmp_path / "nowhere", theirs):
        ray_actor.Actor().work(replace(share(), folder=folder), 1)
    assert seen == [tmp_path, tmp_path, theirs]
