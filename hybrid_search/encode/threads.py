"""As many threads as the process may use, and none that spins while it waits.

torch starts a thread for each core that it sees, not for each that a container may use: with two of 64 cores, 64
threads share two. And its OpenMP threads spin between two parts of a computation, which costs half of the machine
whenever something else, the search engine for one, wants the cores. How OpenMP waits is read from the environment when
it is loaded, so it has to be said before torch is imported; what the user has set stands.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
OWN_WORDS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
"""Variables by which a user has said how OpenMP waits."""

OWN_NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which a user has said how many threads there are."""

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait; does nothing where it is loaded or the user has said otherwise."""
    if "torch" not in sys.modules and not any(name in os.environ for name in OWN_WORDS):
        os.environ.update(WAITING)


def use_allowed_threads() -> None:
    """Lower torch's threads to the cores that the process may use; imports torch, and never raises their number."""
    import torch

    if any(name in os.environ for name in OWN_NUMBERS):
        return
    if torch.get_num_threads() > allowed_cores():
        torch.set_num_threads(allowed_cores())


def own_threads() -> int:
    """Threads of one computation: as many as the user has said, else one for each core that the process may use."""
    said = next((os.environ[name] for name in OWN_NUMBERS if name in os.environ), "").partition(",")[0]
    return int(said) if said.isdigit() and int(said) > 0 else allowed_cores()


def allowed_cores(root: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """Cores that this process may use: by its affinity, and by the quota of its control groups, rounded up.

    Args:
        root: where control groups are mounted.
        membership: the file that says which the process is in.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root, membership))]))


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    """Cores by each quota that holds for the process: that of its group and of every group above it.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), .../scheduler/sched-bwc.html (cpu.cfs_quota_us).
    """
    for line in _words(membership, "\n"):
        _, controllers, path = line.split(":", 2)
        mounts = [root] if not controllers else [root / controllers] if "cpu" in controllers.split(",") else []
        for mount in mounts:
            for group in _upwards(mount, path):
                yield from _quota(group)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """A group and those above it; in a container the mount is often the group itself."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _quota(group: Path) -> Iterator[float]:
    numbers = _words(group / "cpu.max") or [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
    if len(numbers) == 2 and numbers[0].isdigit() and numbers[1].isdigit() and int(numbers[1]) > 0:
        yield int(numbers[0]) / int(numbers[1])


def _words(path: Path, separator: str | None = None) -> list[str]:
    """Words or lines of a small file; none where it cannot be read."""
    try:
        return [word for word in path.read_text("ascii", errors="replace").split(separator) if word]
    except OSError:
        return []
