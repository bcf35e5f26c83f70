"""Checks, content hashes, comparison, encoding and the vector cache, each stage alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from loading import DENSE, DIMENSION, GeneratedEncoder, documents

from hybrid_search.errors import RecordError
from hybrid_search.ingest.stages.compare import changed
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.prepare import BATCH_DOCUMENTS, Preparation, content_hash, numbered, prepared
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Batch
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings

CHUNKING = ChunkingSettings(overlap=2)


def prepare(found, encoder=None, takes_bad=lambda *_: False):
    """All documents through the first two stages."""
    with TemporaryDirectory() as folder, SourceIds(Path(folder)) as seen:
        preparation = Preparation(encoder or GeneratedEncoder(), CHUNKING, seen.add)
        batches = numbered(found, Intervals(), seen.add)
        return [item for batch in prepared(batches, preparation, takes_bad) for item in batch.items]


def test_documents_are_numbered_and_those_done_left_out():
    """Of 300 documents 0 to 9 and 200 are done: their numbers are covered, their ids seen, the others passed on."""
    done, seen = Intervals(), []
    done.add(0, 10)
    done.add(200, 201)
    batches = list(numbered(documents(300), done, seen.append))
    assert [(batch.first, batch.end) for batch in batches] == [
        (0, 10 + BATCH_DOCUMENTS),
        (10 + BATCH_DOCUMENTS, 10 + 2 * BATCH_DOCUMENTS + 1),
        (10 + 2 * BATCH_DOCUMENTS + 1, 300),
    ]
    assert sum(len(batch.items) for batch in batches) == 300 - 11
    assert seen == [f"d{number}" for number in (*range(10), 200)]


def test_long_documents_make_small_batches():
    """A batch ends at a million characters, so that a few long documents do not fill the memory."""
    long = (Document(f"d{number}", "x" * 600_000) for number in range(4))
    assert [len(batch.items) for batch in numbered(long, Intervals(), print)] == [2, 2]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (Document("", "text"), "the id is empty"),
        (Document("x" * 505, "text"), "505 bytes"),
        (Document("ü" * 253, "text"), "506 bytes"),
        (Document("d", " \n"), "the text is empty"),
        (Document("d", "text", dense=np.ones(DIMENSION + 1, np.float32)), r"shape \(17,\), the index takes \(16,\)"),
        (Document("d", "text", {"n": 2**70}), "cannot be written as JSON"),
        (Document("d", "text \ud800"), "cannot be written as JSON"),
        (Document("d", "text", sparse={"1": 10**400}), "cannot be written as JSON"),
    ],
    ids=[
        "no id",
        "long id",
        "long id in bytes",
        "no text",
        "dimension",
        "huge number",
        "lone surrogate",
        "huge weight",
    ],
)
def test_a_document_that_no_index_can_hold_is_refused(document, what):
    """The error names the document and the fault; where bad ones are taken the others go on."""
    with pytest.raises(RecordError, match=what):
        prepare([document])
    bad = []
    good = prepare(
        [Document("a", "text"), document, Document("b", "text")], takes_bad=lambda *pair: bad.append(pair) or True
    )
    assert [item.document.id for item in good] == ["a", "b"]
    assert [told.id for _, told in bad] == [document.id]


def test_an_error_of_the_source_comes_after_the_documents_before_it():
    """Five documents and a broken line: the five are handed on, then the error is raised."""

    def broken():
        yield from documents(5)
        raise RecordError("expected a comma")

    batches = numbered(broken(), Intervals(), print)
    assert len(next(batches).items) == 5
    with pytest.raises(RecordError, match="expected a comma"):
        next(batches)


def test_what_precedes_a_bad_document_is_handed_on():
    """The third of four documents is bad: the range of the first two is covered, then the error is raised."""
    found = list(enumerate(documents(4)))
    found[2] = (2, Document("d2", " "))
    preparation = Preparation(GeneratedEncoder(), CHUNKING, lambda _: True)
    batches = prepared([Batch(0, 4, found)], preparation, lambda *_: False)
    first = next(batches)
    assert (first.first, first.end, [item.document.id for item in first.items]) == (0, 2, ["d0", "d1"])
    with pytest.raises(RecordError, match="the text is empty"):
        next(batches)


def test_an_id_that_came_before_is_refused():
    """Loading both would silently keep only the later one."""
    with pytest.raises(RecordError, match="'d0' has come before"):
        prepare([*documents(2), *documents(1)])


def test_a_document_with_a_vector_stays_whole():
    """20 words and a limit of 8: cut into passages without a vector, one passage with one."""
    plain, carrying = next(documents(1, words=20)), replace(next(documents(1, words=20, vectors=True)), id="v")
    cut, whole = prepare([plain, carrying])
    assert len(cut.passages) > 20 / 8
    assert [(passage.start, passage.end) for passage in whole.passages] == [(0, len(carrying.text))]


def test_the_content_hash_changes_with_everything_that_is_indexed():
    """Text, fields, each vector and the chunking; not the order of fields, nor where the document came from."""
    base = Document("d", "text", {"a": 1, "b": 2}, np.ones(2, np.float32), {"7": 1.0}, "f:1")
    same = [replace(base, fields={"b": 2, "a": 1}), replace(base, origin="f:2")]
    other = [
        replace(base, text="text "),
        replace(base, fields={"a": 1}),
        replace(base, dense=np.zeros(2, np.float32)),
        replace(base, sparse={"7": 2.0}),
    ]
    digest = content_hash(base, CHUNKING)
    assert {content_hash(document, CHUNKING) for document in same} == {digest}
    different = {content_hash(document, CHUNKING) for document in other} | {content_hash(base, ChunkingSettings())}
    assert len(different - {digest}) == len(other) + 1


def compare(items, held):
    """The documents that a comparison passes on, and how many it leaves out."""
    left = []
    batches = changed([Batch(0, len(items), items)], lambda ids: {i: held[i] for i in ids if i in held}, left.append)
    return [item for batch in batches for item in batch.items], sum(left)


def test_what_the_index_holds_whole_is_left_out():
    """The same content in all passages is left out; other content, a missing passage or two versions are not."""
    items = prepare(documents(5))
    digests = [item.digest for item in items]
    held = {
        "d0": IndexedDocument(1, 0, frozenset({digests[0]})),
        "d1": IndexedDocument(1, 0, frozenset({"other"})),
        "d2": IndexedDocument(1, 1, frozenset({digests[2]})),
        "d3": IndexedDocument(2, 1, frozenset({digests[3], "other"})),
    }
    kept, left = compare(items, held)
    assert ([item.document.id for item in kept], left) == (["d1", "d2", "d3", "d4"], 1)


def test_passages_beyond_the_new_ones_are_stale():
    """Three passages before, one now: the second and third are to be deleted."""
    kept, _ = compare(prepare(documents(1)), {"d0": IndexedDocument(3, 2, frozenset({"other"}))})
    assert kept[0].stale == ("d0#1", "d0#2")


def encode(items, encoder, cache=None):
    encoding = Encoding(encoder, cache)
    made = [item for batch in encoding([Batch(0, len(items), items)]) for item in batch.items]
    return [encoded for item in made for encoded in item.passages], encoding.encoded


def test_every_passage_gets_the_vectors_of_its_own_text():
    """Documents with and without vectors are mixed; a passage has what encoding it alone gives, or what it carries."""
    encoder = GeneratedEncoder()
    mixed = [*documents(3, words=20), *documents(2, first=3, vectors=True), *documents(2, first=5)]
    passages, count = encode(prepare(mixed), encoder)
    for encoded in passages:
        carried = encoded.passage.document
        alone = GeneratedEncoder().encode_documents([encoded.passage.text])
        np.testing.assert_array_equal(encoded.dense, alone.dense[0] if carried.dense is None else carried.dense)
        assert encoded.sparse == (alone.sparse[0] if carried.sparse is None else carried.sparse)
    assert count == len(passages) - 2


def test_documents_that_carry_all_vectors_meet_no_encoder():
    """Precomputed vectors are loaded without a call of a model."""
    encoder = GeneratedEncoder()
    passages, count = encode(prepare(documents(3, vectors=True)), encoder)
    assert (len(passages), count, encoder.texts) == (3, 0, [])


def test_a_leg_that_is_off_gets_no_vector():
    """A dense vector that a document carries is not written into an index without a dense leg."""
    encoder = GeneratedEncoder(dense=None)
    passages, _ = encode(prepare(documents(1, vectors=True), encoder), encoder)
    assert passages[0].dense is None
    assert passages[0].sparse is not None


def test_known_texts_are_not_encoded_again(tmp_path):
    """The second time nothing is encoded; a changed text only itself; the vectors are bit for bit the same."""
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        first, count = encode(prepare(documents(10)), GeneratedEncoder(), cache)
        assert count == 10
        again, count = encode(prepare([*documents(9), Document("d9", "new")]), GeneratedEncoder(), cache)
        assert count == 1
    for before, after in zip(first[:9], again[:9], strict=True):
        np.testing.assert_array_equal(before.dense, after.dense)
        assert before.sparse == after.sparse


def test_other_models_find_nothing_in_the_cache(tmp_path):
    """A model with another prompt has other vectors."""
    prompted = GeneratedEncoder(dense=replace(DENSE, document_prompt="passage: "))
    with VectorCache(tmp_path / "vectors.sqlite") as cache:
        encode(prepare(documents(3)), GeneratedEncoder(), cache)
        _, count = encode(prepare(documents(3)), prompted, cache)
    assert count == 3
