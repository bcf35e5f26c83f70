"""The device that a model runs on: named as torch names it, and there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor

from hybrid_search.errors import SettingsError

T = TypeVar("T")

GPU = "gpu"
"""What people write for whichever accelerator there is; torch has no such name."""


def find_device(name: str | None, key: str) -> str | None:
    """The device of a setting as torch names it; None, which leaves the choice to the library, stays None.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` ..., or ``gpu`` for any accelerator.
        key: the setting, for the message.

    Raises:
        SettingsError: no such device on this machine, or no such name.
    """
    if name is None:
        return None
    here = devices_here()
    wanted = here[0] if name.strip().lower() == GPU and here[0] != "cpu" else name.strip()
    if not _is_here(wanted):
        remedy = f"Devices here: {', '.join(here)}. Leave {key} out to take the first"
        what = "this machine has no GPU that torch can use" if _means_gpu(name) else f"there is no device {name!r}"
        raise SettingsError(what, where=key, remedy=remedy)
    return wanted


def devices_here() -> list[str]:
    """Names of the devices that torch can use, accelerators first."""
    found = [f"cuda:{number}" if number else "cuda" for number in range(torch.cuda.device_count())]
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), *_xpu(), "cpu"]


def _xpu() -> list[str]:
    return ["xpu"] if hasattr(torch, "xpu") and torch.xpu.is_available() else []


def _is_here(name: str) -> bool:
    try:
        device = torch.device(name)
    except RuntimeError:
        return False
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return any(torch.device(other).type == device.type for other in devices_here())


def _means_gpu(name: str) -> bool:
    """Whether any accelerator would have done, and there is none."""
    return name.strip().lower().partition(":")[0] in {GPU, "cuda", "mps", "xpu"} and devices_here() == ["cpu"]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; to a GPU through pinned memory, so that the copy runs beside computation."""
    if device.type == "cpu":
        return tensor
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given: without, a clock measures how fast work is handed over."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    elif device.type == "xpu":
        torch.xpu.synchronize(device)


def from_device(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin to copy a tensor to the CPU; what is returned waits for it and gives it.

    From CUDA into pinned memory: the device goes on with the next pass meanwhile.
    """
    if tensor.device.type != "cuda":
        return tensor.cpu
    copied = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    copied.copy_(tensor, non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no types for it
    done.record(torch.cuda.current_stream(tensor.device))

    def landed() -> Tensor:
        done.synchronize()
        return copied

    return landed


def ahead_of(device: torch.device) -> int:
    """How many passes are begun before the results of one are waited for: one on a device of its own, else none."""
    return 0 if device.type == "cpu" else 1


def side_by_side(jobs: Sequence[Callable[[], T]], devices: Sequence[torch.device]) -> list[T]:
    """Results of jobs: on an accelerator at the same time, on a CPU one after the other, because one alone fills it.

    Each has a stream of its own, so that one computes while another copies or is tokenized for.
    """
    if len(jobs) < 2 or any(device.type == "cpu" for device in devices):
        return [job() for job in jobs]

    def run(job: Callable[[], T], device: torch.device) -> T:
        with _own_stream(device):
            return job()

    with ThreadPoolExecutor(len(jobs), thread_name_prefix="hybrid-search-model") as pool:
        return list(pool.map(run, jobs, devices))


def _own_stream(device: torch.device) -> AbstractContextManager[object]:
    if device.type != "cuda":
        return nullcontext()
    own = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # the same
    own.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(own)


def utilisation(device: torch.device) -> float | None:
    """The share of the last moments in which a GPU computed, from 0 to 1; None where nobody knows (no NVML)."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except (ModuleNotFoundError, RuntimeError):
        return None
