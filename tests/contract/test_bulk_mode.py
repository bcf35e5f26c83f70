"""The settings of an index for the time of a load: put down, changed, restored, also by whoever comes after a kill."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from loading import GeneratedEncoder, documents
from msgspec.structs import replace
from test_ingest_protocol import OPTIONS, SETTINGS

from hybrid_search.engine import indices
from hybrid_search.engine.merging import force_merge
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.bulk_mode import BulkMode
from hybrid_search.ingest.state.cluster import read_state, update_state
from hybrid_search.ingest.state.lease import leased, mend
from hybrid_search.ingest.target import opened_or_created

BOTH = {"index.refresh_interval": "-1", "index.number_of_replicas": "0"}
REFRESH, REPLICAS = BOTH


@pytest.fixture
def index(connection, index_name):
    """An index with one replica, that is refreshed every seven seconds, and one document where ``held``."""
    name = index_name()

    def make(*, held):
        opened_or_created(connection, name, GeneratedEncoder(), SETTINGS, None)
        if held:
            index_documents(list(documents(1)), name, connection, GeneratedEncoder(), SETTINGS, options=OPTIONS)
        indices.update_settings(connection, name, {REFRESH: "7s", REPLICAS: "1"})
        return name

    return make


def settings_of(connection, name):
    found = indices.read_settings(connection, name)
    return {setting: found.get(setting) for setting in BOTH}


@pytest.mark.parametrize(
    ("mode", "held", "meanwhile"),
    [
        (BulkMode.AUTO, False, ("-1", "0")),
        (BulkMode.AUTO, True, ("-1", "1")),
        (BulkMode.ON, True, ("-1", "0")),
        (BulkMode.OFF, False, ("7s", "1")),
    ],
)
def test_what_a_load_changes_is_restored(connection, index, mode, held, meanwhile) -> None:
    """Without documents no replica is needed meanwhile; with some only where it is asked for by name."""
    name = index(held=held)
    with leased(connection, connection, name, "documents", exclusive=True, bulk=mode):
        assert tuple(settings_of(connection, name).values()) == meanwhile
    assert settings_of(connection, name) == {REFRESH: "7s", REPLICAS: "1"}
    assert read_state(connection, name).before is None


def killed(connection, name, mode):
    """Begin a load, and leave the index as a killed process does: its settings changed, its process gone."""
    with leased(connection, connection, name, "documents", exclusive=True, bulk=mode) as lease:
        state = read_state(connection, name)
    dead = {str(lease.load): replace(state.loads[str(lease.load)], pid=2**22 - 1, born=1.0)}
    indices.update_settings(connection, name, BOTH)
    update_state(connection, name, lambda now: replace(now, loads=dead, before=state.before))


def test_a_load_that_goes_on_after_a_kill_works_on_without_replicas_and_restores_them(connection, index) -> None:
    """What was put down by the first run is what the second one restores, though the index holds documents by then."""
    name = index(held=False)
    killed(connection, name, BulkMode.AUTO)
    index_documents(list(documents(1)), name, connection, GeneratedEncoder(), SETTINGS, source="other", options=OPTIONS)
    assert settings_of(connection, name) == {REFRESH: "7s", REPLICAS: "1"}
    killed(connection, name, BulkMode.ON)
    assert settings_of(connection, name) == BOTH
    assert mend(connection, name)
    assert settings_of(connection, name) == {REFRESH: "7s", REPLICAS: "1"}


def test_segments_are_merged_on_request(connection, index_name) -> None:
    """Several loads leave several segments; a merge leaves one in each shard that is searched."""
    name = index_name()
    for first in range(0, 60, 20):
        more = list(documents(20, first=first))
        index_documents(more, name, connection, GeneratedEncoder(), SETTINGS, options=OPTIONS)
    told = []
    force_merge(connection, name, 1, waiting=told.append)
    indices.refresh(connection, name)
    found = connection.send(Request.json("GET", f"/{name}/_segments"))["indices"][name]["shards"]
    searched = [one for copies in found.values() for shard in copies for one in shard["segments"].values()]
    assert sum(one["search"] for one in searched) == 1
    assert told == [f"the engine merges {name} to 1 segments a shard"]


def test_the_command_has_both_options(connection, index_name, tmp_path) -> None:
    """``--bulk-mode off`` leaves the settings alone, and ``--force-merge`` ends with what it did."""
    name = index_name()
    (tmp_path / "notes.jsonl").write_text(json.dumps({"_id": "1", "text": "a note"}) + "\n")
    command = [sys.executable, "-m", "hybrid_search", "index", "notes.jsonl", name, "--url", connection.where]
    plain = ["--set", "dense.model=none", "--set", "sparse.model=idf", "--no-cache"]
    options = ["--bulk-mode", "off", "--force-merge", "1"]
    found = subprocess.run([*command, *plain, *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stderr
    assert f"the engine merges {name} to 1 segments a shard" in " ".join(found.stderr.split())
