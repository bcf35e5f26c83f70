"""Documents made of records: ids, texts, fields, vectors, and what is refused."""

import base64
import math
import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.fields import filter_values
from hybrid_search.read import documents
from hybrid_search.read.identity import IdHashes
from hybrid_search.records import MAX_DOCUMENT_ID_BYTES, IndexSchema
from hybrid_search.settings import DocumentSettings


@pytest.fixture
def read(tmp_path):
    """Documents of records that are written as JSON lines."""

    def run(*records, on_bad=None, **settings):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
        return list(documents(path, DocumentSettings(**settings), on_bad=on_bad))

    return run


@pytest.fixture
def refusal(read, tmp_path):
    """The message about the last of the records, without the folder."""

    def run(*records, **settings):
        with pytest.raises(RecordError) as caught:
            read(*records, **settings)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return run


def test_a_record_becomes_a_document(read, tmp_path):
    """Text fields are joined in order; the first is kept to be shown, the others are not stored twice."""
    (document,) = read({"_id": "a", "title": "T", "text": "body", "year": 2024, "nested": {"x": [1, None]}})
    assert (document.id, document.text) == ("a", "T\nbody")
    assert document.fields == {"title": "T", "year": 2024, "nested": {"x": [1, None]}}
    assert document.origin == f"{tmp_path}/a.jsonl:1"
    assert document.dense is document.sparse is None


def test_missing_and_empty_text_fields_are_passed_over(read):
    """A record needs one text field that is not empty, in whatever place."""
    found = read({"_id": "a", "text": "x"}, {"_id": "b", "title": "", "text": "y"}, {"_id": "c", "title": "z"})
    assert [document.text for document in found] == ["x", "y", "z"]


def test_a_list_of_paragraphs_is_text(read):
    """Strings in a list are joined by line breaks."""
    (document,) = read({"_id": "a", "text": ["one", "", "two"]})
    assert document.text == "one\ntwo"


def test_a_single_text_field_is_not_stored_unless_it_is_filtered_on(read):
    """The only text field is the text; named as a keyword too, it is also a field."""
    record = {"_id": "a", "text": "x"}
    assert read(record, text=("text",))[0].fields == {}
    assert read(record, text=("text",), keyword=("text",))[0].fields == {"text": "x"}


def test_dots_reach_into_objects(read):
    """Id, text and fields may lie inside objects; a name that has the dot itself is found first."""
    record = {"doc": {"id": 1, "body": "x", "kept": True}, "meta.tag": "a", "meta": {"tag": "b"}}
    (document,) = read(record, id="doc.id", text=("doc.body",), keyword=("meta.tag", "doc.kept"))
    assert (document.id, document.text) == ("1", "x")
    assert document.fields == {"doc": {"kept": True}, "meta.tag": "a", "meta": {"tag": "b"}}


ID = [
    ({"text": "x"}, "there is no id: the field '_id' is missing. Set documents.id; the record has: text"),
    (
        {"_id": None, "text": "x"},
        "there is no id: the field '_id' is missing. Set documents.id; the record has: _id, text",
    ),
    ({"_id": "", "text": "x"}, "the id in '_id' is empty. Give every document its own id"),
    ({"_id": 1.5, "text": "x"}, "the id in '_id' must be a string or a whole number, got 1.5. Write it as a string"),
    ({"_id": True, "text": "x"}, "the id in '_id' must be a string or a whole number, got True. Write it as a string"),
    (
        {"_id": "é" * 253, "text": "x"},  # 506 bytes
        (
            f"the id '{'é' * 40}…' has 506 bytes, more than 504. "
            "The engines take 512, '#' and a passage's number included: use a hash"
        ),
    ),
]


@pytest.mark.parametrize(("record", "message"), ID)
def test_ids_that_no_engine_takes_are_refused(refusal, record, message):
    """Missing, empty, of a wrong type or too long."""
    assert refusal(record) == f"a.jsonl:1: {message}"


