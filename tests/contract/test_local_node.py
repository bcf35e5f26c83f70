"""The local node, run for real: what it holds lasts, what it starts it stops, and it is never mistaken for another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import typer
from typer.testing import CliRunner

from hybrid_search.cli import node as commands
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.local import LocalNode, down, ephemeral, node, running_url, status, up
from hybrid_search.engine.local.launch import Runtime
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import LocalNodeError, SettingsError
from hybrid_search.settings import EngineSettings

HEAP = "512m"
RANK_FEATURE = {"rank_feature": {"field": "terms.7", "linear": {}}}
INDEX = {
    "settings": {"index.knn": True, "number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
        "properties": {
            "text": {"type": "text", "analyzer": "english"},
            "terms": {"type": "rank_features"},
            "vector": {
                "type": "knn_vector",
                "dimension": 2,
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
            },
        }
    },
}
DOCUMENTS = {
    "a": {"text": "running shoes", "terms": {"7": 2.0}, "vector": [1.0, 0.0]},
    "b": {"text": "a run", "terms": {"7": 4.0}, "vector": [0.0, 1.0]},
}


@pytest.fixture(scope="module", autouse=True)
def base() -> Iterator[Path]:
    """A base folder of this module's own, which the server's account can reach; whatever still runs is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="hybrid-search-test-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRID_SEARCH_LOCAL_DIR", str(folder))
        # Short-lived servers start with half the processor time; `first` alone starts as users have it.
        patch.setattr(node, "Runtime", partial(Runtime, short_lived=True))
        yield folder
        for found in status():
            down(found.node.name)
    shutil.rmtree(folder)


def fill(connection: Connection, index: str) -> None:
    connection.send(Request.json("PUT", f"/{index}", INDEX))
    for name, document in DOCUMENTS.items():
        connection.send(Request.json("PUT", f"/{index}/_doc/{name}", document, refresh="true"))


def hits(connection: Connection, index: str, query: dict, **params: str) -> list[tuple[str, float]]:
    body = connection.send(Request.json("POST", f"/{index}/_search", {"query": query}, **params))
    return [(hit["_id"], hit["_score"]) for hit in body["hits"]["hits"]]


def health(connection: Connection) -> tuple[str, int] | None:
    """Status and number of servers; None while the cluster elects a manager."""
    answer = connection.transport.send(Request.json("GET", "/_cluster/health"))
    return (answer.body["status"], answer.body["number_of_nodes"]) if answer.status == 200 else None


def running_servers(folder: Path) -> list[int]:
    """Processes of any server whose configuration is under a folder, found without the package's help."""
    wanted = f"-Dopensearch.path.conf={folder}"
    found = psutil.process_iter(["pid", "cmdline"])
    return [each.info["pid"] for each in found if any(part.startswith(wanted) for part in each.info["cmdline"] or ())]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait as long as it takes: how soon servers end or find each other is not what is tested."""
    while not condition():
        time.sleep(0.1)


@pytest.fixture
def app() -> typer.Typer:
    """The commands of the node alone."""
    made = typer.Typer()
    commands.register(made)
    return made


@pytest.fixture(scope="module")
def first(base: Path) -> LocalNode:
    """A running node named ``first``."""
    del base
    umask = os.umask(0o077)  # as careful users have it: the server's account must reach its part all the same
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(node, "Runtime", Runtime)
            return up("first", heap=HEAP)
    finally:
        os.umask(umask)


def test_the_node_searches_words_terms_and_vectors(first):
    """BM25, rank_feature and lucene k-NN with the scores of their formulas, and the plugin's own hybrid query."""
    with connect(EngineSettings(url=first.url)) as connection:
        fill(connection, "legs")
        assert {name for name, _ in hits(connection, "legs", {"match": {"text": "run"}})} == {"a", "b"}
        assert hits(connection, "legs", RANK_FEATURE) == [
            ("b", 4.0),
            ("a", 2.0),
        ]
        nearest = {"knn": {"vector": {"vector": [1.0, 0.0], "k": 2}}}
        assert hits(connection, "legs", nearest) == [("a", (1 + 1) / 2), ("b", (1 + 0) / 2)]
        fusion = {"score-ranker-processor": {"combination": {"technique": "rrf"}}}
        connection.send(Request.json("PUT", "/_search/pipeline/rrf", {"phase_results_processors": [fusion]}))
        hybrid = {"hybrid": {"queries": [nearest, RANK_FEATURE]}}
        fused = hits(connection, "legs", hybrid, search_pipeline="rrf")
        assert [score for _, score in fused] == pytest.approx([1 / 61 + 1 / 62] * 2)


