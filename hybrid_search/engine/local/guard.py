"""Cleans up after an ephemeral node: ``python -m hybrid_search.engine.local.guard FOLDER``.

It reads standard input until the pipe from the program that uses the node closes: because the test is done, or was
interrupted, or killed. Then it stops the servers that the folder's record names and removes the folder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from hybrid_search.engine.local.launch import stop
from hybrid_search.engine.local.state import read_record


def main() -> None:
    """Wait for the end of standard input, then stop the servers of the folder and remove it."""
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    node = read_record(folder)
    if node:
        stop(node.members, patience=0.0)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
