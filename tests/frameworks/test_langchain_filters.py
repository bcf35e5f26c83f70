"""What LangChain's users write to filter on, as the package's filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import QueryError
from hybrid_search.filters import And, Contains, Eq, Exists, In, Not, Or, Prefix, Range
from hybrid_search.frameworks.langchain_filters import translated

A, B = Eq("a", 1), Eq("b", "x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        ({}, None),
        ("", None),
        ("year>=2020", "year>=2020"),
        (A, A),
        ({"a": 1}, A),
        ({"a": 1, "b": "x"}, And((A, B))),
        ({"a": {"$eq": 1}}, A),
        ({"a": {"$ne": 1}}, Not(A)),
        ({"a": None}, Not(Exists("a"))),
        ({"a": {"$ne": None}}, Not(Not(Exists("a")))),
        ({"a": {"$gt": 1, "$lte": 5}}, And((Range("a", gt=1), Range("a", lte=5)))),
        ({"a": {"$gte": 1}}, Range("a", gte=1)),
        ({"a": {"$lt": 1}}, Range("a", lt=1)),
        ({"a": {"$in": [1, 2]}}, In("a", (1, 2))),
        ({"a": {"$in": []}}, In("a", ())),
        ({"a": {"$in": [1, None]}}, Or((Not(Exists("a")), In("a", (1,))))),
        ({"a": {"$nin": (1, 2)}}, Not(In("a", (1, 2)))),
        ({"a": {"$between": [1, 3]}}, Range("a", gte=1, lte=3)),
        ({"a": {"$exists": True}}, Exists("a")),
        ({"a": {"$exists": False}}, Not(Exists("a"))),
        ({"a": {"$like": "So%"}}, Prefix("a", "So")),
        ({"a": {"$like": "%on%"}}, Contains("a", "on")),
        ({"a": {"$like": "Sony"}}, Eq("a", "Sony")),
        ({"a": {"$not": {"$gt": 1}}}, Not(Range("a", gt=1))),
        ({"$and": [{"a": 1}, {"b": "x"}]}, And((A, B))),
        ({"$or": [{"a": 1}, {"$not": {"b": "x"}}]}, Or((A, Not(B)))),
        ({"a": 1, "$or": [{"b": "x"}]}, And((A, Or((B,))))),
        ({"author.name": "x"}, Eq("author.name", "x")),
    ],
)
def test_each_operator_has_its_filter(written, meant) -> None:
    """The filter on the right is what the dictionary on the left says."""
    assert translated(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"a": {"$regex": "x"}}, r"the filter on 'a': unknown operator '\$regex'\. There are for a field: \$eq, \$ne"),
        ({"$nor": [{"a": 1}]}, r"unknown operator '\$nor'\. There are between filters: \$and, \$or, \$not"),
        ({"a": {"b": 1}}, r"the filter on 'a': unknown operator 'b'"),
        ({"a": {}}, r"the filter on 'a': no operator"),
        ({"a": [1, 2]}, r"compared with a list, \[1, 2\]\. Write \{'\$in': \[\.\.\.\]\}"),
        ({"a": {"$in": "xy"}}, r"\$in holds 'xy', which is no list"),
        ({"a": {"$between": [1]}}, r"\$between holds \[1\], which are no two bounds"),
        ({"a": {"$exists": "yes"}}, r"\$exists holds 'yes'\. Give True or False"),
        ({"a": {"$like": "%on"}}, r"\$like with the pattern '%on'\. Patterns are"),
        ({"a": {"$like": "S_n%"}}, r"\$like with the pattern 'S_n%'"),
        ({"a": {"$like": "%%"}}, r"\$like with the pattern"),
        ({"a": {"$like": 3}}, r"\$like with the pattern 3"),
        ({"$or": {"a": 1}}, r"\$or holds \{'a': 1\}, which is no list"),
        ({"$and": []}, r"\$and holds \[\], which is no list"),
        ({"$and": ["a=1"]}, r"\$and holds 'a=1', which is no filter"),
        ({"$not": {}}, r"\$not holds \{\}, which is no filter"),
        ([{"term": {"a": 1}}], r"a filter that is a list\. Give text"),
        (lambda _: True, r"a filter that is a function\. The engine filters"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_name(written, said) -> None:
    """The operator or the value is named, and what there is instead."""
    with pytest.raises(QueryError, match=said):
        translated(written)


WRITTEN = st.recursive(
    st.dictionaries(st.text(min_size=1).filter(lambda key: key[0] != "$"), st.integers() | st.text(), min_size=1),
    lambda inner: (
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1)})
        | st.fixed_dictionaries({"$or": st.lists(inner, min_size=1)})
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=12,
)


def holds(written, document) -> bool:
    """What the dictionary says of a document, by the rules of MongoDB from which the syntax comes."""
    junctions = {"$and": all, "$or": any}
    return all(
        junctions[key](holds(one, document) for one in value)
        if key in junctions
        else not holds(value, document)
        if key == "$not"
        else document.get(key) == value
        for key, value in written.items()
    )


def passes(filter, document) -> bool:
    """The same of the filter that was made."""
    match filter:
        case And(parts):
            return all(passes(part, document) for part in parts)
        case Or(parts):
            return any(passes(part, document) for part in parts)
        case Not(part):
            return not passes(part, document)
        case Eq(field, value):
            return document.get(field) == value
    raise AssertionError(filter)


def leaves(written) -> list[tuple[str, object]]:
    """All comparisons."""
    found = []
    for key, value in written.items():
        if key.startswith("$"):
            found += [one for inner in (value if isinstance(value, list) else [value]) for one in leaves(inner)]
        else:
            found.append((key, value))
    return found


@given(WRITTEN, st.data())
def test_a_filter_of_any_nesting_means_what_was_written(written, data) -> None:
    """Documents that have some of the compared values pass both or neither."""
    document = dict(data.draw(st.lists(st.sampled_from(leaves(written)))))
    assert passes(translated(written), document) == holds(written, document)
