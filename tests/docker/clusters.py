"""Clusters in containers: official images or any other, one node or three, always removed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.settings import EngineSettings

OPENSEARCH_IMAGE = os.environ.get("HYBRID_SEARCH_TEST_OPENSEARCH_IMAGE", "opensearchproject/opensearch:3.6.0")
ELASTICSEARCH_IMAGE = os.environ.get(
    "HYBRID_SEARCH_TEST_ELASTICSEARCH_IMAGE", "docker.elastic.co/elasticsearch/elasticsearch:9.5.3"
)
PORT = 9200
READY_SECONDS = 240.0

OPENSEARCH = {"DISABLE_SECURITY_PLUGIN": "true", "OPENSEARCH_JAVA_OPTS": "-Xms512m -Xmx512m"}
ELASTICSEARCH = {"xpack.security.enabled": "false", "ES_JAVA_OPTS": "-Xms512m -Xmx512m"}


@dataclass
class Cluster:
    """Running containers and the addresses of their nodes, in the same order."""

    containers: Sequence[DockerContainer]
    urls: Sequence[str]

    def settings(self, **more) -> EngineSettings:
        """Settings that name every node."""
        return EngineSettings(url=",".join(self.urls), **more)


DOCKER_SOCKET = "unix:///var/run/docker.sock"


def missing(image: str) -> str | None:
    """Why tests with this image cannot run here, in one line; None where they can."""
    address = os.environ.get("DOCKER_HOST", DOCKER_SOCKET)
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return f"no Docker engine: nothing at {address}"  # asking it all the same would leak docker-py's socket
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        return f"no Docker engine: {str(error)[:100]}"
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        try:
            client.images.pull(image)
        except docker.errors.APIError as error:
            return f"no image {image}: {str(error)[:100]}"
    finally:
        client.close()
    return None


@contextmanager
def cluster(image: str, environment: Mapping[str, str], nodes: int = 1) -> Iterator[Cluster]:
    """A cluster of ``nodes`` containers, ready when all have joined; removed with its network and volumes."""
    names = [f"node{number}" for number in range(1, nodes + 1)]
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        containers = [
            stack.enter_context(
                _container(image, {**environment, **_discovery(image, name, names)}, name).with_network(network)
            )
            for name in names
        ]
        urls = [f"http://127.0.0.1:{container.get_exposed_port(PORT)}" for container in containers]
        running = Cluster(containers, urls)
        wait_for_nodes(running, nodes)
        yield running


def wait_for_nodes(running: Cluster, nodes: int) -> None:
    """Returns when so many nodes have joined and no shard is without a home."""
    health = {"wait_for_nodes": str(nodes), "wait_for_status": "yellow", "timeout": "10s"}
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with connect(running.settings()) as connection:
                connection.send(Request("GET", "/_cluster/health", health, timeout=20))
                return
        except EngineError as error:
            if time.monotonic() > end:
                logs = [str(container.get_logs()[0][-1000:]) for container in running.containers]
                raise AssertionError(f"{nodes} nodes did not form a cluster: {error} {logs}") from error
            time.sleep(1)


def connection_to(running: Cluster, **more) -> Connection:
    return connect(running.settings(**more))


def _container(image: str, environment: Mapping[str, str], name: str) -> DockerContainer:
    container = DockerContainer(image).with_exposed_ports(PORT).with_network_aliases(name)
    for key, value in environment.items():
        container.with_env(key, value)
    return container.with_kwargs(mem_limit="1500m")


def _discovery(image: str, name: str, names: Sequence[str]) -> dict[str, str]:
    # Without memory-mapped files the host's vm.max_map_count does not matter.
    common = {"node.name": name, "cluster.name": "hybrid-search-test", "node.store.allow_mmap": "false"}
    if len(names) == 1:
        return common | {"discovery.type": "single-node"}
    first = "cluster.initial_master_nodes" if "elastic" in image else "cluster.initial_cluster_manager_nodes"
    return common | {"discovery.seed_hosts": ",".join(names), first: ",".join(names)}
