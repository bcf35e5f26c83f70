"""What is to be started follows from the arguments, the record and the defaults; nothing is started to find out."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import msgspec
import psutil
import pytest

from hybrid_search.engine.local.account import Account
from hybrid_search.engine.local.java import Java
from hybrid_search.engine.local.launch import Runtime, command, configuration
from hybrid_search.engine.local.plan import plan_members, plan_node
from hybrid_search.engine.local.ports import free_ports, is_free, random_ports
from hybrid_search.engine.local.resources import check_disk, check_memory, heap_bytes
from hybrid_search.engine.local.state import write_node
from hybrid_search.errors import LocalNodeError, SettingsError

NOTHING = {"nodes": None, "data": None, "port": None, "heap": None}


@pytest.fixture(autouse=True)
def base(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def taken_port():
    """A port on which something listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def plan(name="a", known=None, **arguments):
    return plan_node(name, known, **(NOTHING | arguments))


def test_a_taken_port_is_seen(taken_port):
    """Something listens: not free. Nobody listens: free."""
    assert not is_free(taken_port)
    assert is_free(random_ports(1)[0])


def test_ports_are_the_first_free_ones(taken_port):
    """Taken and reserved ports are stepped over, in order."""
    ports = free_ports(taken_port, 2, reserved={taken_port + 1})
    assert ports[0] > taken_port + 1
    assert ports == sorted(set(ports))


def test_random_ports_are_distinct():
    """They are held all at once while they are chosen."""
    assert len(set(random_ports(20))) == 20


def test_no_free_port_is_an_error():
    """65535 is the last port."""
    with pytest.raises(LocalNodeError, match="Fewer than 3 ports"):
        free_ports(65534, 3)


def test_defaults_are_one_server_with_data_in_its_own_folder(base):
    """1 GB of heap, and the first free port from 9200 on."""
    planned = plan()
    assert (planned.heap, planned.data) == ("1g", base / "nodes" / "a" / "data")
    assert len(planned.members) == 1
    assert planned.members[0].port >= 9200
    assert planned.members[0].transport_port >= 9300


def test_the_servers_of_a_cluster_have_ports_and_folders_of_their_own(base):
    """Three servers: three of everything, and less heap each."""
    planned = plan(nodes=3, data=base / "d")
    assert planned.heap == "512m"
    for attribute in ("name", "port", "transport_port", "folder", "data"):
        assert len({getattr(member, attribute) for member in planned.members}) == 3
    assert [member.data for member in planned.members] == [str(base / "d" / f"a-{n}") for n in (1, 2, 3)]


def test_ports_of_a_stopped_node_stay_its_own():
    """Another node keeps off them, so that addresses last."""
    first = plan("a")
    write_node(first)
    second = plan("b")
    assert second.members[0].port != first.members[0].port
    assert second.members[0].transport_port != first.members[0].transport_port
    assert plan("a", known=first).members[0].port == first.members[0].port


def test_a_stopped_node_keeps_its_data_and_heap(base):
    """What is left out of the next ``up`` is as before; what is given counts."""
    known = msgspec.structs.replace(plan(data=base / "d", heap="2g"), stopped=True)
    again = plan(known=known)
    assert (again.data, again.heap) == (base / "d", "2g")
    assert plan(known=known, heap="512m").heap == "512m"


def test_a_port_that_was_asked_for_and_is_taken_is_refused(taken_port):
    """Another port would not be what was asked for."""
    with pytest.raises(LocalNodeError, match=f"The port {taken_port} is taken"):
        plan(port=taken_port)


def test_a_recorded_port_that_is_taken_is_replaced(taken_port):
    """Nobody asked for this very port: the next one does."""
    first = plan()
    known = msgspec.structs.replace(
        first, members=(msgspec.structs.replace(first.members[0], port=taken_port),), stopped=True
    )
    assert plan(known=known).members[0].port > taken_port


def test_the_number_of_servers_cannot_change():
    """The data of three servers is not that of one."""
    with pytest.raises(SettingsError, match="has --nodes 1, not 3"):
        plan(known=plan(), nodes=3)


