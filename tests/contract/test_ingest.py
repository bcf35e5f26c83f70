"""Loading on every engine: what comes in is there, once, and stays right over updates, crashes and refusals."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.engine import Connection, indices
from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IndexMissingError, IngestError, RecordError
from hybrid_search.ingest import DeadLetters, Journal, LoadOptions, index_documents, left_out
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import Limit, delete_documents, delete_where
from hybrid_search.ingest.maintain.replay import replay
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.source import index_source
from hybrid_search.ingest.state.cluster import read_state
from hybrid_search.ingest.state.lease import BEFORE_LOAD
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("place",)), chunking=ChunkingSettings(overlap=2))
OPTIONS = LoadOptions(retry=RetryPolicy(first=0.05, patience=30.0))
SMALL_BODIES = replace(OPTIONS, body_bytes=20_000)


@pytest.fixture
def load(connection, index_name):
    """Loads documents into one new index; its name is the function's ``index``."""

    def load(found, encoder=None, settings=SETTINGS, **options):
        encoder = encoder or GeneratedEncoder()
        return index_documents(found, load.index, connection, encoder, settings, **{"options": OPTIONS, **options})

    load.index = index_name()
    return load


def stored(connection, index):
    """The engine's documents by id."""
    indices.refresh(connection, index)
    body = {"size": 10_000, "query": {"exists": {"field": "doc_id"}}, "_source": {"excludes": ["dense", "sparse"]}}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_every_passage_is_there_once_with_its_text_and_fields(connection, load):
    """300 documents, each third of 20 words (4 passages of 8 tokens with 2 shared), in many small bodies."""
    found = [*documents(200), *documents(100, first=200, words=20)]
    report = load(found, options=SMALL_BODIES)
    there = stored(connection, load.index)
    assert (report.documents, report.indexed, report.refused) == (300, 300, 0)
    assert len(there) == report.passages > 300
    assert set(there) == {f"{source['doc_id']}#{source['passage']}" for source in there.values()}
    texts = {document.id: document.text for document in found}
    assert {source["doc_id"] for source in there.values()} == set(texts)
    for source in there.values():
        assert source["text"] == texts[source["doc_id"]][source["start"] : source["end"]]
        assert source["fields"] == {"place": int(source["doc_id"][1:])}


def test_vectors_come_back_as_they_were_sent(connection, load):
    """One document is read back with its vectors, whose byte order or precision no client may have changed."""
    load(documents(3))
    vectors = GeneratedEncoder().encode_documents([next(documents(1)).text])
    source = {"_source": {"includes": ["dense", "sparse"]}}
    if connection.dialect.engine == "elasticsearch":
        source["_source"]["exclude_vectors"] = False
    body = {"query": {"ids": {"values": ["d0#0"]}}, **source}
    read = connection.send(Request.json("POST", f"/{load.index}/_search", body))["hits"]["hits"][0]["_source"]
    assert read["dense"] == vectors.dense[0].tolist()
    assert read["sparse"] == vectors.sparse[0]


@pytest.mark.parametrize("sparse_index", ["rank_features", "sparse_vector"])
def test_a_passage_that_the_sparse_model_knows_no_word_of_is_loaded(connection, load, sparse_index):
    """Its sparse vector has no term: the other legs find it all the same, and loading again finds nothing to do."""

    class Wordless(GeneratedEncoder):
        def encode_documents(self, texts):
            return replace(super().encode_documents(texts), sparse=[{} for _ in texts])

    if sparse_index not in connection.dialect.capabilities.sparse_index_types:
        pytest.skip(f"this engine has no {sparse_index}")
    settings = msgspec.structs.replace(SETTINGS, engine=EngineSettings(sparse_index=sparse_index))
    assert load(documents(2), Wordless(), settings).indexed == 2
    assert set(stored(connection, load.index)) == {"d0#0", "d1#0"}
    assert load(documents(2), Wordless(), settings).unchanged == 2


