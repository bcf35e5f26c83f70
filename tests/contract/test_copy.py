"""Copies of an index: between the engines, within one, and to and from a folder, with their vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from loading import DIMENSION, GeneratedEncoder, documents
from owned import delete
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.copying import copy_index
from hybrid_search.copying.folder import BEGUN, WHOLE
from hybrid_search.copying.index_origin import COPY
from hybrid_search.copying.stored import StoredPassage, differences, fitting
from hybrid_search.engine import Connection, indices
from hybrid_search.engine.foreign import whole_source
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IngestError, SettingsError, SourceError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.records import Document, Fingerprint, IndexSchema, Query, ResumePoint
from hybrid_search.search import SearchClient
from hybrid_search.settings import (
    ChunkingSettings,
    DocumentSettings,
    EngineSettings,
    Settings,
    SourceSettings,
    TextFieldSettings,
)

FIELDS = Settings(
    documents=DocumentSettings(
        text=("title", "text"), title="title", keyword=("brand.name",), number=("place",), date=("day",)
    ),
    text={"title": TextFieldSettings(weight=2.0)},
    chunking=ChunkingSettings(overlap=2),
)


def articles(count: int) -> Iterator[Document]:
    """Documents of three passages, with fields of every kind and a text field of their own."""
    for document in documents(count, words=20):
        number = int(document.id[1:])
        fields = {
            "title": f"Title {number}",
            "brand.name": f"b{number % 3}",
            "place": 2**53 + number,
            "day": f"2024-01-{1 + number % 28:02}",
            "odd": {"a.b": [1, None, "ü"], "": 1.5},
        }
        texts = {"title": fields["title"], "text": document.text}
        yield Document(document.id, f"{fields['title']}\n{document.text}", fields, texts=texts)


class Copying:
    """An index of 60 articles in one cluster, and names in another."""

    def __init__(self, origin: Connection, target: Connection, names: Callable[[Connection], str], **engine: Any):
        self.origin, self.target = origin, target
        self.source, self.name = names(origin), names(target)
        self.settings = msgspec.structs.replace(
            FIELDS,
            engine=EngineSettings(url=target.where),
            source=SourceSettings(url=origin.where),
        )
        self.made = msgspec.structs.replace(FIELDS, engine=EngineSettings(url=origin.where, **engine))
        self.load(articles(60), "first")
        self.load(documents(5, first=100), "second")

    def load(self, found: Iterator[Document], source: str, **options: Any) -> Any:
        return index_documents(found, self.source, self.origin, GeneratedEncoder(), self.made, source=source, **options)

    def copy(self, source: str | Path | None = None, target: str | Path | None = None, **options: Any) -> Any:
        return copy_index(source or self.source, target or self.name, self.settings, **options)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def other(connection: Connection, opensearch: Connection, elasticsearch: Connection) -> Connection:
    """The other engine."""
    return elasticsearch if connection.dialect.engine == "opensearch" else opensearch


@pytest.fixture
def copying(connection: Connection, other: Connection, new_names: Callable[[Connection], str]) -> Copying:
    """From each engine into the other."""
    return Copying(connection, other, new_names)


def held(connection: Connection, index: str) -> dict[str, dict[str, Any]]:
    """All that an index holds, by id."""
    indices.refresh(connection, index)
    body = {"size": 1_000, "_source": whole_source(connection.dialect)}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits if "doc_id" in hit["_source"]}


def without_vectors(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {id_: {name: value for name, value in one.items() if name != "dense"} for id_, one in found.items()}


def test_a_copy_is_as_its_source_and_is_searched_and_loaded_like_it(copying: Copying) -> None:
    """Passages, fields, texts, vectors, models, sources: a search finds the same, a load finds nothing to do."""
    report = copying.copy()
    before, after = held(copying.origin, copying.source), held(copying.target, copying.name)
    assert (report.passages, report.written, report.notes) == (len(before), len(before), ())
    assert without_vectors(after) == without_vectors(before)
    opened = [indices.open_index(copying.origin, copying.source), indices.open_index(copying.target, copying.name)]
    assert opened[0].schema == opened[1].schema
    states = [read_state(copying.origin, copying.source), read_state(copying.target, copying.name)]
    assert states[1].last_load == states[0].last_load
    found = [
        [
            (hit.id, hit.text, round(hit.score, 4))
            for hit in SearchClient(
                name, settings=copying.made, encoder=GeneratedEncoder(), connection=connection
            ).search("w7x1 title", k=5, filter="brand.name=b1 and day>=2024-01-02", legs=["dense", "sparse"])
        ]
        for connection, name in ((copying.origin, copying.source), (copying.target, copying.name))
    ]
    assert found[0]
    assert found[0] == found[1]
    encoder = GeneratedEncoder()
    loaded = index_documents(articles(60), copying.name, copying.target, encoder, copying.made, source="first")
    assert (loaded.unchanged, encoder.texts) == (60, [])
    assert verify(articles(60), copying.name, copying.target, FIELDS.chunking, source="first", deep=True).is_equal


def test_a_copy_that_is_made_again_writes_nothing(copying: Copying) -> None:
    """It is compared once more; a source that has changed since is not copied over it."""
    copying.copy()
    assert copying.copy().written == 0
    copying.load(documents(3, first=200), "third")
    with pytest.raises(IngestError, match="earlier copy of it, which has changed since"):
        copying.copy()


def test_a_target_that_holds_anything_is_refused(copying: Copying, tmp_path: Path) -> None:
    """An index of somebody, and a folder with a file in it: both stay as they are."""
    copying.target.send(Request.json("PUT", f"/{copying.name}", {}))
    with pytest.raises(IngestError, match="is there already"):
        copying.copy()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "folder" / ".mine.tmp").write_text("mine")
    with pytest.raises(IngestError, match=r"holds \.mine\.tmp, mine\.txt"):
        copying.copy(target=tmp_path / "folder")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [".mine.tmp", "mine.txt"]
    with pytest.raises(SettingsError, match="no name for an index"):
        copying.copy(target="No Name")


def test_an_unfinished_copy_of_a_source_that_has_changed_is_begun_anew(
    copying: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted in between must not stay in it."""
    with monkeypatch.context() as patched:
        patched.setattr("hybrid_search.copying.index_target.IndexTarget.finish", broken_off)
        with pytest.raises(BrokenOffError):
            copying.copy()
    delete(copying.origin, copying.source, ["d3#0", "d3#1", "d3#2"])
    report = copying.copy()
    assert "begun anew" in report.notes[0]
    assert held(copying.target, copying.name).keys() == held(copying.origin, copying.source).keys()


