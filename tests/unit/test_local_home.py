"""A home is assembled whole or not at all, and another lock makes another home."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hybrid_search.engine.local import distribution, folders, home
from hybrid_search.engine.local.java import Java
from hybrid_search.engine.local.lock import Artifact, Lock
from hybrid_search.errors import LocalNodeError


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


JAVA = Java(Path("/java"), 25, has_vector=True)
CONTENTS = {
    "server": ("jar", b"server", ("lib",)),
    "shared": ("jar", b"shared", ("agent", "lib")),
    "transport-netty4-client": ("jar", b"netty", ("modules/transport-netty4",)),
    "plugin": ("zip", zipped({"plugin-descriptor.properties": "name=plugin", "a.jar": "a"}), ("plugins/plugin",)),
}


@pytest.fixture
def lock(monkeypatch, tmp_path) -> Lock:
    """A small lock whose artifacts are already in the cache."""
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path / "base"))
    monkeypatch.setattr(home, "download_folder", lambda: tmp_path / "cache")
    artifacts = []
    for name, (packaging, content, places) in CONTENTS.items():
        artifact = Artifact(
            group="org.example",
            artifact=name,
            version="1",
            packaging=packaging,
            classifier="",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            folders=places,
        )
        place = tmp_path / "cache" / artifact.path
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        artifacts.append(artifact)
    made = Lock("9.9.9", tuple(artifacts))
    monkeypatch.setattr(home, "load_lock", lambda: made)
    monkeypatch.setattr(home, "build_guard", lambda folder, _: (folder / "plugins/hybrid-search-guard/a.jar").touch())
    return made


@pytest.mark.usefixtures("lock")
def test_every_artifact_is_in_its_folders():
    """Jars under their names, zips unpacked, and the files that no artifact brings."""
    assembled = home.ensure_home(JAVA)
    assert (assembled / "lib" / "server-1.jar").read_bytes() == b"server"
    assert (assembled / "lib" / "shared-1.jar").read_bytes() == b"shared"
    assert (assembled / "agent" / "shared-1.jar").read_bytes() == b"shared"
    assert (assembled / "plugins" / "plugin" / "a.jar").read_text() == "a"
    module = assembled / "modules" / "transport-netty4"
    assert (
        "classname=org.opensearch.transport.Netty4ModulePlugin\n"
        in (module / "plugin-descriptor.properties").read_text()
    )
    assert 'SocketPermission "*", "accept,connect,resolve"' in (module / "plugin-security.policy").read_text()
    guard = assembled / "plugins" / "hybrid-search-guard"
    assert "extended.plugins=opensearch-knn\n" in (guard / "plugin-descriptor.properties").read_text()
    assert (guard / "a.jar").exists()
    assert all((assembled / folder).is_dir() for folder in ("bin", "config", "extensions"))


@pytest.mark.usefixtures("lock")
def test_a_home_is_assembled_once():
    """A second call changes nothing in what a server may be using."""
    assembled = home.ensure_home(JAVA)
    (assembled / "mark").touch()
    assert home.ensure_home(JAVA) == assembled
    assert (assembled / "mark").exists()


def test_an_interrupted_assembly_is_begun_anew(lock, tmp_path):
    """What it left has another name than the home, and is removed."""
    name = f"opensearch-9.9.9-{home.identity(lock)}"
    partial = tmp_path / "base" / "homes" / f"{name}.partial"
    partial.mkdir(parents=True)
    (partial / "left").touch()
    assembled = home.ensure_home(JAVA)
    assert assembled.name == name
    assert not (assembled / "left").exists()
    assert not partial.exists()


def test_another_lock_or_another_text_makes_another_home(lock, monkeypatch):
    """Upgrades do not mix with what is there."""
    other = Lock("9.9.9", (msgspec.structs.replace(lock.artifacts[0], sha256="0" * 64), *lock.artifacts[1:]))
    assert home.identity(other) != home.identity(lock)
    before = home.identity(lock)
    monkeypatch.setattr(distribution, "POLICIES", {})
    without = home.identity(lock)
    monkeypatch.setattr(home, "sources", lambda: {"NodeGuard.java": "another"})
    assert len({before, without, home.identity(lock)}) == 3


@pytest.mark.usefixtures("lock")
def test_a_folder_that_cannot_be_written_is_a_clear_error(monkeypatch, tmp_path):
    """A file where the folder should be: the place and the variable that names another."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path / "file"))
    with pytest.raises(LocalNodeError) as caught:
        home.ensure_home(JAVA)
    assert "HYBRID_SEARCH_LOCAL_DIR" in caught.value.remedy


@pytest.mark.skipif(not folders.is_root(), reason="only root runs the server as somebody else")
@pytest.mark.usefixtures("lock", "strict_umask")
def test_roots_home_is_readable_for_its_server_under_any_umask():
    """When it is assembled, and when an earlier release left it closed: the server's account is another one."""
    assembled = home.ensure_home(JAVA)
    places = [assembled, *assembled.rglob("*")]
    assert {mode(place) for place in places} == {0o755, 0o644}
    for place in (assembled, assembled.parent, assembled.parents[1]):
        place.chmod(0o700)
    (assembled / "lib" / "server-1.jar").chmod(0o600)
    home.ensure_home(JAVA)
    assert {mode(place) for place in places} == {0o755, 0o644}
    assert mode(assembled.parent) & mode(assembled.parents[1]) & 0o011 == 0o011


def mode(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_every_module_has_a_descriptor_that_the_server_reads():
    """All keys that OpenSearch asks of a module, for each of the ten."""
    for module in distribution.MODULES:
        keys = dict(line.split("=", 1) for line in module.descriptor.splitlines())
        assert keys["name"] == module.name
        assert keys["version"] == keys["opensearch.version"] == distribution.VERSION
        assert keys["java.version"] == "21"
    assert len(distribution.MODULES) == 10


def test_root_keeps_nodes_where_another_account_can_reach_them(monkeypatch):
    """A server that does not run as root could not enter root's home."""
    monkeypatch.delenv("HYBRID_SEARCH_LOCAL_DIR", raising=False)
    monkeypatch.setattr(folders, "is_root", lambda: True)
    assert folders.base_folder() == folders.SYSTEM_BASE
    monkeypatch.setattr(folders, "is_root", lambda: False)
    assert Path.home() in folders.base_folder().parents
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", "~/elsewhere")
    assert folders.base_folder() == Path.home() / "elsewhere"