def test_a_vector_that_the_engine_misreads_ends_the_load(connection, load):
    """Base64 in the wrong byte order is taken without a word; the load notices after its first body."""
    if not connection.dialect.capabilities.base64_vectors:
        pytest.skip("this engine is sent numbers, which cannot be misread")

    class LittleEndian(ElasticsearchDialect):
        def dense_value(self, vector):
            return base64.b64encode(vector.astype("<f4").tobytes()).decode()

    dialect = connection.dialect
    tampered = Connection(connection.transport, LittleEndian(dialect.version, dialect.painless))
    found = list(documents(400, vectors=True))
    random = np.random.default_rng(1)
    for document in found:  # floats that are finite and of about the same size with their bytes in either order
        document.dense.view(np.uint8)[:] = random.choice([0x3F, 0x40, 0xBF, 0xC0], document.dense.nbytes)
    with pytest.raises(IndexMismatchError, match="came back as another one"):
        index_documents(found, load.index, tampered, GeneratedEncoder(), SETTINGS, options=SMALL_BODIES)
    assert len(stored(connection, load.index)) < 400


def test_loading_again_sends_and_encodes_nothing(load):
    """Every document is found in the index as it is."""
    load(documents(150))
    encoder = GeneratedEncoder()
    report = load(documents(150), encoder)
    assert (report.unchanged, report.indexed, report.bytes, encoder.texts) == (150, 0, 0, [])


def test_a_changed_document_replaces_all_its_passages(connection, load):
    """From 20 words to 5: one passage is written, the stale ones are gone, other documents are not touched."""
    load([*documents(3, words=20)])
    before = stored(connection, load.index)
    report = load([*documents(1, words=5), *documents(2, first=1, words=20)])
    there = stored(connection, load.index)
    gone = [id_ for id_ in before if id_.startswith("d0#") and id_ != "d0#0"]
    assert (report.indexed, report.unchanged, report.removed) == (1, 2, len(gone))
    assert set(there) == set(before) - set(gone)


def test_sync_makes_the_index_equal_to_the_source(connection, load):
    """Documents that the source no longer has are removed with all passages; verify then finds no difference."""
    load(documents(30, words=20))
    report = load(documents(20, first=10, words=20), sync=True, max_removed=Limit(most=10))
    assert report.unchanged == 20
    assert report.removed > 10
    assert verify(documents(20, first=10, words=20), load.index, connection, SETTINGS.chunking).is_equal


def test_verify_names_what_is_missing_stale_partial_and_extra(connection, load):
    """One of each is made by hand."""
    load(documents(5, words=20))
    delete_documents(connection, load.index, ["d0"])
    delete_where(connection, load.index, {"ids": {"values": ["d1#0"]}})
    source = [
        *documents(2, words=20),
        replace(next(documents(1, first=2)), text="other"),
        *documents(1, first=3, words=20),
    ]
    report = verify(source, load.index, connection, SETTINGS.chunking)
    assert {name: group.first for name, group in report.faults.items()} == {
        "missing": ("d0",),
        "stale": ("d2",),
        "partial": ("d1",),
        "edited": (),
        "extra": ("d4",),
    }


def test_a_refused_document_is_kept_and_replayed(connection, load, tmp_path):
    """A text where a number belongs: the document is kept with the engine's reason, and loads once it is corrected."""
    letters = tmp_path / "letters.jsonl"
    bad = Document("bad", "text", {"place": "no number"})
    with closing(DeadLetters(letters)) as dead_letters:
        report = load([*documents(3), bad], dead_letters=dead_letters)
    assert (report.indexed, report.refused, report.refusals[0].status) == (3, 1, 400)
    letter = json.loads(letters.read_text().splitlines()[1])
    assert (letter["id"], letter["item"]) == ("bad", "bad#0")
    assert "place" in letter["reason"]
    again = replay(letters, load.index, connection, GeneratedEncoder(), SETTINGS)
    assert again.refused == 1, "the cause is still there, so the file keeps it"
    letters.write_text(letters.read_text().replace('"no number"', "7"))
    again = replay(letters, load.index, connection, GeneratedEncoder(), SETTINGS)
    assert (again.indexed, again.refused, letters.exists()) == (1, 0, False)
    assert stored(connection, load.index)["bad#0"]["fields"] == {"place": 7}


