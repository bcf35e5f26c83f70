"""The files of docs/operations.md by which a load is run: they are read as what they are for, and hold no secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from hybrid_search.cli.app import app

FOLDER = Path(__file__).parents[2] / "docker" / "load"
OPTIONS = {"--ray", "--ray-least", "--ray-gpus"}
"""Those of a release with Ray."""


def known_options() -> set[str]:
    index = typer.main.get_command(app).commands["index"]  # type: ignore[attr-defined]
    return {name for parameter in index.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.fixture
def compose():
    return yaml.safe_load((FOLDER / "compose.yml").read_text())


def test_a_driver_and_two_workers_share_one_load(compose):
    """The same command but for the metrics; each is bounded, ends in order and is started again."""
    services = compose["services"]
    assert sorted(services) == ["driver", "worker1", "worker2"]
    for service in services.values():
        assert service["command"][0] == "index"
        assert service["command"][3] == "--join"
        assert {word for word in service["command"] if word.startswith("--")} <= known_options()
        assert (service["restart"], service["mem_limit"]) == ("on-failure:5", "${WORKER_MEMORY:-4g}")
        assert service["environment"]["HYBRID_SEARCH_ENGINE_PASSWORD"].startswith("${OPENSEARCH_PASSWORD:?set ")
    assert (FOLDER / compose["include"][0]).resolve().is_file()


def test_compose_reads_it(tmp_path):
    """Where there is a docker with compose, it makes six services of it."""
    docker = shutil.which("docker")
    given = {
        "OPENSEARCH_PASSWORD": "Something-of-your-0wn",
        "SOURCE_FOLDER": str(tmp_path),
        "SOURCE": "a",
        "INDEX": "i",
    }
    words = [str(docker), "compose", "-f", str(FOLDER / "compose.yml"), "config"]
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    found = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **given}, check=False)
    assert found.returncode == 0, found.stderr
    read = yaml.safe_load(found.stdout)
    assert sorted(read["services"]) == ["driver", "node1", "node2", "node3", "worker1", "worker2"]


def test_the_ray_job_is_one_of_kuberay():
    """The command has options that there are, the parts that the operator wants are there, and no secret is."""
    job = yaml.safe_load((FOLDER / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["entrypoint"].startswith("hybrid-search index ")
    assert set(re.findall(r"--[a-z-]+", spec["entrypoint"])) <= known_options() | OPTIONS
    cluster = spec["rayClusterSpec"]
    [workers] = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for group in (cluster["headGroupSpec"], workers):
        [container] = group["template"]["spec"]["containers"]
        named = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= named
        password = next(one for one in container["env"] if one["name"].endswith("PASSWORD"))
        assert "secretKeyRef" in password["valueFrom"]


def test_the_runtime_of_a_job_holds_no_secret():
    """Addresses and names alone."""
    runtime = yaml.safe_load((FOLDER / "ray-runtime.yaml").read_text())
    assert not [name for name in runtime["env_vars"] if re.search("PASSWORD|KEY|BEARER", name)]
