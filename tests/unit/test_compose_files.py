"""The compose files that users run: pinned, healthy, bounded, and open to their own machine only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
FILES = sorted(DOCKER.glob("*.compose.yml"))
PINNED = re.compile(r"\$\{(OPENSEARCH|ELASTICSEARCH)_IMAGE:-[a-z./]+:\d+\.\d+\.\d+\}")


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def compose(request):
    return yaml.safe_load(request.param.read_text())


def nodes(compose):
    """The services that stay."""
    return {name: service for name, service in compose["services"].items() if name != "certificates"}


def test_there_is_one_node_and_a_cluster_of_each_engine():
    """Four files, by name."""
    engines = ("elasticsearch", "opensearch")
    assert [path.name for path in FILES] == [
        f"{engine}{kind}.compose.yml" for engine in engines for kind in ("-cluster", "")
    ]


def test_images_are_pinned(compose):
    """To a full version; one variable puts another image in its place."""
    images = {service["image"] for service in compose["services"].values()}
    assert len(images) == 1
    assert PINNED.fullmatch(images.pop())


def test_every_node_says_when_it_is_healthy(compose):
    """By asking its cluster's health with a login, so that a cluster is up when all its nodes have joined."""
    wanted = {1: "wait_for_status=yellow", 3: "wait_for_nodes=3"}[len(nodes(compose))]
    for node in nodes(compose).values():
        kind, command = node["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        assert f"https://localhost:9200/_cluster/health?{wanted}" in command


def test_data_outlives_a_container(compose):
    """Each node has a volume of its own with a name."""
    data = [volume for node in nodes(compose).values() for volume in node["volumes"] if volume.endswith("/data")]
    named = {volume.split(":")[0] for volume in data}
    assert len(named) == len(nodes(compose))
    assert named <= {*compose["volumes"]}


def test_memory_is_bounded(compose):
    """A limit, half of it heap; the heap neither grows nor is swapped out."""
    for node in nodes(compose).values():
        java = next(value for name, value in node["environment"].items() if name.endswith("_JAVA_OPTS"))
        assert (node["mem_limit"], java) == ("2g", "-Xms1g -Xmx1g")
        assert node["environment"]["bootstrap.memory_lock"] == "true"


def test_only_this_machine_reaches_the_ports(compose):
    """And no two nodes want the same one."""
    ports = [port for node in nodes(compose).values() for port in node["ports"]]
    assert all(re.fullmatch(r"127\.0\.0\.1:920\d:9200", port) for port in ports)
    assert len({*ports}) == len(nodes(compose))


def test_nothing_starts_without_a_password(compose):
    """There is no default: compose refuses with a sentence."""
    for node in nodes(compose).values():
        password = next(value for name, value in node["environment"].items() if name.endswith("PASSWORD"))
        assert re.match(r"\$\{(OPENSEARCH|ELASTIC)_PASSWORD:\?set ", password)


@pytest.mark.parametrize("compose", [path for path in FILES if "cluster" in path.name], indirect=True)
def test_a_cluster_knows_all_its_nodes(compose):
    """Seed hosts and voters of the first election are the services."""
    for name, node in nodes(compose).items():
        environment = node["environment"]
        voters = next(value for key, value in environment.items() if key.startswith("cluster.initial"))
        assert environment["discovery.seed_hosts"] == voters == ",".join(nodes(compose))
        assert environment["node.name"] == name
