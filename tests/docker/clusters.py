"""Clusters in containers: official images or any other, one node or three, always removed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from testcontainers.core.container import DockerContainer

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.settings import EngineSettings

PORT = 9200
READY_SECONDS = 240.0
MEMORY = "1500m"
# A node of a test compiles little and lives for minutes: the first compiler alone halves the time to its first answer.
JAVA = "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1"
DOCKER_SOCKET = "unix:///var/run/docker.sock"
LACKS = "hybrid-search.lacks"
"""The label by which the images of ``docker/local-image`` say what the official ones have and they have not."""


@dataclass(frozen=True)
class Image:
    """An engine's image and the environment that it wants, with its security off and on."""

    name: str
    common: Mapping[str, str]
    insecure: Mapping[str, str]
    secured: Mapping[str, str]
    user: str
    authority: str
    """The file in the container that holds the certificate of its own authority."""
    voters: str
    """The setting that names the nodes of the first election."""


@dataclass(frozen=True)
class Cluster:
    """Running containers and the addresses of their nodes, in the same order; ``login`` goes into the settings."""

    containers: Sequence[DockerContainer]
    urls: Sequence[str]
    login: Mapping[str, str] = field(default_factory=dict)

    def settings(self, **more) -> EngineSettings:
        """Settings that name every node."""
        return EngineSettings(url=",".join(self.urls), **{**self.login, **more})


PASSWORD = "Tr0ubled-harbour-lantern"  # noqa: S105 - of containers that live for one test run
IMAGES = {
    "opensearch": Image(
        os.environ.get("HYBRID_SEARCH_TEST_OPENSEARCH_IMAGE", "opensearchproject/opensearch:3.6.0"),
        common={"OPENSEARCH_JAVA_OPTS": JAVA, "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true"},
        insecure={"DISABLE_SECURITY_PLUGIN": "true", "DISABLE_INSTALL_DEMO_CONFIG": "true"},
        secured={"OPENSEARCH_INITIAL_ADMIN_PASSWORD": PASSWORD},
        user="admin",
        authority="/usr/share/opensearch/config/root-ca.pem",
        voters="cluster.initial_cluster_manager_nodes",
    ),
    "elasticsearch": Image(
        os.environ.get("HYBRID_SEARCH_TEST_ELASTICSEARCH_IMAGE", "docker.elastic.co/elasticsearch/elasticsearch:9.5.3"),
        common={"ES_JAVA_OPTS": JAVA, "xpack.ml.enabled": "false"},
        insecure={"xpack.security.enabled": "false"},
        secured={"ELASTIC_PASSWORD": PASSWORD},
        user="elastic",
        authority="/usr/share/elasticsearch/config/certs/http_ca.crt",
        voters="cluster.initial_master_nodes",
    ),
}


def missing(image: str, *needs: str) -> str | None:
    """Why tests with this image that need so much cannot run here, in one line; None where they can."""
    address = os.environ.get("DOCKER_HOST", DOCKER_SOCKET)
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return f"no Docker engine: nothing at {address}"  # asking it all the same would leak docker-py's socket
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        return f"no Docker engine: {str(error)[:100]}"
    try:
        labels = _image(client, image).labels
    except docker.errors.APIError as error:
        return f"no image {image}: {str(error)[:100]}"
    finally:
        client.close()
    lacking = sorted({*needs} & {*labels.get(LACKS, "").split()})
    return f"the image {image} has no {' and no '.join(lacking)}" if lacking else None


@contextmanager
def single_node(image: Image) -> Iterator[Cluster]:
    """One node without security, ready; removed with its volumes."""
    with _node(image, image.insecure, SINGLE).with_exposed_ports(PORT) as container:
        running = Cluster([container], [f"http://{_address(container, PORT)}"])
        wait_for_nodes(running, 1)
        yield running


@contextmanager
def secured_node(image: Image, folder: Path) -> Iterator[Cluster]:
    """One node as its image comes: TLS by an authority of its own, whose certificate is put in ``folder``, and a login.

    Both images make a certificate for ``localhost``.
    """
    with _node(image, image.secured, SINGLE).with_exposed_ports(PORT) as container:
        authority = folder / "ca.pem"
        login = {"user": image.user, "password": PASSWORD, "ca_file": str(authority)}
        running = Cluster([container], [f"https://localhost:{container.get_exposed_port(PORT)}"], login)
        authority.write_bytes(_file_of(running, image.authority))
        wait_for_nodes(running, 1)
        yield running


