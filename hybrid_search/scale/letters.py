"""Dead letters and bad records of several workers, in one file each when the load has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def together_in_one(paths: Sequence[Path], named: Path | None = None) -> list[Path]:
    """Append to the first file what the others on this machine hold; it, and those that are elsewhere.

    It has the name that was asked for, if any, whoever of them has written it.
    A line that is in two files, because this was broken off or two workers have read the same, is kept once. Files of
    one kind have the same first line, which says what they are; one that has no other is removed, but for the first.
    """
    here = [path for path in dict.fromkeys(paths) if path.exists()]
    elsewhere = [path for path in dict.fromkeys(paths) if path not in here]
    if here and named is not None and not named.exists():
        here[0] = here[0].rename(named)
    known = set(here[0].read_bytes().splitlines()) if here else set()
    for path in here[1:]:
        more = [line for line in path.read_bytes().splitlines() if line not in known]
        known.update(more)
        with here[0].open("ab") as first:
            first.write(b"".join(line + b"\n" for line in more))
        path.unlink()
    return [*here[:1], *elsewhere]


def is_empty(path: Path) -> bool:
    """Whether a file has its first line alone: whoever had it was killed before it removed it."""
    return len(path.read_bytes().splitlines()) < 2
