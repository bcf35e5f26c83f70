"""Write the lock file anew: ``python -m hybrid_search.engine.local.resolve``.

Resolves the dependencies by Maven's rules (jgo) and measures every file. Needed only where the facts in
:mod:`hybrid_search.engine.local.distribution` change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from jgo.maven import Artifact as MavenArtifact
from jgo.maven import MavenContext

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.lock import LOCK_NAME, Artifact, Lock


def format_lock(lock: Lock) -> bytes:
    """The text of a lock file: JSON with one artifact per line, so that a difference reads well."""
    lines = b",\n".join(msgspec.json.encode(artifact) for artifact in lock.artifacts)
    return b'{"opensearch":%b,"artifacts":[\n%b\n]}\n' % (msgspec.json.encode(lock.opensearch), lines)


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
    compiler = context.project(distribution.COMPILER_GROUP, distribution.COMPILER)
    yield "compiler", compiler.at_version(distribution.COMPILER_VERSION).artifact()
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
    """Write the lock file beside this module."""
    Path(__file__).with_name(LOCK_NAME).write_bytes(format_lock(resolve_lock(MavenContext())))


if __name__ == "__main__":
    main()
