"""A data set of a hub, streamed into every engine by the command; the hub is a server of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hub_server import hub

from hybrid_search.ingest.state.indexed import document_count

pytest.importorskip("datasets", reason="the extra [hub] is not installed")


def test_a_data_set_is_streamed_into_an_index(connection, index_name, tmp_path):
    """The 40 rows of the split that is named, and none of the other 10, under the name of the data set."""
    rows = [json.dumps({"_id": f"h{n}", "text": f"Crate {n}", "nothing": None}) + "\n" for n in range(50)]
    files = {"data/train-0.jsonl": "".join(rows[:10]).encode(), "data/test-0.jsonl": "".join(rows[10:]).encode()}
    index = index_name()
    words = ["index", "hf:org/name:test", index, "--url", connection.where, "--no-cache", "--json"]
    plain = ["--set", "dense.model=none", "--set", "sparse.model=idf"]
    with hub("org/name", {"README.md": b"# of a test\n", **files}) as url:
        own = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "hybrid_search", *words, *plain]
        found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, check=False)
        assert found.returncode == 0, found.stderr
        report = json.loads(found.stdout)
        assert (report["indexed"], report["source"]) == (40, "hf:org/name:test")
        assert document_count(connection, index) == 40
