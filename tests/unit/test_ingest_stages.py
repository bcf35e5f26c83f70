"""Checks, content hashes, comparison, encoding and the vector cache, each stage alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from loading import DENSE, DIMENSION, GeneratedEncoder, documents

from hybrid_search.errors import RecordError
from hybrid_search.ingest.load import through
from hybrid_search.ingest.stages.chunking import PART, Chunking, portions
from hybrid_search.ingest.stages.compare import CHARACTERS, Comparison, grouped
from hybrid_search.ingest.stages.encode import Encoding
from hybrid_search.ingest.stages.prepare import BATCH_DOCUMENTS, Checking, content_hash, numbered
from hybrid_search.ingest.state.cache import VectorCache
from hybrid_search.ingest.state.indexed import IndexedDocument
from hybrid_search.ingest.state.intervals import Intervals
from hybrid_search.ingest.state.seen import SourceIds
from hybrid_search.ingest.work import Batch
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import ChunkingSettings

CHUNKING = ChunkingSettings(overlap=2)
SCHEMA = IndexSchema(DENSE, None)


def check(found, bad=None):
    """All documents through the first stages; what is bad goes to the list ``bad``, or is raised without one."""
    with TemporaryDirectory() as folder, SourceIds(Path(folder)) as seen:
        checking = Checking(SCHEMA, CHUNKING, seen.add, keeps_bad=bad is not None)
        batches = list(through(numbered(found, Intervals(), seen.add), checking))
    for batch in batches:
        if bad is not None:
            bad += batch.bad
        if batch.broken is not None:
            raise batch.broken
    return [item for batch in batches for item in batch.items]


def prepare(found, encoder=None):
    """The same, cut into passages."""
    items = check(found)
    return list(Chunking(encoder or GeneratedEncoder(), CHUNKING)(Batch(0, len(items), items)).items)


def test_documents_are_numbered_and_those_done_left_out():
    """Of 300 documents 0 to 9 and 200 are done: their numbers are covered, their ids seen, the others passed on."""
    done, seen = Intervals(), []
    done.add(0, 10)
    done.add(200, 201)
    batches = list(numbered(documents(300), done, lambda id_: seen.append(id_) is None))
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
        (Document("d", "text", {"n": 2**70}), "holds 1180591620717411303424, which is no number that can be stored"),
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
        check([document])
    bad = []
    good = check([Document("a", "text"), document, Document("b", "text")], bad)
    assert [item.document.id for item in good] == ["a", "b"]
    assert [told.document.id for told in bad] == [document.id]


def test_an_error_of_the_source_comes_after_the_documents_before_it():
    """Five documents and a broken line: the five are handed on, and the error with them."""

    def broken():
        yield from documents(5)
        raise RecordError("expected a comma")

    (batch,) = numbered(broken(), Intervals(), print)
    assert len(batch.items) == 5
    assert str(batch.broken) == "expected a comma"


def test_what_precedes_a_bad_document_is_handed_on():
    """The third of four documents is bad: the range of the first two is covered, and the error comes with them."""
    found = list(enumerate(documents(4)))
    found[2] = (2, Document("d2", " "))
    checking = Checking(SCHEMA, CHUNKING, lambda _: True, keeps_bad=False)
    first, *more = through([Batch(0, 4, found), Batch(4, 5, [])], checking)
    assert (first.first, first.end, [item.document.id for item in first.items]) == (0, 2, ["d0", "d1"])
    assert "the text is empty" in str(first.broken)
    assert more == []


def test_an_id_that_came_before_is_refused():
    """Loading both would silently keep only the later one."""
    with pytest.raises(RecordError, match="'d0' has come before"):
        check([*documents(2), *documents(1)])


def test_a_document_with_a_vector_stays_whole():
    """20 words and a limit of 8: cut into passages without a vector, one passage with one."""
    plain, carrying = next(documents(1, words=20)), replace(next(documents(1, words=20, vectors=True)), id="v")
    cut, whole = prepare([plain, carrying])
    assert len(cut.passages) > 20 / 8
    assert [(passage.start, passage.end) for passage in whole.passages] == [(0, len(carrying.text))]


@pytest.mark.parametrize("bad", [{"a": [1, -float("inf")]}, [[float("inf")]], [{"b": 1 << 64}], -(1 << 63) - 1])
def test_numbers_that_json_cannot_say_are_refused(bad):
    """They would be stored as null; the readers refuse them too."""
    with pytest.raises(RecordError, match="is no number that can be stored"):
        check([Document("d", "text", {"f": bad})])


def test_a_nan_is_a_missing_value():
    """As frames have it: the document is taken, and written with a null."""
    check([Document("d", "text", {"f": [float("nan"), {"g": float("nan")}]})])


def test_fields_nested_too_deep_are_refused():
    """By the writer of JSON, not by a limit of Python's."""
    deep = [1]
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        check([Document("d", "text", {"f": deep})])


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
    digest = content_hash(base, CHUNKING, SCHEMA)
    assert {content_hash(document, CHUNKING, SCHEMA) for document in same} == {digest}
    different = {content_hash(document, CHUNKING, SCHEMA) for document in other}
    different.add(content_hash(base, ChunkingSettings(), SCHEMA))
    assert len(different - {digest}) == len(other) + 1


