"""What a program holds becomes the documents that a file of the same content would give."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from hybrid_search.errors import EmptyTextError, InputError, RecordError, SettingsError
from hybrid_search.read import documents
from hybrid_search.read.rows import cell, documents_of, rows_of
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings

SETTINGS = DocumentSettings(id="id", text=("text",), number=("price",), date=("day",), dense="vector")
RECORDS = [
    {"id": "a", "text": "one", "price": 1.5, "tags": ["x", "y"], "day": "2024-05-17", "vector": [1.0, 0.5]},
    {"id": "b", "text": "two", "price": 2.0, "tags": [], "day": "2024-05-18", "vector": [0.0, 1.0]},
    {"id": "c", "text": "three", "tags": None, "vector": [1.0, 1.0]},
]


class Capsule:
    """A frame of a library that nobody here knows: it gives Arrow its columns, and no more."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def kinds(tmp_path: Path) -> dict[str, object]:
    """The records in each form."""
    table = pa.Table.from_pylist(RECORDS)
    pyarrow.parquet.write_table(table, tmp_path / "part.parquet")
    return {
        "dicts": RECORDS,
        "generator": (dict(record) for record in RECORDS),
        "pandas": pd.DataFrame(RECORDS),
        "pandas with arrays": pd.DataFrame([{**one, "vector": np.array(one["vector"])} for one in RECORDS]),
        "pandas of Arrow": table.to_pandas(types_mapper=pd.ArrowDtype),
        "pandas by its index": pd.DataFrame(RECORDS).set_index("id"),
        "polars": pl.DataFrame(RECORDS),
        "polars, lazy": pl.LazyFrame(RECORDS),
        "table": table,
        "batch": table.to_batches()[0],
        "reader": table.to_reader(),
        "files": pyarrow.dataset.dataset(tmp_path),
        "data set": datasets.Dataset.from_list(RECORDS),
        "data set of arrays": datasets.Dataset.from_list(RECORDS).with_format("numpy"),
        "streamed data set": datasets.Dataset.from_list(RECORDS).to_iterable_dataset(),
        "capsule": Capsule(table),
    }


NAMES = [
    "dicts",
    "generator",
    "pandas",
    "pandas with arrays",
    "pandas of Arrow",
    "pandas by its index",
    "polars",
    "polars, lazy",
    "table",
    "batch",
    "reader",
    "files",
    "data set",
    "data set of arrays",
    "streamed data set",
    "capsule",
]


def plain_of(document: Document) -> tuple[object, ...]:
    """What is compared: all but the place."""
    tags = document.fields.get("tags")
    fields = {name: value for name, value in document.fields.items() if name != "tags"}
    return document.id, document.text, fields, tags or [], document.dense.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_the_same_documents(name, tmp_path):
    """As a Parquet file of them does; vectors are float32, and what is missing is not there."""
    given = kinds(tmp_path)[name]
    expected = [plain_of(one) for one in documents(tmp_path / "part.parquet", SETTINGS)]
    found = list(documents_of(given, SETTINGS))
    assert [plain_of(one) for one in found] == expected
    assert [one.dense.dtype for one in found] == [np.float32] * 3
    assert [one.origin.rpartition(":")[2] for one in found] == ["1", "2", "3"]


def test_all_forms_are_tried(tmp_path):
    """The list of names is that of the forms."""
    assert list(kinds(tmp_path)) == NAMES


