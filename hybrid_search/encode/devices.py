"""The device that a model runs on: named as torch names it, and there."""

from __future__ import annotations

import torch

from hybrid_search.errors import SettingsError

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
