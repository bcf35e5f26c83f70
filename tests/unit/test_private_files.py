"""What is derived from documents is closed to other users: new files under any umask, and those of earlier releases."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybrid_search.cli.options import write_settings
from hybrid_search.evaluate import write_run
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.ingest.state.lines import Kind, LineFile
from hybrid_search.private_files import close, make_folder

KIND = Kind("letters", b'{"hybrid_search": "letters", "version": 2}\n', lambda _: False)


@pytest.fixture(params=[0o000, 0o022], ids=["000", "022"], autouse=True)
def umask(request) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


def lines(path: Path) -> None:
    LineFile(path, KIND).close()


def cache(path: Path) -> None:
    with VectorCache(path):
        pass


def run(path: Path) -> None:
    write_run(path, {"q": [("d", 1.0)]}, "tag")


def settings(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_settings(path, "[index]\n")


@pytest.mark.parametrize("write", [lines, cache, run, settings])
def test_a_new_file_is_its_owners_alone(tmp_path, write):
    """0600 in a folder of 0700, where the folder is made for it."""
    write(tmp_path / "new" / "file")
    assert mode(tmp_path / "new") == 0o700
    assert {mode(place) for place in (tmp_path / "new").iterdir()} == {0o600}


@pytest.mark.parametrize("write", [lines, cache])
def test_a_file_that_an_earlier_release_left_open_is_closed(tmp_path, write):
    """At its next use, with its companions; the folder, which a person may have chosen, is left as it is."""
    tmp_path.chmod(0o755)
    write(tmp_path / "file")
    for place in tmp_path.iterdir():
        place.chmod(0o644)
    write(tmp_path / "file")
    assert {mode(place) for place in tmp_path.iterdir()} == {0o600}
    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("write", [run, settings])
def test_a_result_that_a_person_has_opened_stays_open(tmp_path, write):
    """Runs and settings are for sharing: whoever gave rights to one finds them as they were."""
    write(tmp_path / "folder" / "file")
    (tmp_path / "folder" / "file").chmod(0o644)
    write(tmp_path / "folder" / "file")
    assert mode(tmp_path / "folder" / "file") == 0o644


def test_the_packages_own_folders_are_closed(tmp_path, monkeypatch):
    """Of state and cache, with what is between; not what they are in, which is every program's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state_folder().mkdir(parents=True)
    for place in (tmp_path / "state", state_folder().parent, state_folder()):
        place.chmod(0o755)
    make_folder(state_folder())
    assert [mode(state_folder()), mode(state_folder().parent), mode(tmp_path / "state")] == [0o700, 0o700, 0o755]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of others to try")
def test_a_file_of_another_user_is_left_to_that_user(tmp_path):
    """Who shares a cache with a colleague has not made it, and cannot close it."""
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o664)
    os.chown(tmp_path / "file", 65000, 65000)
    close(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o664