def test_a_refusal_without_dead_letters_raises(load):
    """Nothing is lost silently: the error has the id and the engine's reason."""
    with pytest.raises(IngestError, match=r"1 of 2 documents was refused, the first: bad#0: .*place"):
        load([*documents(1), Document("bad", "text", {"place": "no number"})])


def test_what_precedes_a_bad_record_is_loaded(connection, load, tmp_path):
    """The load ends with the record's error; with the journal it goes on after the correction."""
    journal = tmp_path / "load.journal"

    def broken():
        yield from documents(150)
        raise RecordError("expected a comma", where="a.jsonl:151")

    with closing(Journal(journal, {})) as opened, pytest.raises(RecordError, match=r"a.jsonl:151"):
        load(broken(), journal=opened)
    assert len(stored(connection, load.index)) == 150
    with closing(Journal(journal, {})) as opened:
        report = load(documents(160), journal=opened)
    assert (report.resumed, report.documents, report.indexed) == (150, 10, 10)


def test_settings_of_the_index_are_as_before_the_load(connection, load):
    """After a good load, and after one that failed, refresh interval and replicas are the user's."""
    load(documents(1))
    indices.update_settings(connection, load.index, {"index.refresh_interval": "7s"})
    during = []
    load(documents(2), progress=lambda _: during.append(indices.read_settings(connection, load.index)))
    assert during[0]["index.refresh_interval"] == "-1"
    assert indices.read_settings(connection, load.index)["index.refresh_interval"] == "7s"
    with pytest.raises(RecordError):
        load([Document("", "text")])
    assert indices.read_settings(connection, load.index)["index.refresh_interval"] == "7s"
    assert read_state(connection, load.index).before is None


def test_only_an_empty_index_does_without_replicas(connection, load):
    """Documents that were there before keep their copies; the first load copies once, at its end."""
    settings = Settings(engine=EngineSettings(replicas=1), chunking=SETTINGS.chunking, documents=SETTINGS.documents)
    during = []

    def follow(_):
        during.append(indices.read_settings(connection, load.index)["index.number_of_replicas"])

    load(documents(1), settings=settings, progress=follow)
    first, during = during[0], []
    load(documents(2), settings=settings, progress=follow)
    after = indices.read_settings(connection, load.index)["index.number_of_replicas"]
    assert (first, during[0], after) == ("0", "1", "1")


def test_settings_that_a_killed_load_left_are_restored_by_the_next(connection, load):
    """What kill -9 leaves: the load's settings, and those from before it in the index's meta data."""
    load(documents(1))
    indices.update_meta(connection, load.index, {BEFORE_LOAD: {"index.refresh_interval": "7s"}})
    indices.update_settings(connection, load.index, {"index.refresh_interval": "-1", "index.number_of_replicas": 1})
    report = load(documents(2))
    settings = indices.read_settings(connection, load.index)
    assert settings["index.refresh_interval"] == "7s"
    assert settings["index.number_of_replicas"] == "1"  # which the killed load had left alone
    assert any("restored" in note for note in report.notes)


def test_other_models_are_refused_before_anything_is_read(load):
    """The same dimension is not the same model."""
    load(documents(1))
    other = GeneratedEncoder(dense=replace(GeneratedEncoder().dense, weights="f" * 16))
    with pytest.raises(IndexMismatchError, match="weights"):
        load(iter(()), other)


