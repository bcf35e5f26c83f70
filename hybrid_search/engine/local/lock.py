"""The lock file: every artifact of a local node with its exact coordinates, size, SHA-256 and place.

It is committed and shipped, so that a node is the same on every machine and needs no resolution of dependencies;
:mod:`hybrid_search.engine.local.resolve` writes it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from hybrid_search.engine.local import distribution

LOCK_NAME = f"opensearch-{distribution.VERSION}.lock.json"


class Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a Maven repository and the folders of the home that it goes to (a zip is unpacked there).

    ``size`` is in bytes, ``sha256`` in lower-case hexadecimal digits.
    """

    group: str
    artifact: str
    version: str
    packaging: str
    classifier: str
    size: int
    sha256: str
    folders: tuple[str, ...]

    @property
    def filename(self) -> str:
        """``artifact-version[-classifier].packaging``."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it, relative to the repository's root."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.filename}"


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All artifacts of one version of OpenSearch."""

    opensearch: str
    artifacts: tuple[Artifact, ...]

    @property
    def size(self) -> int:
        """Bytes of all artifacts."""
        return sum(artifact.size for artifact in self.artifacts)


@cache
def load_lock() -> Lock:
    """The lock file that came with the package."""
    return msgspec.json.decode(files(__package__).joinpath(LOCK_NAME).read_bytes(), type=Lock)