class BrokenOffError(Exception):
    """Ends a copy from within."""


def broken_off(*_: Any) -> None:
    raise BrokenOffError


def test_a_folder_and_back(copying: Copying, tmp_path: Path) -> None:
    """A copy by way of files is as one without; the files are what the page says, for everybody."""
    import duckdb
    import pyarrow.parquet as pq

    folder = tmp_path / "copy"
    report = copying.copy(target=folder)
    before = held(copying.origin, copying.source)
    assert (report.passages, report.written) == (len(before), len(before))
    assert copying.copy(target=folder).written == 0
    table = pq.read_table(sorted(folder.glob("*.parquet")))
    assert table.num_rows == len(before)
    rows = {row["id"]: row for row in table.to_pylist()}
    one = before["d7#1"]
    assert rows["d7#1"]["text"] == one["text"]
    assert json.loads(rows["d7#1"]["fields"]) == one["fields"]
    assert dict(rows["d7#1"]["sparse"]) == one["sparse"]
    assert len(rows["d7#1"]["dense"]) == DIMENSION
    pattern = f"{folder}/*.parquet"
    count = duckdb.sql(f"SELECT count(DISTINCT doc_id), sum(len(dense)) FROM '{pattern}'").fetchall()  # noqa: S608
    assert count == [(65, len(before) * DIMENSION)]
    copying.copy(source=folder)
    assert without_vectors(held(copying.target, copying.name)) == without_vectors(before)
    assert indices.read_meta(copying.target, copying.name)[COPY]["finished"] is True
    assert (
        indices.open_index(copying.target, copying.name).models
        == indices.open_index(copying.origin, copying.source).models
    )


