"""Where the local node keeps things.

Everything that the server touches is under one base folder: the assembled homes, and per node its configuration, data
and logs. A server never runs as root, and root's home is closed to other users; so for root the base folder is the
system's place for the data of services, for anybody else the user's data folder. ``HYBRID_SEARCH_LOCAL_DIR`` names
another. Downloads are in the user's cache folder: only this package reads them.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from hybrid_search.engine.local.permissions import make_reachable, open_folder

APPLICATION = "hybrid-search"
BASE_VARIABLE = "HYBRID_SEARCH_LOCAL_DIR"
SYSTEM_BASE = Path("/var/lib") / APPLICATION


def is_root() -> bool:
    """Whether this user is the superuser, as whom the server refuses to run."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def base_folder() -> Path:
    """The folder of homes and nodes; it need not exist yet."""
    chosen = os.environ.get(BASE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return SYSTEM_BASE if is_root() else platformdirs.user_data_path(APPLICATION)


def prepare_base() -> None:
    """Make the base folder; root's is one that the server's account can enter, also where an earlier umask closed it.

    Raises:
        OSError: it cannot be made.
    """
    base = base_folder()
    if not is_root():
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    make_reachable(base)
    parts = [base / "homes", base / "nodes"]
    for place in parts:
        if place.is_dir():  # so the base folder is one of ours, whatever it was made with
            open_folder(base)
            open_folder(place)
        make_reachable(place)


def download_folder() -> Path:
    """The cache of verified artifacts, laid out like a Maven repository."""
    return platformdirs.user_cache_path(APPLICATION) / "maven"
