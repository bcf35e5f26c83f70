"""Copies that are killed at any step: the same command again ends them, and nothing is lost or there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.copying.folder import FolderOrigin
from hybrid_search.copying.index_origin import IndexOrigin
from hybrid_search.copying.stored import Origin, StoredPassage, differences
from hybrid_search.engine import Connection, indices
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.protocols import Request
from hybrid_search.ingest import index_documents
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

KILLS = int(os.environ.get("HYBRID_SEARCH_FAULT_KILLS", "2"))
"""Of each of six ways: between the engines, into folders and out of them; 20 and more were tried."""

COUNT = 40


@pytest.fixture(scope="module")
def held(opensearch: Connection, elasticsearch: Connection) -> Iterator[dict[str, str]]:
    """An index of 40 passages in each engine, by the engine."""
    names = {}
    settings = Settings(documents=DocumentSettings(text=("text",)), chunking=ChunkingSettings(overlap=2))
    for connection in (opensearch, elasticsearch):
        name = f"test-copy-faults-{os.getpid()}"
        names[connection.dialect.engine] = name
        index_documents(documents(COUNT), name, connection, GeneratedEncoder(max_tokens=64), settings)
    yield names
    for connection in (opensearch, elasticsearch):
        connection.transport.send(Request.json("DELETE", f"/{names[connection.dialect.engine]}"))


def killed_copies(source: str, targets: list[str], origin: Connection, target: Connection, folder: Path) -> Any:
    """What became of each copy."""
    given = {"source": source, "targets": targets, "seed": 7, "source_url": origin.where, "url": target.where}
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, str(Path(__file__).with_name("copier.py")), json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(targets)
    assert [one["again"] for one in said] == [0] * len(targets), done.stderr
    assert all(one["killed"] in {-9, 0} for one in said)
    assert any(one["killed"] == -9 for one in said)
    return said


def passages(connection: Connection, index: str) -> list[tuple[str, dict[str, Any]]]:
    """All that an index holds of passages, with vectors rounded to what float32 keeps."""
    indices.refresh(connection, index)
    body = {"size": 1_000, "_source": whole_source(connection.dialect), "sort": [{"doc_id": "asc"}]}
    body["query"] = {"exists": {"field": "doc_id"}}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return [(hit["_id"], {name: value for name, value in hit["_source"].items() if name != "dense"}) for hit in hits]


@pytest.fixture
def target(connection: Connection, opensearch: Connection, elasticsearch: Connection) -> Connection:
    """The other engine."""
    return elasticsearch if connection.dialect.engine == "opensearch" else opensearch


def test_copies_between_engines_that_are_killed(
    connection: Connection,
    target: Connection,
    held: dict[str, str],
    new_names: Callable[[Connection], str],
    tmp_path: Path,
) -> None:
    """At random requests; then every passage is there once, as in the source."""
    source = held[connection.dialect.engine]
    names = [new_names(target) for _ in range(KILLS)]
    killed_copies(source, names, connection, target, tmp_path)
    wanted = passages(connection, source)
    assert len(wanted) == COUNT
    assert [passages(target, name) for name in names] == [wanted] * KILLS


def test_copies_to_and_from_folders_that_are_killed(
    connection: Connection, held: dict[str, str], new_names: Callable[[Connection], str], tmp_path: Path
) -> None:
    """At random requests and writes to the disk: no file is there half, and a copy of the copy is as the source."""
    source = held[connection.dialect.engine]
    folders = [f"{tmp_path}/{number}/" for number in range(KILLS)]
    killed_copies(source, folders, connection, connection, tmp_path)
    for folder in folders:
        assert not list(Path(folder).glob(".*"))
    names = [new_names(connection) for _ in range(KILLS)]
    killed_copies(folders[0], names, connection, connection, tmp_path)
    wanted = passages(connection, source)
    assert [passages(connection, name) for name in names] == [wanted] * KILLS
    with closing(IndexOrigin(connection, source)) as origin:
        stored = {one.id: one for one in all_of(origin)}
    for folder in folders:
        copied = list(all_of(FolderOrigin(Path(folder))))
        assert sorted(one.id for one in copied) == sorted(stored)
        assert [list(differences(one, stored[one.id].values, rounded=False)) for one in copied] == [[]] * COUNT


def all_of(origin: Origin) -> Iterator[StoredPassage]:
    """Every passage."""
    for number in range(len(origin.bulks())):
        yield from origin.read(number)