def test_a_folder_that_is_no_copy_is_refused(copying: Copying, tmp_path: Path) -> None:
    """None, one without the file that says so, one that was not finished, one that lacks a file or is broken."""
    with pytest.raises(SourceError, match="no such folder"):
        copying.copy(source=tmp_path / "none")
    folder = tmp_path / "copy"
    copying.copy(target=folder)
    said = (folder / WHOLE).read_bytes()
    (folder / WHOLE).unlink()
    with pytest.raises(SourceError, match="was not finished"):
        copying.copy(source=folder)
    (folder / WHOLE).write_bytes(said.replace(b'"format": 1', b'"format": 99'))
    with pytest.raises(SourceError, match="format 99"):
        copying.copy(source=folder)
    (folder / WHOLE).write_bytes(said)
    file = next(folder.glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SourceError, match="is broken"):
        copying.copy(source=folder)
    file.unlink()
    with pytest.raises(SourceError, match="the copy lacks passages-00000"):
        copying.copy(source=folder)
    assert (folder / BEGUN).is_file()


def test_a_copy_with_a_changed_passage_is_no_success(copying: Copying, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts alone do not see it; every passage is compared unless that is not wanted."""
    from hybrid_search.copying.index_target import IndexTarget

    write = IndexTarget.write

    def writes_and_spoils(self: IndexTarget) -> int:
        written = write(self)
        change = {"doc": {"text": "other words"}}
        copying.target.send(Request.json("POST", f"/{copying.name}/_update/d3%230", change))
        return written

    monkeypatch.setattr(IndexTarget, "write", writes_and_spoils)
    with pytest.raises(IngestError, match="1 difference: d3#0 has another text"):
        copying.copy()


def test_a_spoiled_folder_is_no_copy(copying: Copying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written without its last file is found wrong before anything says that the folder is a copy."""
    from hybrid_search.copying.folder import FolderTarget

    folder, write = tmp_path / "copy", FolderTarget.write

    def writes_and_spoils(self: FolderTarget) -> int:
        written = write(self)
        (folder / "passages-00000.parquet").write_bytes(b"PAR1")
        return written

    monkeypatch.setattr(FolderTarget, "write", writes_and_spoils)
    with pytest.raises(IngestError, match=r"1 difference: passages-00000.parquet is broken"):
        copying.copy(target=folder)
    assert not (folder / WHOLE).exists()
    with pytest.raises(SourceError, match="the copy was not finished"):
        copying.copy(folder, copying.name)


def test_an_index_that_nobody_here_made_is_no_source(copying: Copying, new_names: Callable[[Connection], str]) -> None:
    """It is indexed, not copied."""
    foreign = new_names(copying.origin)
    copying.origin.send(Request.json("PUT", f"/{foreign}", {}))
    with pytest.raises(IndexMismatchError, match="not made by hybrid-search"):
        copying.copy(source=foreign)
    other = "os" if copying.origin.dialect.engine == "elasticsearch" else "es"
    with pytest.raises(SourceError, match=f"is {copying.origin.dialect.engine}"):
        copying.copy(source=f"{other}:{copying.source}")


def test_a_copy_beside_its_source(connection: Connection, new_names: Callable[[Connection], str]) -> None:
    """In the same cluster, under another name."""
    copying = Copying(connection, connection, new_names)
    assert copying.copy().passages == len(held(connection, copying.source))
    assert without_vectors(held(connection, copying.name)) == without_vectors(held(connection, copying.source))


def test_quantised_vectors_are_copied_whole(
    connection: Connection, other: Connection, new_names: Callable[[Connection], str]
) -> None:
    """The kind stays, and the vectors are those that were encoded, not the rounded ones."""
    copying = Copying(connection, other, new_names, dense_index="int8_hnsw")
    copying.copy()
    opened = indices.open_index(other, copying.name)
    assert opened.schema.dense_index == "int8_hnsw"
    client = SearchClient(copying.name, settings=copying.made, encoder=GeneratedEncoder(), connection=other)
    vector = GeneratedEncoder().encode_documents(["w7x1"]).dense
    assert vector is not None
    assert len(client.search(Query("", dense=vector[0]), k=5, legs=["dense"]).hits) == 5


def dense(dimension: int) -> Fingerprint:
    return Fingerprint("dense", "generated", "0" * 16, dimension=dimension)


@pytest.mark.parametrize(
    ("kind", "engine", "version", "dimension", "becomes"),
    [
        ("hnsw", "opensearch", (3, 6, 0), 16, "hnsw"),
        ("int4_hnsw", "opensearch", (3, 6, 0), 16, "int8_hnsw"),
        ("bbq_hnsw", "opensearch", (3, 6, 0), 384, "lucene_on_disk"),
        ("bbq_hnsw", "opensearch", (2, 19, 0), 384, "int8_hnsw"),
        ("flat", "opensearch", (3, 6, 0), 16, "hnsw"),
        ("lucene_on_disk", "elasticsearch", (9, 5, 3), 384, "bbq_hnsw"),
        ("lucene_on_disk", "elasticsearch", (9, 5, 3), 16, "int8_hnsw"),
        ("faiss_hnsw", "elasticsearch", (9, 5, 3), 16, "hnsw"),
    ],
)
def test_kinds_that_the_target_has_not_become_the_nearest(
    kind: str, engine: str, version: tuple[int, int, int], dimension: int, becomes: str
) -> None:
    """And that is said."""
    schema, notes = fitting(IndexSchema(dense=dense(dimension), sparse=None, dense_index=kind), engine, version)
    assert schema.dense_index == becomes
    assert len(notes) == (kind != becomes)


def test_what_two_passages_have_otherwise() -> None:
    """Vectors may differ by what float32 loses on its way, weights by what an engine rounds; nothing else may."""
    vector = np.array([0.6, 0.8], np.float32)
    one = StoredPassage("a#0", {"text": "a", "dense": vector, "sparse": {"1": 1.0}}, ResumePoint(1, 1))
    assert list(differences(one, {**one.values, "dense": vector * np.float32(1 + 1e-7)}, rounded=False)) == []
    assert list(differences(one, {**one.values, "dense": vector * np.float32(1.001)}, rounded=False)) == ["dense"]
    assert list(differences(one, {**one.values, "sparse": {"1": 1.003}}, rounded=True)) == []
    assert list(differences(one, {**one.values, "sparse": {"1": 1.003}}, rounded=False)) == ["sparse"]
    assert list(differences(one, {"text": "a", "extra": 1}, rounded=False)) == ["extra", "dense", "sparse"]


def test_the_command(copying: Copying, tmp_path: Path) -> None:
    """It says what it did, and that the copy is as its source."""
    options = ["--url", copying.target.where, "--source-url", copying.origin.where]
    done = CliRunner().invoke(app, ["copy", copying.source, copying.name, *options])
    assert done.exit_code == 0, done.output
    assert "Every passage is as in the source." in done.output
    done = CliRunner().invoke(app, ["copy", copying.source, f"{tmp_path}/folder/", *options, "--json", "--no-deep"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["deep"] is False
    done = CliRunner().invoke(app, ["copy", copying.source, copying.source, "--url", copying.origin.where])
    assert done.exit_code == 1
    assert "is no copy of it that was begun" in done.output
