"""A framework that is not there, or too old, is said with its version and the command that brings it."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from hybrid_search import frameworks
from hybrid_search.errors import FrameworkError
from hybrid_search.frameworks import NEEDED, need

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", NEEDED)
def test_what_is_needed_is_what_the_extra_brings(extra) -> None:
    """The least version is said in two places, which agree."""
    _, distribution, least = NEEDED[extra]
    assert EXTRAS[extra] == [f"{distribution}>={least}"]


def test_a_framework_that_is_not_installed_is_named_with_the_command(monkeypatch) -> None:
    """The distribution that nobody has is in no environment."""
    monkeypatch.setitem(NEEDED, "loom", ("Loom", "loom-core-that-nobody-has", "3.1"))
    with pytest.raises(FrameworkError) as caught:
        need("loom")
    assert str(caught.value) == (
        "Loom is not installed: the adapter needs loom-core-that-nobody-has 3.1 or newer."
        " Run: pip install --upgrade 'hybrid-search[loom]'"
    )


@pytest.mark.parametrize("version", ["1.3.9", "0.14", "1.4.0rc1", "1.4", "1.10.0", "2"])
def test_a_framework_that_is_too_old_is_named_with_both_versions(version, monkeypatch) -> None:
    """Numbers are compared, not letters: 1.10 is newer than 1.4, and what leads up to 1.4 will do."""
    monkeypatch.setattr(frameworks.metadata, "version", lambda _: version)
    if version in {"1.3.9", "0.14"}:
        with pytest.raises(FrameworkError, match=rf"langchain-core {version} is installed, the adapter needs 1\.4"):
            need("langchain")
    else:
        need("langchain")


def test_the_version_that_is_installed_will_do() -> None:
    """What the tests run with is what the extra asks for."""
    need("langchain")
    assert int(metadata.version("langchain-core").partition(".")[0]) >= 1
