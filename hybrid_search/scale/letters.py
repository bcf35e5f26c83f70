"""Dead letters of several workers, in one file when the load has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def together_in_one(paths: Sequence[Path]) -> list[Path]:
    """Append to the first file what the others on this machine hold; it, and those that are elsewhere.

    A letter that is in two files, because this was broken off, is read once.
    """
    here = [path for path in dict.fromkeys(paths) if path.exists()]
    elsewhere = [path for path in dict.fromkeys(paths) if path not in here]
    for path in here[1:]:
        _, _, letters = path.read_bytes().partition(b"\n")  # the first line says what the file is
        with here[0].open("ab") as first:
            first.write(letters)
        path.unlink()
    return [*here[:1], *elsewhere]


def named(paths: Sequence[Path]) -> list[str]:
    """A note on files that are on other machines."""
    return [
        f"refused documents are also in {path}, on the machine of their worker: replay them there" for path in paths
    ]
