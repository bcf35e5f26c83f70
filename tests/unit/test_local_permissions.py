"""What a node holds is closed to other users, whatever the umask and whatever was there before."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hybrid_search.engine.local import account
from hybrid_search.engine.local.account import NUMBERS, Account, server_account
from hybrid_search.engine.local.folders import is_root, prepare_base
from hybrid_search.engine.local.permissions import close_tree, make_reachable
from hybrid_search.errors import LocalNodeError

needs_root = pytest.mark.skipif(not is_root(), reason="only root runs the server as somebody else")
ME = (os.getuid(), os.getgid())


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077], ids=["000", "022", "027", "077"])
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def base(monkeypatch) -> Iterator[Path]:
    """A base folder that every account can reach, as the system's place for the data of services is."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(folder / "deep" / "base"))
    yield folder / "deep" / "base"
    shutil.rmtree(folder)


def mode(place: Path) -> int:
    return stat.S_IMODE(place.lstat().st_mode)


def test_a_tree_is_closed_to_others(tmp_path):
    """Folders 0700 and files 0600, also what an earlier release made open."""
    (tmp_path / "data" / "nodes").mkdir(parents=True)
    (tmp_path / "data" / "nodes" / "segment").touch(mode=0o644)
    close_tree(tmp_path / "data", ME)
    assert mode(tmp_path / "data") == mode(tmp_path / "data" / "nodes") == 0o700
    assert mode(tmp_path / "data" / "nodes" / "segment") == 0o600


def test_no_link_is_followed(tmp_path):
    """A server's folder can hold a link to what is root's: neither it nor a folder behind it is changed."""
    (tmp_path / "other").mkdir(mode=0o755)
    (tmp_path / "other" / "file").touch(mode=0o644)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").symlink_to(tmp_path / "other" / "file")
    (tmp_path / "own" / "folder").symlink_to(tmp_path / "other")
    close_tree(tmp_path / "own", ME)
    assert mode(tmp_path / "other") == 0o755
    assert mode(tmp_path / "other" / "file") == 0o644


@needs_root
def test_what_earlier_releases_gave_to_nobody_is_taken_over(tmp_path):
    """Its files go to the server's account of now; those of a third user stay as they are."""
    nobody, third = pwd.getpwnam("nobody").pw_uid, 65000
    for name, user in (("kept", nobody), ("foreign", third)):
        (tmp_path / name).touch(mode=0o644)
        os.chown(tmp_path / name, user, user)
    os.chown(tmp_path, nobody, nobody)
    close_tree(tmp_path, (61200, 61200), {nobody})
    assert [(place.stat().st_uid, mode(place)) for place in (tmp_path, tmp_path / "kept", tmp_path / "foreign")] == [
        (61200, 0o700),
        (61200, 0o600),
        (third, 0o644),
    ]


def test_folders_of_a_server_are_private_under_any_umask(tmp_path, umask):
    """The account that owns them uses them, and nobody else."""
    Account().make_folder(tmp_path / "deep" / "data")
    assert mode(tmp_path / "deep" / "data") == 0o700
    assert umask == os.umask(umask)


def test_a_data_folder_that_holds_other_things_is_left_as_it_is(tmp_path):
    """`--data ~` must not take the rights of a whole home away; what the server wrote into it is closed."""
    tmp_path.chmod(0o755)
    (tmp_path / "program").touch(mode=0o755)
    (tmp_path / "nodes").mkdir(mode=0o755)
    (tmp_path / "nodes" / "segment").touch(mode=0o644)
    Account().make_data_folder(tmp_path)
    assert [mode(tmp_path), mode(tmp_path / "program")] == [0o755, 0o755]
    assert [mode(tmp_path / "nodes"), mode(tmp_path / "nodes" / "segment")] == [0o700, 0o600]


@needs_root
@pytest.mark.usefixtures("umask")
def test_roots_server_reaches_its_data_under_any_umask(base):
    """Every folder on the way can be passed, and the last is the server's alone."""
    account_ = server_account()
    account_.make_passage(base / "nodes" / "a")
    account_.make_folder(base / "nodes" / "a" / "logs")
    account_.make_data_folder(base / "nodes" / "a" / "data")
    assert account_.succeeds(["touch", str(base / "nodes" / "a" / "data" / "file")])
    assert mode(base / "nodes" / "a") == 0o710
    assert not Account(pwd.getpwnam("nobody").pw_uid, 65534).succeeds(["ls", str(base / "nodes" / "a" / "data")])


@needs_root
def test_folders_that_a_strict_umask_closed_are_opened(base):
    """An earlier release left them 0700, and no later `up` could run."""
    for place in (base, base / "homes", base / "nodes"):
        make_reachable(place)
        place.chmod(0o700)
    base.chmod(0o700)
    prepare_base()
    assert [mode(place) & 0o011 for place in (base, base / "homes", base / "nodes")] == [0o011] * 3


@needs_root
def test_a_closed_folder_on_the_way_is_named_with_the_command_that_opens_it(base):
    """And that command is the cure."""
    account_ = server_account()
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(LocalNodeError, match=f"cannot pass through {closed}") as caught:
        account_.make_data_folder(closed / "data")
    remedy = caught.value.remedy or ""
    assert remedy.endswith(f"chmod o+x {closed}")
    closed.chmod(mode(closed) | stat.S_IXOTH)
    account_.make_data_folder(closed / "data")


@needs_root
def test_a_folder_of_another_account_is_refused_with_the_command_that_gives_it(base):
    """Data of another program's user is not taken away from it unasked."""
    account_ = server_account()
    (base / "foreign").mkdir(mode=0o700)
    (base / "foreign" / "nodes").mkdir()
    with pytest.raises(LocalNodeError, match="belongs to another account") as caught:
        account_.make_data_folder(base / "foreign")
    assert (caught.value.remedy or "").endswith(f"chown -R {account_.uid}:{account_.gid} {base / 'foreign'}")


@needs_root
@pytest.mark.usefixtures("base")
def test_roots_server_has_an_account_that_nothing_else_has():
    """Neither root nor `nobody` nor any user or group of the system; the same at the next start."""
    made = server_account()
    assert made.uid in NUMBERS
    assert made.uid not in {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    assert server_account() == made


@needs_root
def test_a_number_that_a_user_has_got_meanwhile_is_not_kept(base, monkeypatch):
    """Its data would be that user's: another number is chosen, which takes over what the first one had."""
    before = server_account()
    before.make_data_folder(base / "data")
    free = account._is_nobodys
    monkeypatch.setattr(account, "_is_nobodys", lambda number: number != before.uid and free(number))
    assert server_account().uid != before.uid
    server_account().make_data_folder(base / "data")
    assert (base / "data").stat().st_uid == server_account().uid


@needs_root
@pytest.mark.usefixtures("base")
def test_a_user_of_the_system_of_that_name_is_taken(monkeypatch):
    """`useradd --system hybrid-search` is all that is needed to have the account in the system's lists."""
    daemon = pwd.getpwnam("daemon")
    monkeypatch.setattr(pwd, "getpwnam", {"hybrid-search": daemon}.__getitem__)
    assert server_account() == Account(daemon.pw_uid, daemon.pw_gid)
