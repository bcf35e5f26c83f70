"""Assemble OpenSearch's home folder (``path.home``) from the verified artifacts.

One home serves every node of a user. Its name holds a hash of all that goes into it, so another version of the lock
file or of the descriptors makes another home, and nothing is ever changed in one that a server may be using.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.download import bring
from hybrid_search.engine.local.exclusive import exclusive
from hybrid_search.engine.local.folders import base_folder, download_folder, is_root
from hybrid_search.engine.local.java import Java
from hybrid_search.engine.local.lock import Artifact, Lock, load_lock
from hybrid_search.engine.local.node_guard import build_guard, sources
from hybrid_search.engine.local.permissions import open_tree
from hybrid_search.errors import LocalNodeError


def identity(lock: Lock) -> str:
    """The first twelve digits of a SHA-256 over the lock file and the texts that are added to the artifacts."""
    texts = msgspec.json.encode([lock, _texts(), sources()])
    return hashlib.sha256(texts).hexdigest()[:12]


def ensure_home(java: Java) -> Path:
    """The home folder of this version, assembled (and its artifacts downloaded) where it is not there yet.

    Args:
        java: runs the compiler of the node's guard.

    Raises:
        LocalNodeError: the download failed, or the folder cannot be written.
    """
    lock = load_lock()
    home = base_folder() / "homes" / f"opensearch-{lock.opensearch}-{identity(lock)}"
    with exclusive(home.with_name(f"{home.name}.lock")):
        if not home.is_dir():
            _assemble(home, lock, bring(lock.artifacts, download_folder()), java)
        if is_root():
            open_tree(home)  # for the account that runs the server, also where a umask closed it before
    return home


def agent(home: Path) -> Path:
    """The jar of the Java agent in a home."""
    return home / "agent" / f"{distribution.AGENT}-{distribution.VERSION}.jar"


def _texts() -> Mapping[str, str]:
    """The files that a distribution has and no artifact brings, by path."""
    descriptors = {
        f"modules/{module.name}/plugin-descriptor.properties": module.descriptor for module in distribution.MODULES
    }
    guard = distribution.descriptor(distribution.GUARD, distribution.GUARD_CLASS, extends="opensearch-knn")
    descriptors[f"plugins/{distribution.GUARD}/plugin-descriptor.properties"] = guard
    return descriptors | dict(distribution.POLICIES)


def _assemble(home: Path, lock: Lock, artifacts: Mapping[Artifact, Path], java: Java) -> None:
    """Build beside the home and rename, so that a home is whole or not there."""
    partial = home.with_name(f"{home.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what an interrupted assembly left
        for folder in ("config", "bin", "extensions"):
            (partial / folder).mkdir(parents=True)
        for artifact in lock.artifacts:
            _place(artifact, artifacts[artifact], partial)
        for path, text in _texts().items():
            place = partial / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        build_guard(partial, java)
        partial.rename(home)
    except OSError as error:
        raise LocalNodeError(
            f"The home of OpenSearch cannot be written: {error.strerror}",
            where=str(home),
            remedy="Free some disk space, or name a folder that can be written in HYBRID_SEARCH_LOCAL_DIR",
        ) from error


def _place(artifact: Artifact, source: Path, home: Path) -> None:
    for folder in artifact.folders:
        target = home / folder
        target.mkdir(parents=True, exist_ok=True)
        if artifact.packaging == "zip":
            with zipfile.ZipFile(source) as archive:
                archive.extractall(target)
        else:
            _link(source, target / source.name)


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the folders are on two file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