def test_ids_up_to_the_limit_and_whole_numbers_are_taken(read):
    """504 bytes leave room for '#' and seven digits in the 512 of the engines."""
    assert MAX_DOCUMENT_ID_BYTES + len("#9999999") == 512
    ids = ["é" * 252, "a" * 504, -7, 2**63]
    assert [document.id for document in read(*({"_id": one, "text": "x"} for one in ids))] == [
        *ids[:2],
        "-7",
        str(2**63),
    ]


def test_an_id_that_comes_twice_is_refused_where_it_comes_again(refusal):
    """A number and its digits are the same id."""
    message = refusal({"_id": 1, "text": "x"}, {"_id": 2, "text": "y"}, {"_id": "1", "text": "z"})
    assert message == (
        "a.jsonl:3: the id '1' was given before (field '_id'). "
        "Give every document its own id, or set documents.repeated_ids: first, last or number"
    )


def test_a_refused_record_does_not_take_its_id(read):
    """The corrected record may follow the broken one."""
    bad = []
    found = read({"_id": "a", "text": ""}, {"_id": "a", "text": "x"}, on_bad=lambda error, _: bad.append(error))
    assert ([document.text for document in found], len(bad)) == (["x"], 1)


TEXT = [
    ({"_id": "a", "text": " \n"}, "the text is empty (documents.text is title, text)"),
    ({"_id": "a", "body": "x"}, "the text is empty (documents.text is title, text)"),
    ({"_id": "a", "text": 5}, "the text field 'text' must be a string, got 5"),
    ({"_id": "a", "text": ["x", 1]}, "the text field 'text' must be a string, got ['x', 1]"),
]


@pytest.mark.parametrize(("record", "message"), TEXT)
def test_records_without_text_are_refused(refusal, record, message):
    """Empty, missing or of another type."""
    assert refusal(record).startswith(f"a.jsonl:1: {message}. ")


FIELDS = [
    ("number", 3, 3),
    ("number", -0.5, -0.5),
    ("number", " 12 ", 12),
    ("number", "1.5e3", 1500.0),
    ("number", "9" * 30, 1e30),  # beyond 64 bits, as a double
    ("number", [1, "2"], [1, 2]),
    ("keyword", "a", "a"),
    ("keyword", 7, 7),
    ("keyword", False, False),
    ("keyword", ["a", "b"], ["a", "b"]),
    ("date", "2024", "2024"),
    ("date", "2024-05", "2024-05"),
    ("date", "2024-05-17", "2024-05-17"),
    ("date", "20240517", "2024-05-17"),
    ("date", "2024-05-17 10:30", "2024-05-17T10:30:00"),
    ("date", "2024-05-17T10:30:00Z", "2024-05-17T10:30:00+00:00"),
    ("date", 1_715_941_800_000, 1_715_941_800_000),
    ("date", "1715941800000", 1_715_941_800_000),
    ("date", -1, -1),
]


@pytest.mark.parametrize(("role", "value", "expected"), FIELDS)
def test_fields_to_filter_on_are_stored_as_they_are_and_filtered_on_as_the_engines_parse_them(
    read, role, value, expected
):
    """Text of numbers is read, dates are written in the extended form, lists are read item by item."""
    (document,) = read({"_id": "a", "text": "x", "f": value}, **{role: ("f",)})
    assert document.fields == {"f": value}
    (found,) = filter_values(document.fields, IndexSchema(None, None, **{f"{role}_fields": ("f",)})).values()
    assert (found, type(found)) == (expected, type(expected))


