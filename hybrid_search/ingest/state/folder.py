"""Where loads keep what is theirs."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path


def state_folder() -> Path:
    """Where journals and dead letters are by default, and the ids of a source while it is read."""
    return user_state_path("hybrid-search") / "loads"
