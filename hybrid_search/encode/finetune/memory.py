"""Memory that was freed, given back: activations come and go in blocks that the C library keeps for itself."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Let go of what nothing refers to, and let the system have it: by ``malloc_trim``, which glibc alone has.

    Between two steps of training all-MiniLM-L6-v2 some 900 MiB are alive, where the process held 2,400.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
