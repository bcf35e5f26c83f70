"""What is locked: by one set of versions, with hashes; the wheel's list of parts and the images are made of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DUE = "dependencies have changed: run make lock"
LOCKS = ["build.lock", "ingest.lock", "query.lock"]
IMAGES = ["ingest", "query"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def pins(text):
    """Versions by name."""
    return {found[1]: found[2] for line in text.splitlines() if (found := PIN.match(line))}


def normal(name):
    """A name as package indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_has_hashes(name):
    """Of SHA-256, for each file of its version."""
    entries = re.split(r"\n(?=\S)", (DOCKER / name).read_text())
    assert len(entries) == len(pins("\n".join(entries)))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_versions_of_the_constraints(name):
    """Those that the tests run with; another is written by .ci/lock. Some are of other systems only."""
    locked = pins((DOCKER / name).read_text())
    both = locked.keys() & CONSTRAINTS.keys()
    assert {package: locked[package] for package in both} == {package: CONSTRAINTS[package] for package in both}, DUE
    assert len(both) > len(locked) * (0.1 if name == "build.lock" else 0.8)


def test_the_locks_hold_what_the_package_needs():
    """Every direct dependency, and in the image with models theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "query.lock": project["dependencies"],
        "ingest.lock": [*project["dependencies"], *extras["models"], *extras["aws"]],
    }
    for name, requirements in wanted.items():
        names = {normal(re.match(r"[A-Za-z0-9._-]+", text)[0]) for text in requirements}
        assert names <= set(map(normal, pins((DOCKER / name).read_text()))), DUE
    assert "torch" not in pins((DOCKER / "query.lock").read_text())


def test_the_list_of_parts_is_that_of_the_lock():
    """CycloneDX, in the wheel by PEP 770: names and versions of all that the images hold."""
    listed = json.loads((DOCKER / "hybrid-search.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "hybrid-search"
    parts = {part["name"]: part["version"] for part in listed["components"]}
    assert parts == pins((DOCKER / "ingest.lock").read_text()), DUE
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["sbom-files"] == ["docker/hybrid-search.cdx.json"]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_pinned_and_has_no_rights_and_a_health_check(name):
    """A full version of its base, hashes of all that is installed, a user by number, and no secret of a build."""
    text = (DOCKER / f"{name}.Dockerfile").read_text()
    assert re.search(r"^ARG BASE=python:\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    installs = re.findall(r"pip install[^\n&]*", text)
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-deps /dist/" in line for line in installs)
    last = text.rpartition("FROM ${BASE}")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert last.index("USER 10001") < last.index("ENTRYPOINT")
    assert "HEALTHCHECK" in last
