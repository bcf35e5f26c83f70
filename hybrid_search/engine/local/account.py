"""The account that runs the server: the user's own, or for root one that nothing else has.

OpenSearch refuses to run as root, and what it holds must be closed to other users, ``nobody`` included, whom several
services share. Root's servers run as the user ``hybrid-search`` where the system has one (``useradd --system
hybrid-search``), else under a number that no user, group or process of this machine has; nothing is added to the
system. The number is kept in the base folder, so that the data of one start can be read by the next.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hybrid_search.engine.local.exclusive import exclusive
from hybrid_search.engine.local.folders import APPLICATION, base_folder, is_root
from hybrid_search.engine.local.permissions import close_tree, make_reachable
from hybrid_search.errors import LocalNodeError
from hybrid_search.private_files import FOLDER

FORMER = "nobody"
"""As whom earlier releases ran root's servers: what is theirs is given to the account of now."""

NUMBERS = range(61184, 65520)
"""The users that systemd sets aside for services without a user of their own (``DynamicUser``)."""

RECORD = "account"
WRITTEN = "nodes"
"""All that OpenSearch makes in the folder of its data."""

PASSAGE = 0o710


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server; ``uid`` and ``gid`` are None for the user's own account."""

    uid: int | None = None
    gid: int | None = None

    @property
    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments that make :class:`subprocess.Popen` run as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @property
    def ids(self) -> tuple[int, int]:
        """User and group."""
        return (os.getuid(), os.getgid()) if self.uid is None or self.gid is None else (self.uid, self.gid)

    @property
    def name(self) -> str:
        """The account, for messages."""
        return "you" if self.uid is None else f"uid {self.uid}"

    def make_folder(self, folder: Path) -> None:
        """Make a folder of this account's own, closed to others; one that is there is closed with all in it.

        Raises:
            LocalNodeError: the folder cannot be made, or this account cannot reach or write it.
        """
        self._make(folder, is_own=True)

    def make_data_folder(self, folder: Path) -> None:
        """Make a folder for a server's data: as :meth:`make_folder`, but one that holds other things is left as it is.

        What a server has written in such a folder is closed to others all the same.

        Raises:
            LocalNodeError: as for :meth:`make_folder`.
        """
        is_own = not folder.is_dir() or {place.name for place in folder.iterdir()} <= {WRITTEN}
        self._make(folder, is_own=is_own)

    def _make(self, folder: Path, *, is_own: bool) -> None:
        try:
            if self.uid is not None:
                make_reachable(folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
            if self.uid is not None and not any(folder.iterdir()):
                os.chown(folder, *self.ids, follow_symlinks=_is_trusted_link(folder))
            self.close(folder if is_own else folder / WRITTEN)
        except OSError as error:
            raise _not_made(folder, error) from error
        if not self.succeeds(["test", "-w", str(folder), "-a", "-x", str(folder)]):
            raise self._refused(folder)

    def close(self, folder: Path) -> None:
        """Close a folder of this account to others; what root's servers of an earlier release left is taken over."""
        if folder.exists():
            place = folder.resolve() if _is_trusted_link(folder) else folder
            close_tree(place, self.ids, self.former)

    @property
    def former(self) -> frozenset[int]:
        """The users as whom earlier releases ran the server of this account's user."""
        return frozenset() if self.uid is None else (_number_of(FORMER) | set(_recorded())) - {self.uid}

    def make_passage(self, folder: Path) -> None:
        """Make a folder that this account can pass through and nobody else enter, except who made it.

        Raises:
            LocalNodeError: it cannot be made.
        """
        try:
            if self.uid is not None:
                make_reachable(folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
            if self.gid is not None:
                os.chown(folder, os.getuid(), self.gid)
            folder.chmod(FOLDER if self.gid is None else PASSAGE)
        except OSError as error:
            raise _not_made(folder, error) from error

    def succeeds(self, command: Sequence[str]) -> bool:
        """Whether a short command run as this account exits with 0."""
        executable = shutil.which(command[0]) or shutil.which(command[0], path=os.defpath)
        if executable is None:
            return False
        arguments = [executable, *command[1:]]
        try:
            return subprocess.run(arguments, check=False, capture_output=True, **self.popen_options).returncode == 0
        except OSError:
            return False

    def _refused(self, folder: Path) -> LocalNodeError:
        """Why a folder cannot be used, with the command that opens it."""
        closed = [place for place in reversed(folder.parents) if not self.succeeds(["test", "-x", str(place)])]
        if closed:
            return LocalNodeError(
                f"The account that runs OpenSearch ({self.name}) cannot pass through {closed[0]}",
                where=str(folder),
                remedy=f"Choose a folder elsewhere, or: chmod o+x {closed[0]}",
            )
        user, group = self.ids
        if folder.stat().st_uid == user:
            return LocalNodeError(
                "The folder cannot be written",
                where=str(folder),
                remedy="See whether its disk is mounted for reading only, or choose another folder",
            )
        return LocalNodeError(
            f"The folder is not empty and belongs to another account than the one that runs OpenSearch ({self.name})",
            where=str(folder),
            remedy=f"Choose another folder, or give it to that account: chown -R {user}:{group} {folder}",
        )


def server_account() -> Account:
    """The account for the server that this user starts.

    Raises:
        LocalNodeError: root asks, and no account can be had; or the system is Windows.
    """
    if os.name == "nt":
        raise LocalNodeError(
            "The local node runs on Linux and macOS", remedy="Use WSL, or name a running cluster with --url"
        )
    if not is_root():
        return Account()
    import pwd

    try:
        entry = pwd.getpwnam(APPLICATION)
    except KeyError:
        return _numbered_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _numbered_account() -> Account:
    """The number that the base folder is for, chosen at its first use."""
    record = base_folder() / RECORD
    with exclusive(base_folder() / f"{RECORD}.lock"):
        numbers = _recorded()
        if numbers and _is_nobodys(numbers[-1]):
            return Account(numbers[-1], numbers[-1])
        for number in _candidates():
            account = Account(number, number)
            if account.succeeds(["true"]):
                record.write_text("".join(f"{each}\n" for each in (*numbers, number)), encoding="ascii")
                record.chmod(0o600)
                return account
    raise LocalNodeError(
        "OpenSearch does not run as root, and this system lets no other account be used",
        remedy=f"Make one with: useradd --system {APPLICATION}; or run the command as an ordinary user",
    )


def _recorded() -> list[int]:
    """The numbers that servers of this base folder have run under; the last is the one of now."""
    record = base_folder() / RECORD
    lines = record.read_text(encoding="ascii", errors="replace").split() if record.is_file() else []
    return [int(line) for line in lines if line.isdecimal() and int(line) in NUMBERS]


def _candidates() -> Iterator[int]:
    """Free numbers, beginning at one that depends on the base folder: two of them seldom get the same."""
    digest = hashlib.sha256(os.fsencode(base_folder())).digest()
    start = int.from_bytes(digest[:4], "big") % len(NUMBERS)
    running = {number for process in psutil.process_iter(["uids"]) for number in process.info["uids"] or ()}
    for step in range(0, len(NUMBERS), 17):  # a few hundred: where none of these works, none does
        number = NUMBERS[(start + step) % len(NUMBERS)]
        if number not in running and _is_nobodys(number):
            yield number


def _is_nobodys(number: int) -> bool:
    """Whether no user and no group of the system has the number."""
    import grp
    import pwd

    for find in (pwd.getpwuid, grp.getgrgid):
        try:
            find(number)
        except KeyError:
            continue
        return False
    return True


def _not_made(folder: Path, error: OSError) -> LocalNodeError:
    return LocalNodeError(
        f"The folder cannot be made: {error.strerror}",
        where=str(folder),
        remedy="Choose another with --data or HYBRID_SEARCH_LOCAL_DIR",
    )


def _number_of(user: str) -> frozenset[int]:
    import pwd

    try:
        return frozenset({pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset()


def _is_trusted_link(folder: Path) -> bool:
    """Whether it is a link that this user or root made; a server could have made another, to lead root elsewhere."""
    return folder.is_symlink() and folder.lstat().st_uid in {0, os.getuid()}
