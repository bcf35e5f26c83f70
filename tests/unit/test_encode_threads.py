"""Threads of the encoders: as many as the process may use, and none that spins."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.encode.threads import allowed_cores, use_allowed_threads, wait_passively

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "ascii")
    return path


@pytest.fixture
def many(monkeypatch):
    """A host of 64 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


# What /proc/self/cgroup says, the files of the groups, and the cores.
QUOTAS = {
    "version-2": ("0::/app\n", {"app/cpu.max": "200000 100000"}, 2),
    "container": ("0::/\n", {"cpu.max": "200000 100000"}, 2),
    "container-path-of-the-host": ("0::/../../kubepods/pod1\n", {"cpu.max": "300000 100000"}, 3),
    "one-and-a-half": ("0::/app\n", {"app/cpu.max": "150000 100000"}, 2),
    "less-than-one": ("0::/app\n", {"app/cpu.max": "20000 100000"}, 1),
    "no-quota": ("0::/app\n", {"app/cpu.max": "max 100000"}, 64),
    "above": ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4),
    "tightest": ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "800000 100000"}, 4),
    "version-1": (
        "4:memory:/app\n3:cpu,cpuacct:/app\n",
        {"cpu,cpuacct/app/cpu.cfs_quota_us": "500000\n", "cpu,cpuacct/app/cpu.cfs_period_us": "100000\n"},
        5,
    ),
    "version-1-no-quota": (
        "3:cpu:/app\n",
        {"cpu/app/cpu.cfs_quota_us": "-1\n", "cpu/app/cpu.cfs_period_us": "100000\n"},
        64,
    ),
    "both": ("3:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "700000", "cpu/cpu.cfs_period_us": "100000"}, 7),
    "wide": ("0::/app\n", {"app/cpu.max": "9900000 100000"}, 64),
    "ill-formed": ("0::/app\n", {"app/cpu.max": "two 0"}, 64),
    "no-files": ("0::/app\n", {}, 64),
}


@pytest.mark.parametrize("name", QUOTAS)
@pytest.mark.usefixtures("many")
def test_the_quota_of_a_container_counts(tmp_path, name):
    """A container of two cores on a host of 64 must not start 64 threads."""
    membership, files, cores = QUOTAS[name]
    for path, text in files.items():
        write(tmp_path / "cgroup" / path, text)
    assert allowed_cores(tmp_path / "cgroup", write(tmp_path / "membership", membership)) == cores


def test_without_control_groups_the_affinity_counts(tmp_path):
    """Other systems have no such files."""
    assert allowed_cores(tmp_path, tmp_path / "nothing") == CORES
    assert 1 <= allowed_cores() <= CORES


@given(quota=st.integers(1, 10**7), period=st.integers(1000, 10**6), cores=st.integers(1, 256))
def test_the_cores_are_the_quota_rounded_up_and_never_more_than_there_are(quota, period, cores):
    """ceil(quota / period), between 1 and the affinity."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        root = Path(name)
        write(root / "cpu.max", f"{quota} {period}")
        assert allowed_cores(root, write(root / "membership", "0::/\n")) == max(1, min(cores, -(-quota // period)))


@pytest.mark.parametrize(("set_to", "left_with"), [(64, 2), (2, 2), (1, 1)])
def test_threads_are_lowered_and_never_raised(monkeypatch, set_to, left_with):
    """A program that gave torch one thread keeps one."""
    threads = [set_to]
    monkeypatch.setattr("hybrid_search.encode.threads.allowed_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    use_allowed_threads()
    assert threads[-1] == left_with


def test_a_number_of_the_users_own_stands(monkeypatch):
    """Whoever writes OMP_NUM_THREADS means it."""
    monkeypatch.setattr("hybrid_search.encode.threads.allowed_cores", lambda: 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: pytest.fail("changed"))
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    use_allowed_threads()
    assert torch.get_num_threads() > 0


LOADED = """
import json, os, sys

from hybrid_search.encode.dense import load_dense
from hybrid_search.settings import DenseSettings
assert "torch" not in sys.modules
load_dense(DenseSettings())
print(json.dumps(os.environ.get("OMP_WAIT_POLICY")))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "100"}, None)],
    ids=["unsaid", "said", "said-otherwise"],
)
def test_waiting_is_passive_before_torch_is_there_unless_the_user_says_otherwise(variables, expected):
    """OpenMP reads it when it is loaded."""
    ours = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | variables
    ran = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == expected


def test_nothing_is_said_to_a_library_that_is_loaded(monkeypatch):
    """It would have no effect here, and one on programs that are started from here."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert "torch" in sys.modules
    wait_passively()
    assert "OMP_WAIT_POLICY" not in os.environ