def test_the_content_hash_changes_with_what_is_filtered_on():
    """Names and kinds, in any order; an index of release 0.1 keeps the hash that release computed."""
    document = Document("d", "text", {"a": "01"})
    schemas = [
        SCHEMA,
        replace(SCHEMA, keyword_fields=("a",)),
        replace(SCHEMA, number_fields=("a",)),
        replace(SCHEMA, keyword_fields=("a", "b")),
    ]
    digests = {content_hash(document, CHUNKING, schema) for schema in schemas}
    assert len(digests) == 4
    assert content_hash(document, CHUNKING, replace(SCHEMA, keyword_fields=("b", "a"))) in digests
    old = [replace(schema, layout=1) for schema in schemas[:2]]
    assert {content_hash(document, CHUNKING, schema) for schema in old} == {"e20a9f56be5979fd69e08620f1b3036a"}
    read = replace(document, fields={"a": 1})  # what the readers of release 0.1 made of it for a number field
    numbers = replace(SCHEMA, number_fields=("a",), layout=1)
    assert (
        content_hash(document, CHUNKING, numbers)
        == content_hash(read, CHUNKING, numbers)
        == "d39e7d1fcc907d6e3a0cfb6f20f1f0b9"
    )


def held(passages, highest, *digests, expected=None, source="s"):
    return IndexedDocument(passages, highest, frozenset(digests), expected, frozenset({source} - {None}))


def compare(items, known, *, take_over=False):
    """What a comparison of the source "s" with what is ``known`` of the index gives."""
    comparison = Comparison(lambda ids: {i: known[i] for i in ids if i in known}, "s", take_over=take_over, where="i")
    return comparison(Batch(0, len(items), items))


def test_what_the_index_holds_whole_is_left_out():
    """The same content in all passages is left out; other content, missing passages or two versions are not."""
    items = check(documents(6))
    digests = [item.digest for item in items]
    found = compare(
        items,
        {
            "d0": held(1, 0, digests[0], expected=1),
            "d1": held(1, 0, "other", expected=1),
            "d2": held(1, 1, digests[2], expected=2),
            "d3": held(2, 1, digests[3], "other", expected=2),
            "d4": held(2, 1, digests[4], expected=3),  # the last passage never came
        },
    )
    assert [item.document.id for item in found.items] == ["d1", "d2", "d3", "d4", "d5"]
    assert found.unchanged == 1


def test_batches_are_compared_together_with_one_question():
    """Batches of 2 and 3 documents, of which d1 and d3 are there as they are: asked once, and each batch is its own."""
    items, asked = check(documents(5)), []
    known = {item.document.id: held(1, 0, item.digest, expected=1) for item in (items[1], items[3])}

    def ask(ids):
        asked.append(list(ids))
        return known

    comparison = Comparison(ask, "s", take_over=False, where="i")
    found = comparison.together([Batch(0, 2, items[:2]), Batch(2, 5, items[2:])])
    assert asked == [["d0", "d1", "d2", "d3", "d4"]]
    assert [[item.document.id for item in batch.items] for batch in found] == [["d0"], ["d2", "d4"]]
    assert [batch.unchanged for batch in found] == [1, 1]