@contextmanager
def three_nodes(image: Image) -> Iterator[Cluster]:
    """Three nodes, which start side by side, ready when all have joined; removed with their volumes.

    They share the network of a fourth container that does nothing. So the nodes talk over loopback, which spares them
    the engines' checks of the host (file descriptors, memory maps) that a CI machine cannot always pass, and each
    keeps its address when it is killed and started again.
    """
    names = ["node1", "node2", "node3"]
    with ExitStack() as stack:
        ports = [PORT + number for number in range(1, 4)]
        quiet = DockerContainer(image.name).with_kwargs(entrypoint=["sleep"]).with_command("infinity")
        network = stack.enter_context(quiet.with_exposed_ports(*ports))
        joined = {"network_mode": f"container:{network.get_wrapped_container().id}"}
        together = CLUSTER | {image.voters: ",".join(names)}
        nodes = [
            stack.enter_context(_node(image, image.insecure, together | _own(name, port), joined))
            for name, port in zip(names, ports, strict=True)
        ]
        running = Cluster(nodes, [f"http://{_address(network, port)}" for port in ports])
        wait_for_nodes(running, 3)
        yield running


SINGLE = {"discovery.type": "single-node"}
CLUSTER = {
    "cluster.name": "hybrid-search-test",
    "transport.host": "127.0.0.1",
    "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in range(9301, 9304)),
    # A paused node is missed after about ten seconds rather than half a minute.
    "cluster.fault_detection.follower_check.timeout": "2s",
    "cluster.fault_detection.leader_check.timeout": "2s",
}


def _own(name: str, port: int) -> dict[str, str]:
    return {"node.name": name, "http.port": str(port), "transport.port": str(port + 100)}


def wait_for_nodes(running: Cluster, nodes: int, seconds: float = READY_SECONDS) -> None:
    """Returns when so many nodes have joined and every primary shard has a home.

    Raises:
        AssertionError: they did not in time, or a container ended; with the last lines of each one's log.
    """
    health = {"wait_for_nodes": str(nodes), "wait_for_status": "yellow", "timeout": "10s"}
    end = time.monotonic() + seconds
    while True:
        try:
            with connect(running.settings()) as connection:
                connection.send(Request("GET", "/_cluster/health", health, timeout=20))
                return
        except EngineError as error:
            why = "in time" if time.monotonic() > end else ended(running)
            if why:
                raise AssertionError(f"{nodes} nodes did not form a cluster {why}: {error}\n{logs(running)}") from error
            time.sleep(0.5)


def ended(running: Cluster) -> str:
    """The names of containers that have ended; empty while all run."""
    return ", ".join(f"{one.name} has ended" for one in _inspected(running) if one.status == "exited")


def logs(running: Cluster, lines: int = 25) -> str:
    """The last lines of each container's log."""
    return "\n".join(f"--- {one.name}\n{one.logs(tail=lines).decode(errors='replace')}" for one in _inspected(running))


def connection_to(running: Cluster, **more) -> Connection:
    return connect(running.settings(**more))


def _inspected(running: Cluster) -> list[docker.models.containers.Container]:
    """The containers with their present state."""
    wrapped = [container.get_wrapped_container() for container in running.containers]
    for one in wrapped:
        one.reload()
    return wrapped


def _image(client: docker.DockerClient, name: str) -> docker.models.images.Image:
    """The local image, or else a pulled one."""
    try:
        return client.images.get(name)
    except docker.errors.ImageNotFound:
        return client.images.pull(name)


def _node(
    image: Image, security: Mapping[str, str], settings: Mapping[str, str], options: Mapping[str, str] | None = None
) -> DockerContainer:
    # Without memory-mapped files the host's vm.max_map_count does not matter; nor does a nearly full disk of it.
    spared = {"node.store.allow_mmap": "false", "cluster.routing.allocation.disk.threshold_enabled": "false"}
    environment = {**image.common, **security, **spared, **settings}
    return DockerContainer(image.name).with_envs(**environment).with_kwargs(mem_limit=MEMORY, **options or {})


def _address(container: DockerContainer, port: int) -> str:
    return f"127.0.0.1:{container.get_exposed_port(port)}"


def _file_of(running: Cluster, path: str, seconds: float = READY_SECONDS) -> bytes:
    """A file that the container writes while it starts."""
    end = time.monotonic() + seconds
    while True:
        why = "in time" if time.monotonic() > end else ended(running)
        if why:
            raise AssertionError(f"no {path} {why}\n{logs(running)}")
        status, content = running.containers[0].get_wrapped_container().exec_run(["cat", path])
        if status == 0:
            return content
        time.sleep(0.5)
