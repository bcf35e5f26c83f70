"""Signals that end a load in order."""

from __future__ import annotations

import signal
from typing import Any

ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a service, and what a closed terminal or laptop sends."""


def stop_cleanly() -> None:
    """Let SIGTERM, or a terminal that closes, end a load as Ctrl-C does: senders finish, settings are restored."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    for ending in ENDING_SIGNALS:
        if signal.getsignal(ending) is not signal.SIG_IGN:  # nohup asks for it to be ignored
            signal.signal(ending, interrupt)