def test_an_index_that_is_deleted_during_the_load_is_an_error(connection, load):
    """The engine would make a new one without our mapping; that is said, and the journal is not finished."""

    def deleting():
        yield from documents(150)
        indices.delete_index(connection, load.index)
        yield from documents(10, first=150)

    with pytest.raises(IndexMissingError):
        load(deleting(), options=SMALL_BODIES)


def test_a_source_is_continued_verified_and_noticed_when_changed(connection, load, tmp_path, monkeypatch):
    """From a file: the first load is finished, the file then grows while a second one is unfinished."""
    monkeypatch.setattr(left_out, "SAMPLED", 8)  # the broken line is behind what is looked through
    source = tmp_path / "source.jsonl"
    lines = [json.dumps({"_id": d.id, "text": d.text, "place": d.fields["place"]}) for d in documents(40)]
    source.write_text("\n".join(lines[:30]) + "\n{broken\n")
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    arguments = (source, load.index, connection, GeneratedEncoder(), SETTINGS)
    with pytest.raises(RecordError):
        index_source(*arguments, files=files)
    skipping = replace(files, skip_bad=tmp_path / "bad.jsonl")
    report = index_source(*arguments, files=skipping)
    assert (report.resumed, report.documents, report.skipped) == (30, 0, 1)
    assert "continues" in report.notes[0]
    with pytest.raises(RecordError):
        index_source(*arguments, files=files)
    source.write_text("\n".join(lines))
    report = index_source(*arguments, files=files)
    assert (report.resumed, report.unchanged, report.indexed) == (0, 30, 10)
    assert report.notes == ("changed since an unfinished load, which starts over: the source",)


def test_an_id_that_comes_twice_in_a_file_is_refused(connection, load, tmp_path):
    """Both places are named before anything is made; where bad ones are left out, the second record is kept aside."""
    source = tmp_path / "source.jsonl"
    source.write_text('{"_id": "a", "text": "one"}\n{"_id": "b", "text": "two"}\n{"_id": "a", "text": "three"}\n')
    arguments = (source, load.index, connection, GeneratedEncoder(), SETTINGS)
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    with pytest.raises(RecordError, match=r"source\.jsonl:3: the id 'a' has come before, at .*source\.jsonl:1\."):
        index_source(*arguments, files=files)
    assert not indices.exists(connection, load.index)
    report = index_source(*arguments, files=replace(files, skip_bad=tmp_path / "bad.jsonl"))
    assert report.skipped == 1
    assert {source["text"] for source in stored(connection, load.index).values()} == {"one", "two"}


def test_a_data_set_of_the_hub_is_loaded_and_left_alone_the_second_time(connection, load, monkeypatch, tmp_path):
    """It has no journal, for nothing says whether it is still the same; what the index holds is compared instead."""
    rows = [{"_id": d.id, "text": d.text, "place": d.fields["place"]} for d in documents(20)]
    library = SimpleNamespace(load_dataset=lambda *_, **__: iter(rows))
    monkeypatch.setitem(sys.modules, "datasets", library)
    files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")
    arguments = ("hf:org/name", load.index, connection, GeneratedEncoder(), SETTINGS)
    first, second = (index_source(*arguments, files=files) for _ in range(2))
    assert (first.indexed, second.indexed, second.unchanged) == (20, 0, 20)
    assert "cannot be continued" in first.notes[0]
    assert not (tmp_path / "journal").exists()


def test_settings_beyond_the_load_are_the_users(connection, load):
    """An index that the load makes has the shards and fields of the settings."""
    settings = Settings(
        documents=DocumentSettings(keyword=("kind",)), engine=EngineSettings(shards=2), chunking=SETTINGS.chunking
    )
    load(documents(1), settings=settings)
    assert indices.read_settings(connection, load.index)["index.number_of_shards"] == "2"
    assert indices.open_index(connection, load.index).schema.keyword_fields == ("kind",)
