"""Parquet: types that JSON has not got, vectors, row groups and broken files."""

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import SourceError
from hybrid_search.fields import filter_values
from hybrid_search.read import documents, records
from hybrid_search.read.columns import read_parquet
from hybrid_search.records import IndexSchema
from hybrid_search.settings import DocumentSettings


@pytest.fixture
def written(tmp_path):
    def write(columns, **options):
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write


def values(path, **options):
    return [record.values for record in read_parquet(path, **options)]


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=5), st.none() | st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 5),
)
def test_rows_are_read_in_order_over_row_groups(tmp_path_factory, rows, group):
    """Whatever the size of the row groups, all rows come, missing values left out, numbered from 1."""
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    table = pa.table({"a": [a for a, _ in rows], "b": pa.array([b for _, b in rows], pa.int64())})
    pq.write_table(table, path, row_group_size=group)
    found = list(read_parquet(path))
    assert [record.values for record in found] == [{"a": a} if b is None else {"a": a, "b": b} for a, b in rows]
    assert [record.where for record in found] == [f"{path}:{number + 1}" for number in range(len(rows))]


MOMENT = dt.datetime(2024, 5, 17, 10, 30, tzinfo=dt.UTC)
TYPES = [
    (pa.array([MOMENT], pa.timestamp("ns", "UTC")), "2024-05-17T10:30:00+00:00"),
    (pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("ms")), "2024-05-17T10:30:00"),
    (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00"),
    (pa.array([MOMENT.date()]), "2024-05-17"),
    (pa.array([dt.time(10, 30)]), "10:30:00"),
    (pa.array([dt.timedelta(seconds=1.5)]), 1.5),
    (pa.array([Decimal("12.50")]), "12.50"),
    (pa.array([b"text"]), "text"),
    (pa.array([math.nan, 1.5]), None),
    (pa.array(["a"]).dictionary_encode(), "a"),
    (pa.array([["a", "b"]]), ["a", "b"]),
    (pa.array([b"\xff\x00"]), None),
    (pa.array([[1.0, None, math.nan]]), [1.0, None, None]),
    (pa.array([{"bytes": b"\x89PNG\xff", "path": "a.png"}]), {"bytes": None, "path": "a.png"}),
    (pa.array([{"a": MOMENT.date(), "b": [b"x"]}]), {"a": "2024-05-17", "b": ["x"]}),
    (pa.array([[("a", 1.0)]], pa.map_(pa.string(), pa.float64())), [["a", 1.0]]),
]


@pytest.mark.parametrize(("column", "expected"), TYPES, ids=lambda value: str(getattr(value, "type", "")))
def test_values_become_what_json_can_hold(written, column, expected):
    """Dates are ISO-8601, decimals keep their digits, bytes are text or nothing, at any depth."""
    first = values(written({"a": column}))[0]
    assert first == ({} if expected is None else {"a": expected})


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.list_(pa.float32(), 2), pa.large_list(pa.float32())]
)
def test_dense_vectors_come_as_arrays_and_missing_ones_are_left_out(written, kind):
    """Lists of floats of every layout become float32 arrays where they are asked for."""
    path = written({"v": pa.array([[1.0, 2.0], None, [3.0, 4.0]], kind)})
    first, second, third = values(path, dense="v")
    assert (first["v"].tolist(), second, third["v"].tolist()) == ([1.0, 2.0], {}, [3.0, 4.0])
    assert first["v"].dtype == np.float32
    assert values(path) == [{"v": [1.0, 2.0]}, {}, {"v": [3.0, 4.0]}]


def test_documents_with_vectors_are_taken_as_they_are(written):
    """Dense lists and sparse maps reach the document, and leave its fields."""
    path = written(
        {
            "_id": [7],
            "text": ["a"],
            "dense": [[0.5, -1.0]],
            "sparse": pa.array([[("a.b", 0.25), ("#", 2.0)]], pa.map_(pa.string(), pa.float32())),
        }
    )
    (document,) = documents(path, DocumentSettings(dense="dense", sparse="sparse"))
    assert document.dense.tolist() == [0.5, -1.0]
    assert document.sparse == {"a.b": 0.25, "#": 2.0}
    assert (document.id, document.fields) == ("7", {})


def test_a_record_that_is_skipped_is_saved_as_json(written):
    """Rows have no bytes of their own, so a bad one is written as a line of JSON."""
    path = written({"_id": ["a", "b"], "text": ["x", "y"], "v": [[1.0, 2.0], [0.0, 0.0]]})
    bad = []
    found = list(
        documents(path, DocumentSettings(dense="v"), on_bad=lambda error, data: bad.append((str(error), data)))
    )
    assert [document.id for document in found] == ["a"]
    message = f"{path}:2: the dense vector 'v' is zero, which has no direction. Leave it out to have it encoded"
    assert bad == [(message, b'{"_id":"b","text":"y","v":[0.0,0.0]}\n')]


def test_a_file_that_is_no_parquet_or_is_missing_is_named(tmp_path):
    """The first line of the library's reason is enough."""
    path = tmp_path / "a.parquet"
    with pytest.raises(SourceError, match="no such file or folder"):
        list(records(path))
    path.write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"a\.parquet:1: cannot be read as Parquet \("):
        list(records(path))


def test_parquet_cannot_come_from_a_pipe():
    """Its index is at the end of the file."""
    with pytest.raises(SourceError) as caught:
        list(records("-", format="parquet"))
    assert str(caught.value) == "<stdin>: Parquet cannot be read from a pipe. Write it to a file first"


def test_two_columns_of_one_name_are_refused(tmp_path):
    """The last one took the place of the first, without a word."""
    path = tmp_path / "a.parquet"
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, path)
    with pytest.raises(SourceError, match=r"the columns name 'a' twice\. Give every column its own name"):
        list(records(path))


def test_bytes_are_text_or_left_out_and_it_is_said(written):
    """Pictures were indexed as words of base64; a dense vector may still be bytes."""
    vector = np.ones(2, "<f4").tobytes()
    path = written({"_id": ["1"], "text": [b"x"], "picture": [b"\x89PNG\xff"], "v": [vector]})
    notes = []
    (document,) = documents(path, DocumentSettings(dense="v"), on_note=notes.append)
    assert (document.text, document.fields, document.dense.tolist()) == ("x", {}, [1.0, 1.0])
    assert notes == [f"{path}: of columns of bytes (text, picture) only those values are read that are text"]


def test_missing_numbers_cost_no_record(written):
    """NaN and null in columns and in lists are missing values; what is there is filtered on."""
    path = written({"_id": ["1", "2"], "text": ["x", "y"], "n": [math.nan, 1.0], "l": [[1.0, None, math.nan], None]})
    found = list(documents(path, DocumentSettings(number=("n", "l"))))
    schema = IndexSchema(None, None, number_fields=("n", "l"))
    assert [filter_values(document.fields, schema) for document in found] == [{"l": 1.0}, {"n": 1.0}]
