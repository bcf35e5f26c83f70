"""The compose files, started as a user starts them; data is still there after ``down`` and ``up``.

An image without security takes one node's file without its TLS, login, health check and limits of the process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from clusters import IMAGES, JAVA, PASSWORD, missing
from generated import filled, passages

from hybrid_search.engine import connect, indices
from hybrid_search.settings import EngineSettings

FOLDER = Path(__file__).parents[2] / "docker"
AUTHORITY = {
    "opensearch": IMAGES["opensearch"].authority,
    "elasticsearch": "/usr/share/elasticsearch/config/certs/ca/ca.crt",
}
UP_SECONDS = 300

ON_ANOTHER_PORT = """
  {service}:
    ports: !override ["127.0.0.1::9200"]"""
WITHOUT_SECURITY = """
    ulimits: !reset null
    environment: {{OPENSEARCH_JAVA_OPTS: {java}, node.store.allow_mmap: "false"}}
    healthcheck: {{test: [CMD, bash, -c, "exec 3<>/dev/tcp/127.0.0.1/9200"]}}
"""


@dataclass(frozen=True)
class Compose:
    """One file with what a test adds to it, under a project name of its own."""

    engine: str
    file: str
    service: str
    folder: Path
    secured: bool
    project: str

    def run(self, *arguments: str) -> str:
        files = ["--file", str(FOLDER / self.file), "--file", str(self.folder / "more.yml")]
        command = ["docker", "compose", "--project-name", self.project, *files, *arguments]
        image = {f"{self.engine.upper()}_IMAGE": IMAGES[self.engine].name}
        passwords = {"OPENSEARCH_PASSWORD": PASSWORD, "ELASTIC_PASSWORD": PASSWORD}
        environment = {**os.environ, **image, **passwords}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def up(self) -> EngineSettings:
        """Settings that reach the node, as the README has them."""
        self.run("up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS))
        port = self.run("port", self.service, "9200").strip().rpartition(":")[2]
        if not self.secured:
            return EngineSettings(url=f"http://localhost:{port}")
        authority = self.folder / "ca.pem"
        self.run("cp", f"{self.service}:{AUTHORITY[self.engine]}", str(authority))
        login = {"user": IMAGES[self.engine].user, "password": PASSWORD}
        return EngineSettings(url=f"https://localhost:{port}", ca_file=str(authority), **login)


def has_compose() -> bool:
    """Whether the docker command is there, with its compose plugin."""
    docker = shutil.which("docker")
    return (
        bool(docker)
        and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture(params=["opensearch", "opensearch-cluster", "elasticsearch", "elasticsearch-cluster"])
def compose(request, tmp_path) -> Iterator[Compose]:
    """A file of ``docker/``; what it started, its volumes included, is removed."""
    engine, _, cluster = request.param.partition("-")
    if not has_compose():
        pytest.skip("no docker compose")
    image = IMAGES[engine].name
    if reason := missing(image):
        pytest.skip(reason)
    lacking = missing(image, "security")
    if lacking and request.param != "opensearch":
        pytest.skip(lacking)
    services = ["node1", "node2", "node3"] if cluster else [engine]
    more = "".join(ON_ANOTHER_PORT.format(service=service) for service in services)
    (tmp_path / "more.yml").write_text("services:" + more + (WITHOUT_SECURITY.format(java=JAVA) if lacking else ""))
    project = f"hybrid-search-test-{uuid4().hex[:8]}"
    started = Compose(engine, f"{request.param}.compose.yml", services[0], tmp_path, not lacking, project)
    try:
        yield started
    finally:
        started.run("down", "--volumes", "--timeout", "5")


def test_a_compose_file_starts_and_keeps_its_data(compose):
    """Ready after ``up --wait``; the documents are found again after ``down`` and ``up``, until ``down --volumes``."""
    with connect(compose.up()) as connection:
        name = filled(connection, "test-compose", passages(20))
    compose.run("down", "--timeout", "20")
    with connect(compose.up()) as connection:
        assert indices.count(connection, name) == 20
