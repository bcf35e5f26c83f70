"""The image of the query client: built as a user builds it, small, and of use without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import docker
import orjson
import pytest
from clusters import connection_to, missing
from generated import filled, passages

ROOT = Path(__file__).parents[2]
BASE = os.environ.get("HYBRID_SEARCH_TEST_PYTHON_IMAGE", "python:3.12.12-slim-bookworm")
NO_TORCH = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)"


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine, with the image that the package's own is built on."""
    if reason := missing(BASE):
        pytest.skip(reason)
    with closing(docker.from_env(timeout=600)) as client:
        yield client


@pytest.fixture(scope="module")
def query_image(engine) -> Iterator[str]:
    """The built image's name; removed afterwards."""
    name = f"hybrid-search-test-query:{uuid4().hex[:8]}"
    tags = {"build": f"{name}-build", None: name}  # the first stage has a name so that it can be removed as well
    for stage, tag in tags.items():
        # The host's network: a package index may be reached by its resolver and routes only.
        engine.images.build(
            path=str(ROOT),
            dockerfile="docker/query.Dockerfile",
            target=stage,
            buildargs={"BASE": BASE},
            network_mode="host",
            tag=tag,
            rm=True,
            forcerm=True,
        )
    yield name
    for tag in reversed(tags.values()):
        engine.images.remove(tag)


def test_it_is_the_package_without_torch(engine, query_image):
    """The version of this checkout, no torch, no root, and what it adds to its base is less than half a gigabyte."""
    assert version("hybrid-search") in engine.containers.run(query_image, ["--version"], remove=True).decode()
    engine.containers.run(query_image, ["-c", NO_TORCH], entrypoint=["python"], remove=True)  # raises unless status 0
    image = engine.images.get(query_image)
    assert image.attrs["Config"]["User"] == "10001"
    assert image.attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "hybrid-search", "--version"]
    assert image.attrs["Size"] - engine.images.get(BASE).attrs["Size"] < 500e6


@pytest.mark.parametrize("single", ["opensearch"], indirect=True)
def test_it_searches(engine, query_image, single):
    """BM25 needs no model: the document whose text is the question comes first."""
    batch = passages(50)
    with connection_to(single) as connection:
        name = filled(connection, "test-query-image", batch)
    told = engine.containers.run(
        query_image,
        ["search", name, batch[17].passage.text, "--legs", "bm25", "--k", "3", "--json"],
        environment={"HYBRID_SEARCH_URL": "http://127.0.0.1:9200"},
        network_mode=f"container:{single.containers[0].get_wrapped_container().id}",
        remove=True,
    )
    assert orjson.loads(told)["hits"][0]["id"] == "doc-17"