@pytest.mark.parametrize("nodes", [0, -1, 10])
def test_the_number_of_servers_is_sane(nodes):
    """At least one, and no more than a machine can hold."""
    with pytest.raises(SettingsError, match="--nodes"):
        plan(nodes=nodes)


@pytest.mark.parametrize(("heap", "size"), [("1g", 1 << 30), ("768m", 768 << 20), ("2G", 2 << 30)])
def test_heap_sizes_are_read(heap, size):
    """Java's own notation, megabytes and gigabytes."""
    assert heap_bytes(heap) == size


@pytest.mark.parametrize("heap", ["", "1", "1t", "0g", "100m", "-1g", "1 g"])
def test_other_heap_sizes_are_refused(heap):
    """Also those with which OpenSearch would not start."""
    with pytest.raises(SettingsError, match="not a heap size"):
        plan(heap=heap)


def test_too_little_memory_is_refused(monkeypatch):
    """Three servers of 512 MB and as much again in halves beside: 3 x (512 + 256) MB = 2416 MB."""
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2_000_000_000))
    check_memory("512m", 2)
    with pytest.raises(LocalNodeError, match="needs 2416 MB of memory, and 2000 MB are available"):
        check_memory("512m", 3)


def test_too_little_disk_is_refused(monkeypatch, tmp_path):
    """Below 1 GB the server would make every index read-only."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=900_000_000))
    with pytest.raises(LocalNodeError, match=r"needs 1074 MB of free disk space and 900 MB are free") as caught:
        check_disk(tmp_path)
    assert caught.value.where == str(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    """A file is in the way: the system's words and where to go instead."""
    (tmp_path / "file").touch()
    with pytest.raises(LocalNodeError, match="The folder cannot be made") as caught:
        Account().make_folder(tmp_path / "file" / "data")
    assert "--data" in caught.value.remedy


def test_the_configuration_of_one_server():
    """Loopback only, its own folders, a cluster of its own."""
    member = plan_members("a", Path("/n/a"), Path("/d"), [(9200, 9300)])[0]
    assert configuration(member, "a", [member]) == {
        "cluster.name": "a",
        "node.name": "a",
        "network.host": "127.0.0.1",
        "http.port": 9200,
        "transport.port": 9300,
        "path.data": "/d",
        "path.logs": "/n/a/logs",
        "http.cors.enabled": True,
        "action.destructive_requires_name": True,
        "cluster.routing.allocation.disk.watermark.low": "1gb",
        "cluster.routing.allocation.disk.watermark.high": "750mb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
        "discovery.type": "single-node",
    }


def test_the_servers_of_a_cluster_know_each_other():
    """Each gets the transport addresses and names of all."""
    members = plan_members("a", Path("/n"), Path("/d"), [(9200, 9300), (9201, 9301)])
    settings = configuration(members[1], "a", members)
    assert settings["node.name"] == "a-2"
    assert settings["discovery.seed_hosts"] == ["127.0.0.1:9300", "127.0.0.1:9301"]
    assert settings["cluster.initial_cluster_manager_nodes"] == ["a-1", "a-2"]
    assert "discovery.type" not in settings


@pytest.mark.parametrize("has_vector", [True, False])
def test_the_vector_module_is_asked_for_only_where_it_is(has_vector):
    """A runtime without it would refuse to start."""
    member = plan_members("a", Path("/n"), Path("/d"), [(9200, 9300)])[0]
    runtime = Runtime(Path("/home"), Java(Path("/java"), 25, has_vector), Account(), "1g")
    line = command(runtime, member)
    assert ("jdk.incubator.vector" in line) is has_vector
    assert line[:3] == ["/java", "-Xms1g", "-Xmx1g"]
    assert "-javaagent:/home/agent/opensearch-agent-3.6.0.jar" in line
    assert line[-3:] == ["-cp", "/home/lib/*", "org.opensearch.bootstrap.OpenSearch"]
