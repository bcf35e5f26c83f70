"""JSON lines: what is read, and what each broken line is told."""

import gzip
import io
import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError
from hybrid_search.read import jsonl, records
from hybrid_search.read.jsonl import read_jsonl
from hybrid_search.read.raw import refuse
from hybrid_search.read.streams import zstd

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4)


def read(data, on_bad=refuse):
    return [record.values for record in read_jsonl(io.BytesIO(data), "f", on_bad)]


@given(st.lists(OBJECTS), st.sampled_from([bytes, gzip.compress, zstd.compress]), st.sampled_from([b"\n", b"\r\n"]))
def test_what_is_written_is_read_back(tmp_path_factory, objects, pack, end):
    """Any objects survive the file, compressed or not, whatever the line breaks."""
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes(pack(b"".join(orjson.dumps(item) + end for item in objects)))
    assert [record.values for record in records(path)] == objects


def test_places_count_lines_from_one_and_keep_the_bytes():
    """Empty lines are passed over but counted; the last line may lack its end."""
    found = list(read_jsonl(io.BytesIO(b'{"a":1}\n\n \r\n{"a":2}'), "f", refuse))
    assert [(record.where, record.as_bytes()) for record in found] == [("f:1", b'{"a":1}\n'), ("f:4", b'{"a":2}')]


def test_a_byte_order_mark_is_taken_off():
    """Files written by some editors begin with three bytes that are no JSON."""
    assert read(b'\xef\xbb\xbf{"a":1}\n') == [{"a": 1}]


LINE = "f:1: broken JSON at column"
BROKEN = [
    (
        b'{"id": 1, "text": }',
        (
            f'{LINE} 19: unexpected character, expected a JSON value, near \'{{"id": 1, "text": }}\'. '
            "Each line must be one whole JSON object"
        ),
    ),
    (
        b'{"text": "' + b"x" * 100 + b'" "b": 1}' + b" " * 5 + b"\n",
        (
            f"{LINE} 113: unexpected character, expected ',' or '}}', near '…{'x' * 31}\" \"b\": 1}}'. "
            "Each line must be one whole JSON object"
        ),
    ),
    (
        b'{"v": Infinity}',
        (
            f"{LINE} 7: unexpected character, expected a JSON value, near '{{\"v\": Infinity}}'. "
            "JSON has no Infinity: leave the value out, or write null"
        ),
    ),
    (
        b"[",
        (
            f"{LINE} 2: unexpected end of data, near '['. "
            "The file looks like one JSON array; turn it into lines: jq -c '.[]'"
        ),
    ),
    (b"[1]", "f:1: expected an object, got an array. Turn the array into lines: jq -c '.[]'"),
    (b'"a"', "f:1: expected an object, got a string. Each line must be one JSON object"),
    (b"12", "f:1: expected an object, got a number. Each line must be one JSON object"),
    (b"null", "f:1: expected an object, got null. Each line must be one JSON object"),
    (b'{"a": "\xff"}', "f:1: byte 8 is 0xff, which is not UTF-8. Write the file in UTF-8: iconv -t UTF-8"),
]


def test_the_nan_that_python_writes_is_a_missing_value():
    """A NaN inside a string is text."""
    assert read(json.dumps({"a": 'NaN, " NaN', "b": [math.nan, 1.5], "c": math.nan}).encode()) == [
        {"a": 'NaN, " NaN', "b": [None, 1.5], "c": None}
    ]


@pytest.mark.parametrize(("line", "message"), BROKEN)
def test_a_broken_line_says_where_what_and_what_to_do(line, message):
    """Line, column, what was expected, an excerpt around the place and a remedy."""
    with pytest.raises(RecordError) as caught:
        read(line)
    assert str(caught.value) == message


def test_bad_lines_are_reported_and_the_others_read():
    """With a callback the reading goes on; it gets the error and the very bytes."""
    bad = []
    found = read(b'{"a":1}\n{"a":\n{"a":3}\n[]\n', on_bad=lambda error, data: bad.append((error.where, data)))
    assert found == [{"a": 1}, {"a": 3}]
    assert bad == [("f:2", b'{"a":\n'), ("f:4", b"[]\n")]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch):
    """A line beyond the limit is reported with its beginning, and the next one is read."""
    monkeypatch.setattr(jsonl, "MAX_LINE", 16)
    bad = []
    data = b'{"a": "' + b"x" * 50 + b'"}\n{"a": 1}\n'
    assert read(data, on_bad=lambda error, data: bad.append((str(error), data))) == [{"a": 1}]
    message = "f:1: the line is longer than 16 bytes. Write one JSON object on each line"
    assert bad == [(message, b'{"a": "' + b"x" * 9)]


@given(st.binary(max_size=80))
def test_no_bytes_whatever_make_anything_but_records_and_record_errors(data):
    """Every line is read, reported or blank."""
    bad = []
    found = list(read_jsonl(io.BytesIO(data), "f", lambda error, _data: bad.append(error)))
    filled = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert len(found) + len(bad) == len(filled)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(-(2**80), 2**80) | st.floats(allow_nan=False))))
def test_whole_numbers_keep_all_of_their_digits(objects):
    """Those of more than 64 bits too, beside doubles of any size: what cannot hold them is to refuse, not to round."""
    finite = [{key: value for key, value in one.items() if abs(value) != math.inf} for one in objects]
    lines = b"".join(json.dumps({"a": [one]}).encode() + b"\n" for one in finite)
    assert read(lines) == [{"a": [one]} for one in finite]
