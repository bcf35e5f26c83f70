"""Remove a node with all that it holds."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hybrid_search.engine.local.account import WRITTEN
from hybrid_search.engine.local.state import LocalNode, all_nodes, node_folder
from hybrid_search.errors import LocalNodeError


@dataclass(frozen=True, slots=True)
class Belonging:
    """A folder that goes with a node, and the bytes of the files in it."""

    folder: Path
    size: int


def belongings(node: LocalNode) -> list[Belonging]:
    """What :func:`remove` removes: the node's own folder, and what its servers wrote into a folder that a user chose.

    Data that another node has as well is not among it.
    """
    own = node_folder(node.name)
    used = {member.data for other in all_nodes() if other.name != node.name for member in other.members}
    chosen = [Path(member.data) for member in node.members if member.data not in used]
    folders = [own, *(data / WRITTEN for data in chosen if not data.is_relative_to(own))]
    return [Belonging(folder, _size(folder)) for folder in folders if folder.is_dir()]


def remove(node: LocalNode) -> None:
    """Remove what :func:`belongings` names, the node's record last; a folder of the user's that is empty then goes too.

    Raises:
        LocalNodeError: something cannot be removed.
    """
    try:
        for belonging in reversed(belongings(node)):
            shutil.rmtree(belonging.folder)
            if belonging.folder.name == WRITTEN:
                with suppress(OSError):  # it holds other things, or is where a disk is mounted
                    belonging.folder.parent.rmdir()
        with suppress(OSError):
            node.data.rmdir()  # of a cluster: held the folders of the servers
    except OSError as error:
        raise LocalNodeError(
            f"The node cannot be removed: {error.strerror}",
            where=str(error.filename or node_folder(node.name)),
            remedy="Run the command as the user that started the node",
        ) from error


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # the server removes files of its own all the time
                total += Path(place, name).lstat().st_size
    return total
