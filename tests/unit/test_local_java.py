"""Java is found where people keep it, and taken only when it runs and is new enough."""

from __future__ import annotations

import os
from pathlib import Path

import cjdk
import pytest

from hybrid_search.engine.local import java
from hybrid_search.engine.local.account import Account, server_account
from hybrid_search.engine.local.folders import is_root
from hybrid_search.engine.local.java import Java, find_java, java_version, probe
from hybrid_search.errors import LocalNodeError

MODULES = "java.base java.compiler jdk.localedata jdk.unsupported jdk.incubator.vector"
MYSELF = Account()


def make_java(home: Path, version: str = "25.0.1", modules: str = MODULES) -> Path:
    """A folder that looks like a JDK: its ``java`` answers the two questions that are asked."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    listed = "".join(f"echo {name}@{version}\n" for name in modules.split())
    executable.write_text(
        "#!/bin/sh\n"
        f"if [ $1 = -version ]; then echo 'openjdk version \"{version}\" 2026-01-01' >&2; exit 0; fi\n"
        f"if [ $1 = --list-modules ]; then\n{listed}exit 0; fi\nexit 1\n"
    )
    executable.chmod(0o755)
    return executable


@pytest.fixture(autouse=True)
def no_java(monkeypatch, tmp_path):
    """A machine without Java, and without a network to download one from."""
    for variable in ("HYBRID_SEARCH_JAVA_HOME", "JAVA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(java, "USUAL_HOMES", (str(tmp_path / "jvm" / "*"),))

    def unreachable(**_):
        raise cjdk.JdkNotFoundError("no network")

    monkeypatch.setattr(cjdk, "java_home", unreachable)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "25.0.1" 2025-10-21 LTS', 25),
        ('java version "21" 2023-09-19 LTS', 21),
        ('openjdk version "27-ea" 2026-09-15', 27),
        ('java version "1.8.0_392"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_major_version_is_read_from_what_java_prints(text, version):
    """New and old numbering, early access, and macOS's stand-in for a Java that is not there."""
    assert java_version(text) == version


def test_a_suitable_java_is_described(tmp_path):
    """Its executable, its version, and whether vector search can use the vector module."""
    executable = make_java(tmp_path / "jdk")
    assert probe(executable, MYSELF) == Java(executable, 25, has_vector=True)
    trimmed = make_java(tmp_path / "jre", "21.0.2", "java.base java.compiler jdk.localedata jdk.unsupported")
    assert probe(trimmed, MYSELF) == Java(trimmed, 21, has_vector=False)


def test_an_unsuitable_java_gets_a_reason(tmp_path):
    """Too old, trimmed too far, not running, not there."""
    assert probe(make_java(tmp_path / "old", "17.0.15"), MYSELF) == "is version 17"
    assert probe(make_java(tmp_path / "tiny", modules="java.base"), MYSELF) == "lacks the module java.compiler"
    broken = make_java(tmp_path / "broken")
    broken.write_text("#!/bin/sh\nexit 1\n")
    assert probe(broken, MYSELF) == "does not run"
    assert probe(tmp_path / "absent", MYSELF) == "does not run"


def test_java_home_comes_before_the_path_and_the_path_before_the_usual_folders(monkeypatch, tmp_path):
    """The more deliberate choice wins."""
    usual = make_java(tmp_path / "jvm" / "jdk-25")
    assert find_java(MYSELF).executable == usual
    on_path = make_java(tmp_path)
    assert find_java(MYSELF).executable == on_path
    chosen = make_java(tmp_path / "chosen")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "chosen"))
    assert find_java(MYSELF).executable == chosen


def test_an_old_java_on_the_path_does_not_hide_a_new_one(monkeypatch, tmp_path):
    """Systems often put an old Java first: the search goes on."""
    make_java(tmp_path, "17.0.15")
    make_java(tmp_path / "old", "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    new = make_java(tmp_path / "jvm" / "jdk-21", "21.0.4")
    assert find_java(MYSELF) == Java(new, 21, has_vector=True)


def test_the_variable_of_this_package_is_taken_or_refused(monkeypatch, tmp_path):
    """Who names a Java for this package wants that one, not another that happens to be suitable."""
    make_java(tmp_path / "jvm" / "jdk-25")
    make_java(tmp_path / "mine", "17.0.15")
    monkeypatch.setenv("HYBRID_SEARCH_JAVA_HOME", str(tmp_path / "mine"))
    with pytest.raises(LocalNodeError, match=r"HYBRID_SEARCH_JAVA_HOME names a Java .*mine/bin/java is version 17"):
        find_java(MYSELF)


def test_without_a_java_the_error_says_what_was_found_and_what_to_do(tmp_path):
    """Each Java that was tried, with the reason, and the ways out."""
    old = make_java(tmp_path, "17.0.15")
    with pytest.raises(LocalNodeError) as caught:
        find_java(MYSELF)
    message = str(caught.value)
    assert f"{old} is version 17" in message
    assert "could not be downloaded (no network)" in message
    assert "Install a JDK 21+" in message
    assert "HYBRID_SEARCH_JAVA_HOME" in message


def test_a_java_that_cjdk_brings_is_checked_like_any_other(monkeypatch, tmp_path):
    """It is downloaded into the base folder, where the server's account can read it."""
    asked = {}

    def bring(**arguments):
        asked.update(arguments)
        make_java(tmp_path / "downloaded")
        return tmp_path / "downloaded"

    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path / "base"))
    monkeypatch.setattr(cjdk, "java_home", bring)
    assert find_java(MYSELF).executable == tmp_path / "downloaded" / "bin" / "java"
    assert asked["cache_dir"] == tmp_path / "base" / "java"


@pytest.mark.skipif(not is_root(), reason="only root runs the server as somebody else")
def test_a_java_in_roots_own_home_is_of_no_use(tmp_path):
    """The server does not run as root: what its account cannot reach does not count."""
    closed = tmp_path / "closed"
    executable = make_java(closed / "jdk")
    closed.chmod(0o700)
    assert isinstance(probe(executable, MYSELF), Java)
    assert probe(executable, server_account()) == "does not run"


def test_an_unprivileged_user_runs_the_server_as_itself(monkeypatch):
    """Only root has to become somebody else."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account() == MYSELF
    assert MYSELF.popen_options == {}
