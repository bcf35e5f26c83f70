"""The committed lock file is whole, and every artifact goes where OpenSearch looks for it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.lock import LOCK_NAME, Artifact, load_lock
from hybrid_search.engine.local.resolve import format_lock

ARTIFACTS = load_lock().artifacts
FOLDERS = (
    {"lib", "agent", "compiler"}
    | {f"modules/{module.name}" for module in distribution.MODULES}
    | {f"plugins/{plugin}" for plugin in distribution.PLUGINS}
)


def test_the_lock_is_of_the_version_that_the_package_runs():
    """The lock file and the facts about the distribution cannot drift apart unseen."""
    assert load_lock().opensearch == distribution.VERSION
    assert LOCK_NAME == "opensearch-3.6.0.lock.json"


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda artifact: artifact.filename)
def test_every_artifact_has_a_checksum_a_size_and_a_known_place(artifact):
    """Nothing unverified, and nothing that would be downloaded and not used."""
    assert re.fullmatch(r"[0-9a-f]{64}", artifact.sha256)
    assert artifact.size > 0
    assert artifact.folders
    assert set(artifact.folders) <= FOLDERS


def test_every_folder_of_the_home_gets_something():
    """A module or plugin without a jar would fail only when the server starts."""
    assert {folder for artifact in ARTIFACTS for folder in artifact.folders} == FOLDERS


def test_zips_are_exactly_the_plugins():
    """Zips are unpacked and jars are linked; a plugin's zip goes to the folder that its descriptor names."""
    zips = {artifact.artifact: artifact.folders for artifact in ARTIFACTS if artifact.packaging == "zip"}
    assert zips == {artifact: (f"plugins/{folder}",) for folder, artifact in distribution.PLUGINS.items()}


def test_no_folder_holds_two_versions_of_one_library():
    """The server refuses to start when a class is there twice."""
    counted = Counter(
        (folder, artifact.group, artifact.artifact) for artifact in ARTIFACTS for folder in artifact.folders
    )
    assert max(counted.values()) == 1


def test_modules_leave_out_what_the_server_has():
    """A library in lib/ is visible to every module; a second copy would be refused as jar hell."""
    shared = {(artifact.group, artifact.artifact) for artifact in ARTIFACTS if "lib" in artifact.folders}
    in_modules = {
        (artifact.group, artifact.artifact)
        for artifact in ARTIFACTS
        if any(folder.startswith("modules/") for folder in artifact.folders)
    }
    assert not shared & in_modules


def test_the_server_has_what_its_pom_forgets():
    """The logging core, the agent's bootstrap and the plugin class loader are added by hand."""
    lib = {artifact.artifact for artifact in ARTIFACTS if "lib" in artifact.folders}
    assert {"opensearch", "lucene-core", "log4j-core", *distribution.SERVER_EXTRAS} <= lib
    agent = {artifact.artifact for artifact in ARTIFACTS if "agent" in artifact.folders}
    assert agent == {"opensearch-agent", "opensearch-agent-bootstrap", "byte-buddy"}


def test_the_path_is_that_of_a_maven_repository():
    """Groups are folders; a classifier comes after the version."""
    artifact = Artifact(
        group="org.example.part",
        artifact="thing",
        version="1.2",
        packaging="zip",
        classifier="linux",
        size=1,
        sha256="0" * 64,
        folders=("lib",),
    )
    assert artifact.path == "org/example/part/thing/1.2/thing-1.2-linux.zip"


def test_the_committed_file_is_as_the_resolver_writes_it():
    """Regenerating without a change of facts leaves no difference."""
    from importlib.resources import files

    committed = files("hybrid_search.engine.local").joinpath(LOCK_NAME).read_bytes()
    assert format_lock(load_lock()) == committed