def test_the_server_is_not_root_and_listens_on_the_loopback_only(first):
    """Whoever started it: its data is its own account's, and nobody outside reaches it."""
    process = psutil.Process(first.pid)
    assert process.uids().effective != 0
    addresses = {connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"}
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_up_again_is_the_same_node_at_once(first):
    """A running node is reused: same process, same address."""
    again = up("first")
    assert (again.pid, again.url) == (first.pid, first.url)
    assert running_url("first") == first.url


def test_a_running_node_is_not_changed_by_other_arguments(first):
    """Asking a running node for another heap is a contradiction, not a restart."""
    with pytest.raises(SettingsError, match="has --heap 512m, not 1g"):
        up("first", heap="1g")
    assert running_url("first") == first.url


def test_down_leaves_no_process_and_up_finds_the_data_again(first, base):
    """The documents outlive the server, also in a data folder of the caller's choice."""
    with connect(EngineSettings(url=first.url)) as connection:
        fill(connection, "kept")
    down("first")
    assert running_servers(base / "nodes" / "first") == []
    assert running_url("first") is None
    with connect(EngineSettings(url=up("first").url)) as connection:
        assert {name for name, _ in hits(connection, "kept", {"match_all": {}})} == {"a", "b"}


def test_a_killed_node_is_dead_and_up_revives_it(first):
    """kill -9 loses no acknowledged document, and the record is not believed against the facts."""
    del first
    killed = up("first")
    with connect(EngineSettings(url=killed.url)) as connection:
        fill(connection, "killed")
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(lambda: killed.state == "dead")
    found = {each.node.name: each for each in status()}["first"]
    assert (found.state, found.memory, found.documents) == ("dead", None, None)
    assert "it was killed" in found.died["first"]
    revived = up("first")
    assert revived.pid != killed.pid
    with connect(EngineSettings(url=revived.url)) as connection:
        assert len(hits(connection, "killed", {"match_all": {}})) == 2


def test_two_nodes_run_side_by_side_and_the_commands_show_them(first, base, app):
    """Own ports, own data; stopping one leaves the other, and a port that is taken is refused."""
    url = up("first").url
    second = up("second", heap=HEAP, data=base / "chosen")
    assert second.url != url
    with connect(EngineSettings(url=second.url)) as connection:
        fill(connection, "only-second")
    with connect(EngineSettings(url=url)) as connection:
        assert connection.transport.send(Request.json("HEAD", "/only-second")).status == 404
    with pytest.raises(LocalNodeError, match=r"The port \d+ is taken"):
        up("third", port=second.members[0].port)
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert {row["name"]: row["state"] for row in shown} == {"first": "running", "second": "running"}
    assert {row["name"]: row["documents"] for row in shown}["second"] == len(DOCUMENTS)
    assert (base / "chosen").is_dir()
    removed = CliRunner().invoke(app, ["down", "--name", "second", "--purge", "--yes"])
    assert str(base / "chosen" / "nodes") in removed.stderr
    assert running_servers(base / "nodes" / "second") == []
    assert not (base / "nodes" / "second").exists()
    assert not (base / "chosen").exists()
    assert running_url("first") == url
    assert first.name == "first"


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(first, base):
    """Two servers on one data folder: the second one's error quotes OpenSearch's own words."""
    del first
    held = up("first").data
    with pytest.raises(LocalNodeError, match=r"OpenSearch ended while starting.*lock") as caught:
        up("thief", heap=HEAP, data=held)
    assert "\n" not in str(caught.value)
    assert running_servers(base / "nodes" / "thief") == []


def test_an_ephemeral_node_does_not_outlive_a_killed_test_run(tmp_path):
    """No exit handler runs when a program is killed; its server and its data go all the same."""
    told = tmp_path / "told"
    code = (
        "import pathlib, sys\n"
        "from hybrid_search.engine.local import ephemeral\n"
        f"with ephemeral(heap={HEAP!r}) as node:\n"
        "    part = pathlib.Path(sys.argv[1] + '.part')\n"
        "    part.write_text(str(node.data.parent))\n"
        "    part.rename(sys.argv[1])\n"
        "    input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(told)], stdin=subprocess.PIPE) as program:
        try:
            wait_until(lambda: told.exists() or program.poll() is not None)
            folder = Path(told.read_text())
            assert len(running_servers(folder)) == 1
        finally:
            program.kill()
    wait_until(lambda: not folder.exists())
    assert running_servers(folder) == []


def test_an_ephemeral_node_is_gone_after_its_block(base):
    """Also from the list of named nodes, where it never was."""
    with ephemeral(heap=HEAP) as server, connect(EngineSettings(url=server.url)) as connection:
        fill(connection, "short")
        folder = server.data.parent
        assert running_servers(folder) == [server.pid]
    assert not folder.exists()
    assert running_servers(folder) == []
    assert all(found.node.name != "ephemeral" for found in status())
    assert base not in folder.parents


@pytest.mark.faults
def test_three_servers_form_a_cluster_that_survives_the_loss_of_one(base):
    """A replica answers for the killed server; ``up`` brings it back, ``down`` stops all three."""
    for found in status():
        down(found.node.name)  # memory for three more
    trio = up("trio", nodes=3, heap="384m")
    with connect(EngineSettings(url=trio.url)) as connection:
        assert health(connection) == ("green", 3)
        connection.send(Request.json("PUT", "/shared", {"settings": {"number_of_replicas": 2}}))
        connection.send(Request.json("PUT", "/shared/_doc/1", {"n": 1}, refresh="true"))
        wait_until(lambda: health(connection) == ("green", 3))  # every replica holds the document before the loss
    os.kill(trio.members[0].pid, signal.SIGKILL)
    wait_until(lambda: trio.state == "degraded")
    assert trio.url != trio.members[0].url
    with connect(EngineSettings(url=trio.url)) as connection:
        wait_until(lambda: health(connection) == ("yellow", 2))
        assert hits(connection, "shared", {"match_all": {}}) == [("1", 1.0)]
    whole = up("trio")
    assert [member.pid for member in whole.members[1:]] == [member.pid for member in trio.members[1:]]
    with connect(EngineSettings(url=whole.url)) as connection:
        wait_until(lambda: health(connection) == ("green", 3))
    down("trio")
    assert running_servers(base / "nodes" / "trio") == []
