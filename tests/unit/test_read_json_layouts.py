"""JSON in every layout: arrays, values over lines, lists inside an object, and what search engines write."""

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read import records
from hybrid_search.read.formats import json_values
from hybrid_search.read.formats.json_layout import Layout, layout_of
from hybrid_search.read.formats.nan import NanIsNull
from hybrid_search.read.splits import plan_splits, read_records

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "NaN", 'q"']), VALUES, min_size=1), min_size=1, max_size=5)


@pytest.fixture
def read(tmp_path):
    """Values of the records of a file, and what was said of it."""

    def run(content, name="a.json", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        run.notes = []
        options.setdefault("on_note", lambda note: run.notes.append(note.removeprefix(f"{path}: ")))
        return [record.values for record in records(path, **options)]

    return run


def without_nan(value):
    """What is expected of a value of Python: null for each NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@given(ROWS, st.sampled_from([None, 1, 0]))
def test_what_json_dump_writes_is_read_back(tmp_path_factory, rows, indent):
    """Lists of any objects, on one line or printed over many; numbers keep all digits, NaN is a missing value."""
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(rows, indent=indent))
    assert [record.values for record in records(path)] == without_nan(rows)


@given(ROWS, st.sampled_from([None, 2]), st.sampled_from(["", "\n", " "]))
def test_values_that_follow_each_other_are_read_back(tmp_path_factory, rows, indent, between):
    """Concatenated, one on each line, or printed over many."""
    path = tmp_path_factory.mktemp("json") / "a.json"
    rows = [{"_": 1} | without_nan(row) for row in rows]
    path.write_text(between.join(json.dumps(row, indent=indent) for row in rows))
    assert [record.values for record in records(path, records_path=".")] == rows


@given(st.text(max_size=30), st.integers(1, 7))
def test_nan_is_replaced_outside_strings_only(text, size):
    """Wherever the blocks of the stream end."""
    source = json.dumps({"t": [text, math.nan, {text: math.nan}], "u": "\\NaN\\"}).encode()
    cleaned = NanIsNull(io.BytesIO(source))
    data = b"".join(iter(lambda: cleaned.read(size), b""))
    assert json.loads(data) == {"t": [text, None, {text: None}], "u": "\\NaN\\"}


LAYOUTS = [
    (b'{"a": 1}\n{"a": 2}\n', Layout.LINES),
    (b'\xef\xbb\xbf [{"a": 1}]', Layout.ARRAY),
    (b'[\n{"a"', Layout.ARRAY),
    (b"[1]\n[2]\n", Layout.LINES),
    (b'{"a": 1} {"a": 2}', Layout.VALUES),
    (b'{\n  "a": 1\n}\n', Layout.VALUES),
    (b'{"a": {\n"b": 1}}', Layout.VALUES),
    (b'{"a":\n{"a": 3}\n{"a": 4}\n', Layout.LINES),
    (b'{"index": {"_id": "1"}}\n{"a": 1}\n', Layout.BULK),
    (b'{"index": {"name": "x"}}\n', Layout.LINES),
    (b'{"took": 1, "hits": {"hits": []}}\n', Layout.RESPONSES),
    (b'{\n  "took" : 1,\n  "hits": {', Layout.RESPONSES),
    (b"# a comment\nPOST /_bulk\n", Layout.CONSOLE),
    (b"", Layout.LINES),
    (b"{broken\n", Layout.LINES),
]


@pytest.mark.parametrize(("head", "layout"), LAYOUTS, ids=[str(number) for number in range(len(LAYOUTS))])
def test_the_layout_is_known_by_the_beginning(head, layout):
    """What cannot be told is lines, whose reader names the faults."""
    assert layout_of(head) == layout


def test_what_is_no_object_in_an_array_is_reported(read):
    """By its number, and the others are read."""
    bad = []
    found = read('[{"a": 1}, 2, {"a": 3}]', on_bad=lambda error, _data: bad.append(str(error)))
    assert found == [{"a": 1}, {"a": 3}]
    assert len(bad) == 1
    assert "a.json record 2: expected an object, got a number" in bad[0]
    assert read.notes == ["is read as a JSON array"]


def test_an_array_that_is_broken_says_after_which_record(read):
    """Nothing behind the place can be read, and nothing is lost without a word."""
    with pytest.raises(SourceError, match=r"broken JSON after record 1: .* JSON lines, of which single ones"):
        read('[{"a": 1}, {"a" 2}]')
    with pytest.raises(SourceError, match="broken JSON after record 2"):
        read('[{"a": 1}, {"a": 2}')


def test_an_object_without_end_does_not_fill_the_memory(read, monkeypatch):
    """It is given up after the limit; many objects may be longer together."""
    monkeypatch.setattr(json_values, "MAX_LINE", 100_000)
    assert len(read(json.dumps([{"a": "x" * 1000}] * 1000))) == 1000
    with pytest.raises(SourceError, match="has an object longer than 100000 bytes"):
        read(json.dumps([{"a": "x" * 1_000_000}]))


DEEP = {"arrays": "[" * 200_000, "objects": '{"a":' * 100_000, "hidden": '["]",' * 100_000}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_what_is_nested_without_end_does_not_fill_the_memory(read, text):
    """A parser that keeps the path of each level needs the square of their number: 200 KB took all there was."""
    with pytest.raises(SourceError, match="nested deeper than 1,000 levels"):
        read(text)
    assert len(read(json.dumps([{"a": "[" * 5_000, "b": [[{}]] * 3_000}]))) == 1


HOLDER = {"meta": {"n": 2}, "data": {"rows": [{"id": 1}, {"id": 2}]}, "tags": [{"t": 1}]}


@pytest.mark.parametrize("indent", [None, 2])
def test_one_object_that_holds_the_rows_asks_where(read, indent):
    """The remedy is the option to give; with it the rows are the records."""
    text = json.dumps(HOLDER, indent=indent)
    with pytest.raises(SourceError) as caught:
        read(text)
    assert str(caught.value).endswith(
        "a.json: holds one object, whose 'data.rows' is a list of 2 objects. "
        "If these are the records: --records data.rows; if the object is one: --records ."
    )
    assert read(text, records_path="data.rows") == [{"id": 1}, {"id": 2}]
    assert read(text, records_path=".") == [HOLDER]
    with pytest.raises(SourceError, match=r"holds no record at 'data\.nothing'"):
        read(text, records_path="data.nothing")


FRAMES = {
    "columns": {"id": {"0": 1, "1": 2}, "t": {"0": "x", "1": None}},
    "index": {"0": {"id": 1, "t": "x"}, "1": {"id": 2, "t": None}},
    "split": {"columns": ["id", "t"], "index": [0, 1], "data": [[1, "x"], [2, None]]},
}


@pytest.mark.parametrize("orient", FRAMES)
@pytest.mark.parametrize("indent", [None, 4])
def test_frames_of_pandas_give_their_rows(read, orient, indent):
    """``to_json`` without ``orient="records"``: one object, which is no document."""
    assert read(json.dumps(FRAMES[orient], indent=indent)) == [{"id": 1, "t": "x"}, {"id": 2, "t": None}]
    assert read.notes[-1] == "is read as a frame of pandas, row by row"


def test_one_object_that_is_no_frame_is_a_record(read):
    """Objects inside it whose keys differ, or are no row labels."""
    for values in ({"a": {"x": 1}, "b": {"y": 2}}, {"a": {"0": 1}, "b": {"1": 2}}, {"columns": 1, "data": 2}):
        assert read(json.dumps(values)) == [values]


def test_objects_by_their_keys_get_them_as_ids(read):
    """Lists inside lists are reached too."""
    assert read('{"items": {"k1": {"a": 1}, "k2": {"_id": 7}}}', records_path="items") == [
        {"_id": "k1", "a": 1},
        {"_id": 7},
    ]
    assert read('{"pages": [{"rows": [{"a": 1}]}, {"rows": [{"a": 2}]}]}', records_path="pages[].rows") == [
        {"a": 1},
        {"a": 2},
    ]


def test_one_document_in_a_file_of_a_folder_is_a_record(tmp_path):
    """Its list of authors is no list of records where every file is one."""
    paper = {"title": "x", "authors": [{"n": 1}, {"n": 2}]}
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(paper, indent=1))
    assert [record.values for record in records(tmp_path)] == [paper, paper]


BULK = """\
{"index": {"_index": "a", "_id": "t1"}}
{"title": "one"}
{"delete": {"_index": "a", "_id": "t9"}}
{"create": {"_index": "b", "_id": "t2"}}
{"title": "two"}
{"update": {"_id": "t1"}}
{"doc": {"title": "part"}}
{"update": {"_id": "t3"}}
{"doc": {"title": "whole"}, "doc_as_upsert": true}
{"index": {}}
{"index": {"_id": "t4"}}
{"title": "four"}
{"title": "stray"}
{"index": {"_id": "t5"}}
"""


def test_bodies_of_bulk_are_read_with_their_ids(read):
    """Deletions are said, updates and lines out of step reported, each by its place."""
    bad = []
    found = read(BULK, "a.ndjson", on_bad=lambda error, _data: bad.append((error.where[-2:], error.what[:20])))
    ids = {"t1": "one", "t2": "two", "t3": "whole", "t4": "four"}
    assert found == [{"_id": id_, "title": title} for id_, title in ids.items()]
    assert bad == [
        (":7", "an update is a part "),
        ("10", "the action has no do"),
        ("13", "expected an action: "),
        ("14", "the action has no do"),
    ]
    assert read.notes == [
        "is read as bodies of _bulk",
        "deletions in its _bulk bodies were passed over: 1",
        "documents for 2 indices (a, b) are read as one source",
    ]


def test_bodies_of_bulk_go_on_behind_a_document(tmp_path):
    """The place behind a document is the beginning of the next action."""
    path = tmp_path / "a.ndjson"
    path.write_text(BULK[: BULK.index('{"update"')])
    first, second = records(path)
    (split,) = plan_splits(path)
    assert [record.values for record in read_records(split, start=first.end)] == [second.values]


def test_only_lines_are_cut(tmp_path):
    """An array over many lines is read whole, however small the splits are asked for."""
    path = tmp_path / "a.json"
    rows = [{"_id": str(number)} for number in range(50)]  # 10 * 13 + 40 * 14 = 690 bytes
    for text, count in ((json.dumps(rows, indent=0), 1), ("".join(json.dumps(row) + "\n" for row in rows), 7)):
        path.write_text(text)
        splits = plan_splits(path, split_bytes=100)
        assert len(splits) == count
        assert [record.values for split in splits for record in read_records(split)] == rows
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-16")
    assert len(plan_splits(path, split_bytes=100)) == 1


HIT = {"_index": "i", "_type": "_doc", "_id": "h1", "_score": 1.0, "_source": {"title": "a"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(HIT),
        json.dumps([HIT]),
        json.dumps({"took": 1, "hits": {"hits": [HIT]}}),
        json.dumps({"hits": {"hits": [HIT]}}, indent=1),
        json.dumps({"_scroll_id": "x", "took": 1, "hits": {"total": {"value": 1}, "hits": [HIT]}}, indent=2),
    ],
    ids=["elasticdump", "array", "response", "printed", "scroll"],
)
def test_hits_give_their_documents(read, text):
    """Elasticdump's lines, arrays of hits, answers to searches and scrolls; the id stands beside the document."""
    assert read(text) == [{"_id": "h1", "title": "a"}]


def test_a_field_that_is_called_source_is_left_alone(read):
    """A hit has nothing but names with an underscore, and an id."""
    record = {"_id": "1", "title": "x", "_source": {"name": "feed"}}
    assert read(json.dumps(record)) == [record]


CONSOLE = '''\
# from Kibana
PUT /idx
{"mappings": {}}

POST idx/_bulk
{"index": {"_id": "c1"}}
{"title": "one"}

// a comment
PUT idx/_doc/c2?refresh
{
  "title": """a "quoted"
text"""
}

POST idx/_doc
{"title": "no id"}
GET idx/_search
'''


def test_an_export_of_the_console_is_read(read):
    """Also where its name is that of a text; other requests are counted."""
    expected = [{"_id": "c1", "title": "one"}, {"_id": "c2", "title": 'a "quoted"\ntext'}, {"title": "no id"}]
    for name in ("a.json", "a.txt"):
        assert read(CONSOLE, name) == expected
        assert read.notes == [
            "is read as an export of the Kibana console",
            "requests that index no document were passed over: 2",
        ]
    text = "POST office hours are from 9 to 5"
    for name in ("b.txt", "b.md"):
        assert [values["text"] for values in read(text, name)] == [text]
    with pytest.raises(RecordError, match=r"a\.json:2: broken JSON"):
        read("PUT i/_doc/1\n{broken}")