def test_a_group_ends_with_enough_documents_or_text_and_with_a_broken_batch():
    """128 each: 8 of 9 batches make 1,024 documents. A long document, or an error, ends a group at once."""
    (item,) = check(documents(1))
    usual = Batch(0, BATCH_DOCUMENTS, [item] * BATCH_DOCUMENTS)
    long = replace(usual, items=[replace(item, document=replace(item.document, text="x" * CHARACTERS))])
    broken = replace(usual, broken=ValueError())
    sizes = [[len(group) for group in grouped(batches)] for batches in ([usual] * 9, [long, usual], [broken, usual])]
    assert sizes == [[8, 1], [1, 1], [1, 1]]


def test_documents_of_another_source_break_the_load_unless_they_are_taken_over():
    """d1 is of "t": nothing of the batch goes on, or all of it does."""
    items = check(documents(3))
    known = {item.document.id: held(1, 0, item.digest, expected=1) for item in items}
    known["d1"] = held(1, 0, items[1].digest, expected=1, source="t")
    refused = compare(items, known)
    assert (refused.items, "1 of the next documents belong to the source 't' (d1)" in str(refused.broken)) == ([], True)
    taken = compare(items, known, take_over=True)
    assert ([item.document.id for item in taken.items], taken.unchanged, taken.broken) == (["d1"], 2, None)


def test_what_release_0_1_wrote_is_known_by_its_number_of_passages():
    """It says no source and no number of passages: left alone where the new cut has as many, else loaded again."""
    whole, cut = check([*documents(1, words=20), *documents(1, first=1, words=20)])
    count = len(Chunking(GeneratedEncoder(), CHUNKING)(Batch(0, 1, [whole])).items[0].passages)
    known = {
        "d0": held(count, count - 1, whole.digest, source=None),
        "d1": held(count - 1, count - 2, cut.digest, source=None),
    }
    chunked = Chunking(GeneratedEncoder(), CHUNKING)(compare([whole, cut], known))
    assert ([item.document.id for item in chunked.items], chunked.unchanged) == (["d1"], 1)


def test_passages_beyond_the_new_ones_are_stale():
    """Three passages before, one now: the second and third are to be deleted."""
    compared = compare(check(documents(1)), {"d0": held(3, 2, "other", expected=3)})
    (item,) = Chunking(GeneratedEncoder(), CHUNKING)(compared).items
    assert list(item.stale) == ["d0#1", "d0#2"]


def test_a_long_document_is_handed_on_in_parts():
    """2,000 words and 8 a passage: parts of 256 passages, of which the last one ends the document."""
    items = check([*documents(1, words=2_000), *documents(1, first=1)])
    chunked = Chunking(GeneratedEncoder(), CHUNKING)(Batch(0, 2, items))
    *parts, last, short = chunked.items
    total = sum(len(part.passages) for part in [*parts, last])
    assert {part.total for part in [*parts, last]} == {total}
    assert [len(part.passages) for part in parts] == [PART] * (total // PART)
    assert [part.is_end for part in chunked.items] == [False] * len(parts) + [True, True]
    numbers = [passage.number for part in [*parts, last] for passage in part.passages]
    assert (numbers, short.total) == (list(range(total)), 1)


def test_portions_cover_a_document_with_its_last_part(monkeypatch):
    """Three parts of one document and a portion of one part each: only the last covers document 0."""
    monkeypatch.setattr("hybrid_search.ingest.stages.chunking.PORTION", 4)
    monkeypatch.setattr("hybrid_search.ingest.stages.chunking.PART", 4)
    items = check([*documents(1, words=60), *documents(1, first=1)])
    batch = Chunking(GeneratedEncoder(), CHUNKING)(Batch(0, 2, items, unchanged=3))
    made = list(portions(batch))
    assert [(portion.first, portion.end) for portion in made][-2:] in ([(0, 1), (1, 2)], [(0, 0), (0, 2)])
    assert [portion.end for portion in made[:-2]] == [0] * (len(made) - 2)
    assert sum(portion.unchanged for portion in made) == 3


def encode(items, encoder, cache=None):
    encoding = Encoding(encoder, cache)
    made = encoding(Batch(0, len(items), items)).items
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
