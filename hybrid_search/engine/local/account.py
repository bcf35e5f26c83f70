"""The account that runs the server: the user's own, or for root the unprivileged ``nobody``.

OpenSearch refuses to run as root. ``nobody`` exists on every Unix, so nothing has to be added to the system; what the
server writes is given to it, and everything else of the node stays root's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_search.engine.local.folders import is_root
from hybrid_search.errors import LocalNodeError

UNPRIVILEGED = "nobody"


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

    def make_folder(self, folder: Path) -> None:
        """Make a folder that this account can write; one that exists and is not empty is left as it is.

        Raises:
            LocalNodeError: the folder cannot be made, or this account cannot reach or write it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.uid is not None and self.gid is not None and not any(folder.iterdir()):
                os.chown(folder, self.uid, self.gid)
        except OSError as error:
            raise LocalNodeError(
                f"The folder cannot be made: {error.strerror}",
                where=str(folder),
                remedy="Choose another with --data or HYBRID_SEARCH_LOCAL_DIR",
            ) from error
        if not self.succeeds(["test", "-w", str(folder), "-a", "-x", str(folder)]):
            raise LocalNodeError(
                f"The user that runs OpenSearch ({self.name}) cannot reach or write the folder",
                where=str(folder),
                remedy="Choose a folder that this user can reach, or give it the folder with chown",
            )

    @property
    def name(self) -> str:
        """The account's name, for messages."""
        return UNPRIVILEGED if self.uid is not None else "you"

    def succeeds(self, command: Sequence[str]) -> bool:
        """Whether a short command run as this account exits with 0."""
        executable = shutil.which(command[0])
        if executable is None:
            return False
        arguments = [executable, *command[1:]]
        return subprocess.run(arguments, check=False, capture_output=True, **self.popen_options).returncode == 0


def server_account() -> Account:
    """The account for the server that this user starts.

    Raises:
        LocalNodeError: root asks, and the system has no user ``nobody``; or the system is Windows.
    """
    if os.name == "nt":
        raise LocalNodeError(
            "The local node runs on Linux and macOS", remedy="Use WSL, or name a running cluster with --url"
        )
    if not is_root():
        return Account()
    import pwd

    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise LocalNodeError(
            f"OpenSearch does not run as root, and this system has no user {UNPRIVILEGED}",
            remedy="Run the command as an ordinary user",
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)
