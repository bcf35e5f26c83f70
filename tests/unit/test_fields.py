"""Where a record has the values of a field, and what is written of them in either layout."""

from __future__ import annotations

import copy
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.fields import filter_values, value_at, values_at, with_taken_values
from hybrid_search.records import IndexSchema

VALUES = [
    ({"a": {"b": {"c": 1}}}, [1]),
    ({"a.b.c": 1}, [1]),
    ({"a.b": {"c": 1}}, [1]),
    ({"a": {"b.c": 1}}, [1]),
    ({"a.b.c": 1, "a.b": {"c": 2}, "a": {"b.c": 4, "b": {"c": 3}}}, [1, 4, 3, 2]),
    ({"a": [{"b": {"c": [1, [2, None]]}}, {"b": [{"c": 3}, {}]}, 7]}, [1, 2, 3]),
    ({"a": {"b": {"c": {"d": 1}}}}, [{"d": 1}]),
    ({"a": {"b": 1}}, []),
    ({"a": None, "a.b.c": None}, []),
    ({"c": 1}, []),
    ({}, []),
]


@pytest.mark.parametrize(("record", "expected"), VALUES)
def test_every_value_of_a_path_is_found(record, expected):
    """Names with dots, objects and lists, in every mixture."""
    assert values_at(record, "a.b.c") == expected


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), st.sets(st.integers(1, 4)), st.integers())
def test_a_path_may_be_cut_anywhere(names, cuts, value):
    """At each dot there is an object or a name with a dot: the value is found all the same."""
    parts = [[names[0]]]
    for place, name in enumerate(names[1:], 1):
        if place in cuts:
            parts.append([name])
        else:
            parts[-1].append(name)
    record = value
    for part in reversed(parts):
        record = {".".join(part): record}
    assert values_at(record, ".".join(names)) == [value]
    assert value_at(record, ".".join(names)) == value


def test_values_are_written_as_they_are_compared():
    """Composed keywords, numbers of text, large whole numbers as such, dates in one form; what fits not as it is."""
    schema = IndexSchema(None, None, keyword_fields=("k", "none"), number_fields=("n",), date_fields=("d",))
    decomposed = "cafe\u0301"
    fields = {"k": decomposed, "n": ["007", 1e16, "2.5", "many"], "d": "20240517"}
    assert filter_values(fields, schema) == {
        "k": unicodedata.normalize("NFC", decomposed),
        "n": [7, 10**16, 2.5, "many"],
        "d": "2024-05-17",
    }
    assert type(filter_values(fields, schema)["n"][1]) is int


def test_layout_1_has_them_in_their_places():
    """As the readers of release 0.1 made them, lists and objects included; the source's own record is not touched."""
    schema = IndexSchema(None, None, keyword_fields=("k",), number_fields=("n", "o.n"), date_fields=("d",), layout=1)
    fields = {"k": "cafe\u0301", "n": ["007", 1e16], "o": {"n": "1.5", "m": "1.5"}, "d": "2024", "rest": "007"}
    before = copy.deepcopy(fields)
    expected = {"k": "cafe\u0301", "n": [7, 1e16], "o": {"n": 1.5, "m": "1.5"}, "d": "2024", "rest": "007"}
    assert with_taken_values(fields, schema) == expected
    assert fields == before