UNFIT = [
    ("number", "many", "a finite number, got 'many'"),
    ("number", "inf", "a finite number, got 'inf'"),
    ("number", "inf", "a finite number, got 'inf'"),
    ("number", True, "a finite number, got True"),
    ("number", "1_000", "a finite number, got '1_000'"),
    ("number", "9" * 400, f"a finite number, got '{'9' * 59}"),
    ("number", {"a": 1}, "a finite number, got {'a': 1}"),
    ("keyword", 1.5, "a string, a whole number or a boolean, got 1.5"),
    ("keyword", [["a"], 1.5], "a string, a whole number or a boolean, got 1.5"),
    ("keyword", "é" * 16_384, f"a string of at most 32766 bytes, got '{'é' * 59}"),
    ("date", "yesterday", "an ISO-8601 date or epoch milliseconds, got 'yesterday'"),
    ("date", "2024-13", "an ISO-8601 date or epoch milliseconds, got '2024-13'"),
    ("date", "2023-02-29", "an ISO-8601 date or epoch milliseconds, got '2023-02-29'"),
    ("date", 1.5, "an ISO-8601 date or epoch milliseconds, got 1.5"),
    ("date", True, "an ISO-8601 date or epoch milliseconds, got True"),
    ("date", 1_715_941_800, "epoch milliseconds, which this seems not to be (seconds?), got 1715941800"),
]


def test_an_object_that_held_nothing_but_the_text_is_not_stored(read):
    """``text.en`` is searched, so that ``{"text": {}}`` would be all that is left; what lay beside it stays."""
    (alone,) = read({"_id": "a", "text": {"en": "x"}, "kept": {}}, text=("text.en",))
    assert (alone.text, alone.fields) == ("x", {"kept": {}})
    (beside,) = read({"_id": "a", "text": {"en": "x", "de": "y"}}, text=("text.en",))
    assert beside.fields == {"text": {"de": "y"}}


def test_missing_values_cost_no_record(read):
    """NaN in columns of numbers, null in lists, and words for no value in text: the record stays, with the rest."""
    records = [
        {"_id": "a", "text": "x", "f": [1.5, None], "d": "NaT"},
        {"_id": "b", "text": "x", "f": "n/a", "d": None},
        {"_id": "c", "text": "x", "f": "NaN"},
    ]
    found = read(*records, number=("f",), date=("d",))
    assert [document.id for document in found] == ["a", "b", "c"]
    schema = IndexSchema(None, None, number_fields=("f",), date_fields=("d",))
    assert [filter_values(document.fields, schema) for document in found] == [{"f": 1.5}, {}, {}]
    assert filter_values({"f": [math.nan, 2.0]}, schema) == {"f": 2.0}


@pytest.mark.parametrize(("role", "value", "message"), UNFIT)
def test_fields_of_a_wrong_type_are_refused(refusal, role, value, message):
    """The engine would refuse the whole document later, or read another date."""
    expected = (
        f"a.jsonl:1: the {role} field 'f' must be {message}. Correct it, or leave the field out of documents.{role}"
    )
    assert refusal({"_id": "a", "text": "x", "f": value}, **{role: ("f",)}) == expected


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize("value", [[0.5, -2], packed(0.5, -2)], ids=["list", "base64"])
def test_dense_vectors_are_taken_as_they_are(read, value):
    """A list of numbers and base64 of little-endian float32 say the same."""
    (document,) = read({"_id": "a", "text": "x", "v": value}, dense="v")
    assert document.dense.dtype == np.float32
    assert document.dense.tolist() == [0.5, -2.0]
    assert document.fields == {}


def test_a_document_without_its_vector_is_left_to_the_encoder(read):
    """Missing and null vectors are no error."""
    found = read({"_id": "a", "text": "x"}, {"_id": "b", "text": "y", "v": None, "s": None}, dense="v", sparse="s")
    assert all(document.dense is None and document.sparse is None for document in found)


DENSE = [
    ([], "the dense vector 'v' is empty"),
    ([0, 0.0], "the dense vector 'v' is zero, which has no direction"),
    ([1, 1e39], "the dense vector 'v' has inf as component 1"),
    (packed(1, float("nan")), "the dense vector 'v' has nan as component 1"),
    ([1, "2"], "the dense vector 'v' is no list of numbers: [1, '2']"),
    ([1, None], "the dense vector 'v' is no list of numbers: [1, None]"),
    ([[1.0]], "the dense vector 'v' is no list of numbers: [[1.0]]"),
    ({"a": 1}, "the dense vector 'v' is no list of numbers: {'a': 1}"),
    (3, "the dense vector 'v' is no list of numbers: 3"),
    ("AAA", "the dense vector 'v' is not base64 of float32: 'AAA'"),
    ("AAAA", "the dense vector 'v' is not base64 of float32: 'AAAA'"),
    ("", "the dense vector 'v' is empty"),
]


