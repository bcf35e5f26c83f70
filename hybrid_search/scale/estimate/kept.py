"""Estimates that are kept, so that the load which follows says how far they were off."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from hybrid_search.errors import SettingsError
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.state.folder import state_folder
from hybrid_search.private_files import write_bytes
from hybrid_search.scale.estimate.figures import Estimate


@dataclass(frozen=True, slots=True)
class Outcome:
    """An estimate and the run that followed.

    Attributes:
        estimated: seconds for as many documents as the run has indexed.
        took: seconds.
        passages: estimated for so many documents, and those of the run.
    """

    estimated: float
    took: float
    passages: tuple[int, int]

    @property
    def difference(self) -> float:
        """Of the run from the estimate, as a share of that; positive where it took longer."""
        return self.took / self.estimated - 1 if self.estimated else 0.0

    def __str__(self) -> str:
        expected, found = self.passages
        more = (found / expected - 1) * 100 if expected else 0.0
        return (
            f"estimated {duration(self.estimated)}, took {duration(self.took)} ({self.difference:+.0%}); "
            f"{expected:,} passages estimated, {found:,} loaded ({more:+.0f} %)"
        ).replace("%)", " %)", 1)


def kept_for(source: str, index: str) -> Path:
    """Where the estimate of a load is kept, by the names of its source and its index."""
    known = blake2b(f"{source} {index}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return state_folder() / f"{index}-{known}.estimate.json"


def keep(estimate: Estimate, path: Path) -> None:
    """Write an estimate to a file.

    Raises:
        SettingsError: that cannot be done.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, msgspec.json.format(msgspec.json.encode(estimate)))
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror})", where=str(path)) from error


def read_kept(path: Path) -> Estimate | None:
    """The estimate of a file; None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Estimate)
    except (OSError, msgspec.MsgspecError):
        return None


def outcome(estimate: Estimate, report: IngestReport) -> Outcome | None:
    """How far the estimate was off; None for a run that has indexed nothing, of which it says nothing."""
    if not report.indexed:
        return None
    share = msgspec.structs.replace(estimate, documents=report.indexed)
    return Outcome(share.wall(report.workers), report.wall, (share.passages, report.passages))


def duration(seconds: float) -> str:
    """``8 s``, ``2 min 10 s``, ``3 h 20 min``, ``5 d 3 h``."""
    rest, found = max(0, round(seconds)), list[str]()
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or found:
            found.append(f"{count} {name}" if count else "")
    return " ".join(filter(None, found[:2])) or "0 s"