def test_documents_and_dicts_may_be_mixed():
    """A document is taken as it is, whatever the settings say."""
    own = Document("d", "four", {"id": 7})
    found = list(documents_of([own, RECORDS[0]], SETTINGS))
    assert found[0] is own
    assert [one.id for one in found] == ["d", "a"]


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pd.NA, None),
        (pd.NaT, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        (np.datetime64("NaT"), None),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.5, float("nan")]), [1.5, None]),
        (np.datetime64("2024-05-17"), "2024-05-17"),
        (pd.Timestamp("2024-05-17T10:00"), "2024-05-17T10:00:00"),
        (pd.Timedelta(minutes=2), 120.0),
        (datetime(2024, 5, 17, tzinfo=UTC), "2024-05-17T00:00:00+00:00"),
        (date(2024, 5, 17), "2024-05-17"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a") / "b", "a/b"),
        (Colour.RED, "red"),
        ({"b", "a"}, ["a", "b"]),
        (("a", {"n": np.int8(1)}), ["a", {"n": 1}]),
        (b"text", "text"),
        (b"\xff\x00", None),
        (np.str_("text"), "text"),
    ],
    ids=lambda value: type(value).__name__,  # a set is written in another order by each process
)
def test_values_are_what_json_can_hold(value, expected):
    """Of numpy, of pandas, and of Python itself."""
    found = cell(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, list, pa.Table.from_pylist], ids=lambda one: one.__name__)
def test_a_bad_row_is_named_as_in_a_file(make):
    """By what is given and its number from 1, with the same words."""
    rows = [*({"id": f"d{number}", "text": "words", "price": 1.0} for number in range(600)), {"text": "no id"}]
    with pytest.raises(RecordError, match=r"(DataFrame|list|Table):601: there is no id: the field 'id' is missing"):
        list(documents_of(make(rows), SETTINGS))


def test_rows_without_text_are_told_and_the_others_are_read():
    """As records of files; where there is no other, the first says why."""
    told = []
    found = documents_of(
        [RECORDS[0], {"id": "e", "text": " "}], SETTINGS, on_bad=lambda _error, data: told.append(data)
    )
    assert [one.id for one in found] == ["a"]
    assert told == [b'{"id":"e","text":" "}\n']
    frame = pd.DataFrame({"id": ["a", "b"], "body": ["x", "y"]})
    with pytest.raises(EmptyTextError, match=r"DataFrame:1: none of the 2 rows can be loaded: the text is empty"):
        list(documents_of(frame, SETTINGS, on_bad=lambda _error, _data: None))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("docs.jsonl", "'docs.jsonl' is no list of documents. Read it"),
        (Path("docs"), "is no list of documents"),
        ({"id": ["a"], "text": ["b"]}, "a dict of 'id', 'text' is one record, or columns, or splits"),
        (datasets.DatasetDict({"train": datasets.Dataset.from_list(RECORDS)}), "a DatasetDict of 'train' is one"),
        (7, "a int holds no rows"),
        (None, "a NoneType holds no rows"),
        (["text"], "list:1: a str is neither a Document nor a dict: 'text'"),
        (pd.Series([1]), r"Series: cannot be read as columns \(.*\)\. Give a frame"),
        (pl.Series(["a"]), r"Series: cannot be read as columns \(.*\)\. Give a frame"),
        (pd.DataFrame([["a", "b"]], columns=["id", "id"]), "DataFrame: the columns name 'id' twice"),
        (pa.table([["a"], ["b"]], names=["id", "id"]), "Table: the columns name 'id' twice"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_rows_is_told(given, says):
    """With what to give instead; nothing is read character by character."""
    with pytest.raises(InputError, match=says):
        list(documents_of(given, SETTINGS))


def test_repeated_ids_are_settled_as_the_settings_say():
    """As in files; of what is iterated once nobody knows which is the last."""
    rows = [{"id": "a", "text": "one"}, {"id": "a", "text": "two"}]
    found = {}
    for rule in ("first", "last", "number"):
        settings = DocumentSettings(id="id", text=("text",), repeated_ids=rule)
        found[rule] = [(one.id, one.text) for one in documents_of(rows, settings)]
    assert found == {"first": [("a", "one")], "last": [("a", "two")], "number": [("a", "one"), ("a-2", "two")]}
    with pytest.raises(SettingsError, match='is "last", and this is iterated once'):
        documents_of(iter(rows), DocumentSettings(repeated_ids="last"))


def test_a_frame_is_read_a_part_at_a_time():
    """The first rows of a million come without the last ones being made."""
    frame = pd.DataFrame({"id": np.arange(1_000_000), "text": "words"})
    rows = rows_of(frame)
    assert next(rows) == {"id": 0, "text": "words"}