@pytest.mark.parametrize(("value", "message"), DENSE)
def test_dense_vectors_that_no_engine_takes_are_refused(refusal, value, message):
    """Empty, zero, not finite, or no vector at all."""
    assert refusal({"_id": "a", "text": "x", "v": value}, dense="v").startswith(f"a.jsonl:1: {message}. ")


def test_all_dense_vectors_have_the_dimension_of_the_first(refusal):
    """Vectors of another dimension come from another model."""
    message = refusal({"_id": "a", "text": "x", "v": [1.0, 2.0]}, {"_id": "b", "text": "y", "v": [1.0]}, dense="v")
    assert message == (
        "a.jsonl:2: the dense vector 'v' has 1 components, the first one had 2. "
        "All vectors of an index must come from one model"
    )


@pytest.mark.parametrize("value", [{"a.b": 1, "c": 0.5}, [["a.b", 1], ["c", 0.5]]], ids=["object", "pairs"])
def test_sparse_vectors_are_taken_as_they_are(read, value):
    """Tokens are not touched: escaping them is the engine's matter."""
    (document,) = read({"_id": "a", "text": "x", "s": value}, sparse="s")
    assert document.sparse == {"a.b": 1.0, "c": 0.5}


SPARSE = [
    ({}, "the sparse vector 's' is empty"),
    ({"a": 0}, "the sparse vector 's' gives 'a' the weight 0"),
    ({"a": -1.0}, "the sparse vector 's' gives 'a' the weight -1.0"),
    ({"a": "1"}, "the sparse vector 's' gives 'a' the weight '1'"),
    ({"a": True}, "the sparse vector 's' gives 'a' the weight True"),
    ({"": 1.0}, "the sparse vector 's' has the token '', which is given twice or is no text"),
    ([["a", 1], ["a", 2]], "the sparse vector 's' has the token 'a', which is given twice or is no text"),
    ([[1, 1]], "the sparse vector 's' has the token 1, which is given twice or is no text"),
    ([["a"]], "the sparse vector 's' is no object: [['a']]"),
    ("a", "the sparse vector 's' is no object: 'a'"),
]


@pytest.mark.parametrize(("value", "message"), SPARSE)
def test_sparse_vectors_that_no_engine_takes_are_refused(refusal, value, message):
    """Weights must be positive and finite, tokens there and once."""
    assert refusal({"_id": "a", "text": "x", "s": value}, sparse="s").startswith(f"a.jsonl:1: {message}. ")


def test_a_source_without_any_document_is_an_error(read):
    """An empty file and a file of nothing but bad records have nothing to index."""
    with pytest.raises(SourceError, match=r"a\.jsonl: holds no document\. Check the source"):
        read()
    bad = []
    with pytest.raises(SourceError, match="holds no document"):
        read({"_id": "a"}, on_bad=lambda error, _data: bad.append(error))
    assert len(bad) == 1


def test_reading_is_lazy(tmp_path):
    """The first document is there before the second line is looked at."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\nbroken\n')
    found = documents(path, DocumentSettings())
    assert next(found).id == "a"
    with pytest.raises(RecordError):
        next(found)


@given(st.lists(st.text(max_size=3)))
def test_seen_ids_behave_like_a_set(ids):
    """An id is new exactly once."""
    seen, known = IdHashes(), set()
    for one in ids:
        assert seen.add(one) == (one not in known)
        known.add(one)


def test_seen_ids_grow():
    """20,000 ids outgrow the first table several times, and none is forgotten."""
    seen = IdHashes()
    ids = [f"document-{number}" for number in range(20_000)]
    assert all(seen.add(one) for one in ids)
    assert not any(seen.add(one) for one in ids)
