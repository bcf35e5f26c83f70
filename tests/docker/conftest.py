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

from clusters import ELASTICSEARCH, ELASTICSEARCH_IMAGE, OPENSEARCH, OPENSEARCH_IMAGE, Cluster, cluster, missing

IMAGES = {"opensearch": (OPENSEARCH_IMAGE, OPENSEARCH), "elasticsearch": (ELASTICSEARCH_IMAGE, ELASTICSEARCH)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Docker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


def started(engine: str, nodes: int) -> Iterator[Cluster]:
    image, environment = IMAGES[engine]
    if reason := missing(image):
        pytest.skip(reason)
    with cluster(image, environment, nodes) as running:
        yield running


@pytest.fixture(scope="module", params=sorted(IMAGES))
def single(request) -> Iterator[Cluster]:
    """One node of each engine."""
    yield from started(request.param, 1)


@pytest.fixture(scope="module", params=sorted(IMAGES))
def three(request) -> Iterator[Cluster]:
    """Three nodes of each engine."""
    yield from started(request.param, 3)
