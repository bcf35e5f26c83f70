"""Containers for the tests in this folder; where Docker cannot run, one line says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# testcontainers' own cleaner is an image from a registry; every container here is removed by its test.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from clusters import IMAGES, Cluster, Image, missing, secured_node, single_node, three_nodes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Docker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


def image_with(engine: str, *needs: str) -> Image:
    """The engine's image; the test is skipped where it cannot be had, or lacks what is needed."""
    image = IMAGES[engine]
    if reason := missing(image.name, *needs):
        pytest.skip(reason)
    return image


@pytest.fixture(scope="module", params=sorted(IMAGES))
def single(request) -> Iterator[Cluster]:
    """One node of each engine."""
    with single_node(image_with(request.param)) as running:
        yield running


@pytest.fixture(scope="module", params=sorted(IMAGES))
def secured(request, tmp_path_factory) -> Iterator[Cluster]:
    """One node of each engine with its security on."""
    with secured_node(image_with(request.param, "security"), tmp_path_factory.mktemp("ca")) as running:
        yield running


@pytest.fixture(scope="module", params=sorted(IMAGES))
def three(request) -> Iterator[Cluster]:
    """Three nodes of each engine."""
    with three_nodes(image_with(request.param, "cluster")) as running:
        yield running
