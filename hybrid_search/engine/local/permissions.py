"""Who may enter, read and write the folders of a node.

What a node holds is for its server's account alone: 0700 and 0600, whatever the umask, and also what an earlier release
made. What root's servers must reach without being root (the base folder, homes, a Java that was downloaded) is open to
all: there is nothing of the user's in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from hybrid_search.private_files import FILE, FOLDER

REACHABLE = 0o755
PASSABLE = 0o711


def make_reachable(folder: Path) -> None:
    """Make a folder that every account can enter; every parent that is missing as well, whatever the umask.

    Raises:
        OSError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        place.chmod(REACHABLE)


def open_folder(folder: Path) -> None:
    """Let every account enter a folder of ours that was made under a strict umask."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & PASSABLE != PASSABLE:
        folder.chmod(mode | PASSABLE)


def open_tree(folder: Path) -> None:
    """Let every account read what is in a folder, and run what its owner can run."""
    for place, _, names in os.walk(folder):
        Path(place).chmod(REACHABLE)
        for name in names:
            file = Path(place, name)
            status = file.lstat()
            wanted = status.st_mode | (0o555 if status.st_mode & stat.S_IXUSR else 0o444)
            if stat.S_ISREG(status.st_mode) and wanted != status.st_mode:
                file.chmod(stat.S_IMODE(wanted))


def close_tree(folder: Path, owner: tuple[int, int], former: Collection[int] = ()) -> None:
    """Close a folder and all in it to other users, and give what belonged to ``former`` users to ``owner``.

    No link is followed, and what belongs to anybody else stays as it is: the folder is the server's, which could have
    put there what leads elsewhere.

    Args:
        folder: the folder.
        owner: user and group.
        former: users whose files become the owner's.
    """
    for descriptor, mode in _opened(folder):
        status = os.fstat(descriptor)
        if status.st_uid in former:
            os.fchown(descriptor, *owner)
        if status.st_uid in {owner[0], *former} and stat.S_IMODE(status.st_mode) & 0o777 != mode:
            os.fchmod(descriptor, mode)


def _opened(folder: Path) -> Iterator[tuple[int, int]]:
    """A descriptor of every folder and regular file, each with the mode that it should have."""
    for _, _, names, place in os.fwalk(folder, follow_symlinks=False):
        yield place, FOLDER
        for name in names:
            try:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
            except OSError:  # a link, a socket, or gone meanwhile
                continue
            try:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    yield file, FILE
            finally:
                os.close(file)
