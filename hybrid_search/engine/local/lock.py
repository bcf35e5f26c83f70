"""The lock file: every artifact of a local node with its exact coordinates, size, SHA-256 and place.

``python -m hybrid_search.engine.local.lock`` resolves the dependencies anew (jgo, Maven's rules) and writes the file;
it is committed and shipped, so that a node is the same on every machine and needs no resolution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hybrid_search.engine.local import distribution

if TYPE_CHECKING:
    from jgo.maven import Artifact as MavenArtifact
    from jgo.maven import MavenContext

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


def resolve_lock(context: MavenContext) -> Lock:
    """Resolve every part of the home and measure its files, downloading what the context's cache lacks."""
    places: dict[MavenArtifact, list[str]] = {}
    for folder, artifact in _placed_artifacts(context):
        folders = places.setdefault(artifact, [])
        if folder not in folders:
            folders.append(folder)
    locked = (_measure(artifact, tuple(folders)) for artifact, folders in places.items())
    return Lock(distribution.VERSION, tuple(sorted(locked, key=lambda artifact: artifact.path)))


def _placed_artifacts(context: MavenContext) -> Iterator[tuple[str, MavenArtifact]]:
    """Every artifact with a folder that it goes to; modules leave out what ``lib`` has."""
    version, group = distribution.VERSION, distribution.SERVER_GROUP
    server = _runtime(context, group, "opensearch", version)
    logging_version = next(artifact.version for artifact in server if artifact.artifactId == "log4j-api")
    server += _runtime(context, "org.apache.logging.log4j", "log4j-core", logging_version)
    for extra in distribution.SERVER_EXTRAS:
        server += _runtime(context, group, extra, version)
    yield from (("lib", artifact) for artifact in server)
    yield from (("agent", artifact) for artifact in _runtime(context, group, distribution.AGENT, version))
    shared = {(artifact.groupId, artifact.artifactId) for artifact in server}
    for module in distribution.MODULES:
        for artifact in _runtime(context, distribution.PLUGIN_GROUP, module.artifact, version):
            if (artifact.groupId, artifact.artifactId) not in shared:
                yield f"modules/{module.name}", artifact
    for folder, name in distribution.PLUGINS.items():
        component = context.project(distribution.PLUGIN_GROUP, name).at_version(distribution.PLUGIN_VERSION)
        yield f"plugins/{folder}", component.artifact(packaging="zip")


def _runtime(context: MavenContext, group: str, artifact: str, version: str) -> list[MavenArtifact]:
    """The artifact and what it needs at run time."""
    root = context.create_dependency(f"{group}:{artifact}:{version}")
    roots, transitive = context.resolver.resolve([root])
    found = [dependency.artifact for dependency in roots + transitive]
    return [item for item in found if not item.classifier.startswith(distribution.UNUSED_CLASSIFIERS)]


def _measure(artifact: MavenArtifact, folders: tuple[str, ...]) -> Artifact:
    content = artifact.resolve().read_bytes()
    return Artifact(
        group=artifact.groupId,
        artifact=artifact.artifactId,
        version=artifact.version,
        packaging=artifact.packaging,
        classifier=artifact.classifier,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        folders=folders,
    )


def main() -> None:
    """Write the lock file anew, beside this module."""
    from jgo.maven import MavenContext

    lock = resolve_lock(MavenContext())
    encoded = msgspec.json.format(msgspec.json.encode(lock), indent=1)
    Path(__file__).with_name(LOCK_NAME).write_bytes(encoded + b"\n")


if __name__ == "__main__":
    main()
