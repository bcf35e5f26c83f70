"""The node's own plugin is compiled where a home is put together; the contract tests try it on a real node."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hybrid_search.engine.local import distribution
from hybrid_search.engine.local.java import Java
from hybrid_search.engine.local.node_guard import build_guard, sources
from hybrid_search.errors import LocalNodeError


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with its folders, a library and a compiler that no one runs."""
    for folder in ("lib", "compiler", "plugins/opensearch-knn", f"plugins/{distribution.GUARD}"):
        (tmp_path / "home" / folder).mkdir(parents=True)
        (tmp_path / "home" / folder / "a.jar").touch()
    return tmp_path / "home"


def java(tmp_path: Path, script: str) -> Java:
    """A program that is run in the place of Java."""
    executable = tmp_path / "java"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return Java(executable, 25, has_vector=True)


def test_the_sources_come_with_the_package():
    """The class that the descriptor names is among them."""
    assert f"{distribution.GUARD_CLASS.rpartition('.')[2]}.java" in sources()
    assert all(text.startswith("package hybridsearch.guard;\n") for text in sources().values())


def test_what_the_compiler_makes_is_the_plugins_jar(home, tmp_path):
    """Against the libraries of the home, into the folder of the plugin."""
    script = f"""echo "$@" >{tmp_path}/told
while [ "$1" != -d ]; do shift; done
mkdir -p "$2/hybridsearch/guard" && touch "$2/hybridsearch/guard/NodeGuard.class\""""
    build_guard(home, java(tmp_path, script))
    with zipfile.ZipFile(home / "plugins" / distribution.GUARD / f"{distribution.GUARD}.jar") as jar:
        assert jar.namelist() == ["hybridsearch/guard/NodeGuard.class"]
    told = (tmp_path / "told").read_text()
    assert f"-cp {home}/lib/a.jar:{home}/plugins/opensearch-knn/a.jar " in told
    assert all(name in told for name in sources())


@pytest.mark.parametrize("script", ["echo 'The type X\n is missing' >&2; exit 1", "exit 1"])
def test_a_guard_that_does_not_compile_starts_no_node(home, tmp_path, script):
    """One line with the compiler's words: a node without its guard is not the one that was asked for."""
    with pytest.raises(LocalNodeError, match="The node's guard cannot be compiled") as caught:
        build_guard(home, java(tmp_path, script))
    assert "\n" not in str(caught.value)
    assert "HYBRID_SEARCH_JAVA_HOME" in caught.value.remedy
