"""What differs between the schema of an index and the settings: what can be added, and what cannot be changed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from hybrid_search.engine.schemas import SchemaDifference, schema_difference, with_fields
from hybrid_search.records import FieldReading, Fingerprint, IndexSchema

DENSE = Fingerprint("dense", "generated", "0" * 16, dimension=4)
SPARSE = Fingerprint("sparse", "generated", "1" * 16)
OURS = IndexSchema(DENSE, SPARSE, keyword_fields=("brand",), number_fields=("price",))
NOTHING = SchemaDifference({}, ())


@pytest.mark.parametrize(
    "wanted",
    [
        OURS,
        replace(OURS, replicas=2),
        replace(OURS, keyword_fields=()),
        replace(OURS, dense=None, dense_index="flat", hnsw_m=4),
        replace(OURS, sparse=None, sparse_index="sparse_vector"),
    ],
)
def test_what_is_no_difference(wanted):
    """Replicas, a field less, and how a leg that is off would be indexed; the legs themselves are the models'."""
    assert schema_difference(OURS, wanted) == NOTHING


@pytest.mark.parametrize(
    ("change", "conflict"),
    [
        ({"analyzer": "german"}, "analyzer: english / german"),
        ({"bm25_k1": 1.2}, "bm25_k1: 0.9 / 1.2"),
        ({"bm25_b": 0.75}, "bm25_b: 0.4 / 0.75"),
        ({"shards": 3}, "shards: 1 / 3"),
        ({"dense_index": "flat"}, "dense_index: hnsw / flat"),
        ({"hnsw_m": 24}, "hnsw_m: 16 / 24"),
        ({"hnsw_ef_construction": 200}, "hnsw_ef_construction: 128 / 200"),
        ({"sparse_index": "sparse_vector"}, "sparse_index: rank_features / sparse_vector"),
        ({"keyword_fields": (), "date_fields": ("brand",)}, "field brand: keyword / date"),
    ],
)
def test_what_only_a_new_index_can_have(change, conflict):
    """One line for each."""
    assert schema_difference(OURS, replace(OURS, **change)) == SchemaDifference({}, (conflict,))


def test_fields_can_be_added():
    """But to an index of release 0.1, whose documents would not be loaded again for it."""
    wanted = replace(OURS, date_fields=("day",))
    assert schema_difference(OURS, wanted) == SchemaDifference({"day": "date"}, ())
    old = replace(OURS, layout=1)
    assert schema_difference(old, wanted) == SchemaDifference({}, ("field day: none / date",))
    assert schema_difference(old, OURS) == NOTHING


def test_how_values_are_read_is_part_of_a_field():
    """Another reading needs a new index; a field that is added keeps the one that was asked for, and others theirs."""
    lenient = replace(OURS, readings={"price": FieldReading(decimal=",", lenient=True)})
    conflict = "field price: number / number (decimal=',', lenient)"
    assert schema_difference(OURS, lenient) == SchemaDifference({}, (conflict,))
    stock = FieldReading(boolean=True)
    wanted = replace(lenient, keyword_fields=("brand", "stock"), readings={**lenient.readings, "stock": stock})
    assert schema_difference(lenient, wanted) == SchemaDifference({"stock": "keyword"}, ())
    added = with_fields(lenient, {"stock": "keyword"}, wanted)
    assert (added.keyword_fields, added.readings) == (("brand", "stock"), wanted.readings)


def test_an_index_that_says_nothing_of_readings_has_plain_ones():
    """As those have that were made before there were any; what is written is read back."""
    known = msgspec.to_builtins(OURS)
    assert (
        msgspec.convert({key: value for key, value in known.items() if key not in {"readings", "title"}}, IndexSchema)
        == OURS
    )
    read = replace(OURS, readings={"price": FieldReading(date_order="day", separator="|")}, title="name")
    assert msgspec.convert(msgspec.to_builtins(read), IndexSchema) == read
