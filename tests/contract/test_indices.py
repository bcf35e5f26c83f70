"""Indices on every engine: created, opened, checked against models, aliased, counted and deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from generated import DENSE, SCHEMA, SPARSE, filled, passages, write

from hybrid_search.engine import indices
from hybrid_search.engine.answers import Verdict
from hybrid_search.engine.bulk import bulk_request, delete_action, index_action, outcomes
from hybrid_search.engine.models import check_models
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IndexMissingError, RequestRefusedError, UnsupportedError
from hybrid_search.filters import Eq, clause
from hybrid_search.records import Document, IndexSchema, Leg, Passage, Provenance


class Models:
    """An encoder as far as its identity goes."""

    def __init__(self, dense, sparse):
        self.dense, self.sparse = dense, sparse


def test_an_index_opens_with_the_schema_it_was_made_with(connection, index_name):
    """Everything of the schema, fingerprints and dotted field names included, survives the round trip."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    opened = indices.open_index(connection, name)
    assert opened.schema == SCHEMA
    assert (opened.name, dict(opened.models)) == (name, {Leg.DENSE: DENSE, Leg.SPARSE: SPARSE})


def test_a_leg_that_is_off_has_no_field(connection, index_name):
    """Without models the mapping has neither vectors nor terms, and the index opens."""
    name = index_name()
    indices.create_index(connection, name, IndexSchema(None, None))
    mapping = connection.send(indices.opening(name))[name]["mappings"]
    assert not {"dense", "sparse"} & set(mapping["properties"])
    assert indices.open_index(connection, name).models == {}


def test_a_taken_name_is_refused(connection, index_name):
    """Creating an index twice does not touch the first."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    with pytest.raises(RequestRefusedError, match="already exists"):
        indices.create_index(connection, name, SCHEMA)


def test_an_unknown_dense_index_is_refused_with_the_known_ones(connection, index_name):
    """The remedy lists what this version has."""
    with pytest.raises(UnsupportedError, match="hnsw"):
        indices.create_index(connection, index_name(), replace(SCHEMA, dense_index="ivf"))


def test_a_missing_index_is_its_own_error(connection, index_name):
    """Opening, counting and deleting what is not there all raise IndexMissingError."""
    name = index_name()
    for call in (indices.open_index, indices.count, indices.delete_index, indices.refresh):
        with pytest.raises(IndexMissingError, match=name):
            call(connection, name)
    assert not indices.exists(connection, name)


def test_another_model_of_the_same_dimension_is_refused_with_the_difference(connection, index_name):
    """Equal dimensions would let both engines search on, in the wrong space."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    opened = indices.open_index(connection, name)
    other = replace(DENSE, name="other", weights="2" * 16, query_prompt="query: ")
    with pytest.raises(IndexMismatchError) as caught:
        check_models(opened, Models(other, SPARSE))
    message = str(caught.value)
    assert "dense: generated / other" in message
    assert f"weights: {'0' * 16!r} / {'2' * 16!r}" in message
    assert "query_prompt: '' / 'query: '" in message
    assert "sparse:" not in message


def test_a_missing_leg_is_a_mismatch_unless_it_is_not_used(connection, index_name):
    """An encoder without the sparse model may search the dense leg, and no more."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    opened = indices.open_index(connection, name)
    with pytest.raises(IndexMismatchError, match="sparse: generated / none"):
        check_models(opened, Models(DENSE, None))
    check_models(opened, Models(DENSE, None), {Leg.BM25, Leg.DENSE})
    check_models(opened, Models(replace(DENSE, name="renamed"), SPARSE))


def test_an_unknown_schema_version_is_refused(connection, index_name):
    """An index of a later layout is not read by guessing."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    indices.update_meta(connection, name, {"schema_version": 99})
    with pytest.raises(IndexMismatchError, match="schema version 99"):
        indices.open_index(connection, name)


def test_an_index_of_release_0_1_is_opened_and_continued(connection, index_name):
    """It says layout 1, takes a load's passages once it is migrated, even twice, and stays layout 1."""
    name, schema = index_name(), replace(SCHEMA, replicas=0, layout=1)
    filled(connection, name, passages(2), schema)
    opened = indices.open_index(connection, name)
    assert opened.schema == schema
    for _ in range(2):
        indices.migrate(connection, opened)
    assert indices.open_index(connection, name) == opened
    lines = index_action(name, passages(3)[2], connection.dialect, schema, Provenance("a", 7, "0" * 32, 1))
    assert [item.verdict for item in outcomes(connection.send(bulk_request(lines)))] == [Verdict.DONE]
    indices.refresh(connection, name)
    assert indices.count(connection, name) == 3
    assert indices.count(connection, name, {"range": {"load": {"gte": 7}}}) == 1


def test_the_state_of_a_loader_is_no_passage(connection, index_name):
    """One document of the index may hold it: anything, neither searched nor counted."""
    name = filled(connection, index_name(), passages(2))
    state = {"state": {"a.b": [1, {"": None}], "text": "river"}}
    connection.send(Request.json("PUT", f"/{name}/_doc/state", state, refresh="true"))
    assert indices.count(connection, name) == 2
    assert connection.send(Request.json("GET", f"/{name}/_doc/state"))["_source"] == state


def test_a_foreign_index_is_refused(connection, index_name):
    """An index that something else made has no fingerprints to check."""
    name = index_name()
    connection.send(Request.json("PUT", f"/{name}", {"mappings": {"properties": {"text": {"type": "text"}}}}))
    with pytest.raises(IndexMismatchError, match="not made by hybrid-search"):
        indices.open_index(connection, name)


def test_a_mapping_that_lacks_what_meta_promises_is_refused(connection, index_name):
    """A search in a field that is not mapped would answer 200 with no hits."""
    name = index_name()
    body = connection.dialect.index_body(SCHEMA)
    del body["mappings"]["properties"]["dense"], body["mappings"]["properties"]["sparse"]
    del body["mappings"]["properties"]["filter"]["properties"]["price"]
    connection.send(Request.json("PUT", f"/{name}", body))
    with pytest.raises(IndexMismatchError) as caught:
        indices.open_index(connection, name)
    for fault in ("dense has dimension None, not 16", "sparse is not rank_features", "no field price"):
        assert fault in str(caught.value)


def test_meta_keeps_what_is_not_updated(connection, index_name):
    """A mapping update replaces _meta as a whole; the package's own update merges."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    indices.update_meta(connection, name, {"load": {"refresh_interval": "1s"}})
    indices.update_meta(connection, name, {"note": 1})
    meta = indices.read_meta(connection, name)
    assert (meta["load"], meta["note"], meta["schema_version"]) == ({"refresh_interval": "1s"}, 1, 2)
    assert indices.open_index(connection, name).schema == SCHEMA


def test_an_alias_moves_in_one_step(connection, index_name):
    """The alias stands for the new index only, opens as it, and names the old one on return."""
    alias, old, new = index_name(), index_name(), index_name()
    filled(connection, old, passages(2))
    filled(connection, new, passages(5))
    assert indices.point_alias(connection, alias, old) == []
    assert indices.point_alias(connection, alias, new) == [old]
    assert indices.aliased(connection, alias) == [new]
    assert indices.open_index(connection, alias).name == new
    assert indices.count(connection, alias) == 5


def properties(connection, alias):
    """Of an alias, by index."""
    found = connection.send(Request.json("GET", f"/_alias/{alias}"))
    return {index: content["aliases"][alias] for index, content in found.items()}


def test_an_alias_keeps_its_filter_routing_and_write_flag(connection, index_name):
    """Wherever it moves, and when the move is repeated; of two indices, those of the one that is written to."""
    alias, old, other, new = (index_name() for _ in range(4))
    for name in (old, other, new):
        indices.create_index(connection, name, SCHEMA)
    kept = {
        "filter": {"term": {"filter.brand": {"value": "Sony"}}},
        "index_routing": "1",
        "search_routing": "1,2",
        "is_write_index": True,
    }
    first = {"add": {"index": old, "alias": alias, **kept}}
    second = {"add": {"index": other, "alias": alias, "is_write_index": False}}
    connection.send(Request.json("POST", "/_aliases", {"actions": [first, second]}))
    kept = properties(connection, alias)[old]
    assert indices.point_alias(connection, alias, new) == sorted([old, other])
    assert indices.point_alias(connection, alias, new) == [new]
    assert properties(connection, alias) == {new: kept}
    assert len(kept) == 4


def test_an_alias_takes_the_place_of_an_index(connection, index_name):
    """The index goes as the alias comes; again is no error; what stands for something else is not touched."""
    name, new, third = index_name(), index_name(), index_name()
    filled(connection, name, passages(2))
    filled(connection, new, passages(5))
    filled(connection, third, passages(1))
    for _ in range(2):
        indices.swap_index_for_alias(connection, name, new)
        assert indices.aliased(connection, name) == [new]
        assert indices.count(connection, name) == 5
    with pytest.raises(RequestRefusedError):
        indices.swap_index_for_alias(connection, name, third)
    with pytest.raises(RequestRefusedError, match="several indices"):
        indices.swap_index_for_alias(connection, "*", third)
    with pytest.raises(IndexMissingError):
        indices.swap_index_for_alias(connection, index_name(), third)
    with pytest.raises((RequestRefusedError, IndexMissingError)):
        indices.swap_index_for_alias(connection, third, third)
    assert (indices.count(connection, name), indices.count(connection, third)) == (5, 1)


def test_an_alias_of_two_indices_does_not_open(connection, index_name):
    """Two indices may hold two models; there is no one schema to check against."""
    alias, one, two = index_name(), index_name(), index_name()
    for name in (one, two):
        indices.create_index(connection, name, SCHEMA)
    actions = [{"add": {"index": name, "alias": alias}} for name in (one, two)]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    with pytest.raises(IndexMismatchError, match="several indices"):
        indices.open_index(connection, alias)


@pytest.mark.parametrize("name", ["*", "books-*", "_all", "one,two", "-one,*"])
def test_patterns_are_never_deleted(connection, name):
    """Only one index at a time can be deleted, by its own name."""
    with pytest.raises(RequestRefusedError, match="several indices"):
        indices.delete_index(connection, name)


def test_an_alias_is_not_deleted_as_an_index(connection, index_name):
    """Deleting by the alias would take the index with it; the engine refuses and the index stays."""
    alias, name = index_name(), index_name()
    indices.create_index(connection, name, SCHEMA)
    indices.point_alias(connection, alias, name)
    with pytest.raises(RequestRefusedError):
        indices.delete_index(connection, alias)
    assert indices.exists(connection, name)


def test_count_sees_writes_and_deletes_after_a_refresh(connection, index_name):
    """A refresh makes both visible; deleting twice is no error."""
    name = filled(connection, index_name(), passages(4))
    assert indices.count(connection, name) == 4
    assert indices.count(connection, name, {"term": {"doc_id": "doc-1"}}) == 1
    for _ in range(2):
        results = outcomes(connection.send(bulk_request(delete_action(name, "doc-1#0"))))
        assert [item.cause for item in results] == [None]
    indices.refresh(connection, name)
    assert indices.count(connection, name) == 3


def test_writing_again_replaces(connection, index_name):
    """Ids are deterministic: the same documents twice are the same index."""
    name = filled(connection, index_name(), passages(4))
    write(connection, name, passages(4, seed=8))
    assert indices.count(connection, name) == 4


def test_load_settings_can_be_set_and_taken_back(connection, index_name):
    """What the dialect sets for a load reads back, and so does what was there before."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    assert indices.read_settings(connection, name)["index.refresh_interval"] == "1s"
    indices.update_settings(connection, name, connection.dialect.load_settings())
    assert indices.read_settings(connection, name)["index.refresh_interval"] == "-1"
    indices.update_settings(connection, name, {"index": {"refresh_interval": "1s"}})
    assert indices.read_settings(connection, name)["index.refresh_interval"] == "1s"


def test_one_node_needs_no_replica(connection, index_name):
    """Nor is its index without one warned of."""
    name = index_name()
    indices.create_index(connection, name, replace(SCHEMA, replicas=0))
    nodes = connection.send(Request.json("GET", "/_cluster/health"))["number_of_data_nodes"]
    assert (indices.replica_warning(connection, name) is None) == (nodes == 1)


def test_fields_are_added_to_an_index_that_lacks_them(connection, index_name):
    """To mapping and _meta at once, beside what others keep there; what is loaded then can be filtered on."""
    name = index_name()
    filled(connection, name, passages(2))
    indices.update_meta(connection, name, {"note": 1})
    opened = indices.open_index(connection, name)
    wanted = replace(SCHEMA, keyword_fields=("brand", "maker.name"), number_fields=("price", "rating"), replicas=5)
    assert indices.schema_difference(opened.schema, wanted).additions == {"maker.name": "keyword", "rating": "number"}
    changed = indices.add_fields(connection, opened, wanted)
    assert changed.schema == replace(
        SCHEMA, keyword_fields=("brand", "size.eu", "maker.name"), number_fields=("price", "rating")
    )
    assert indices.open_index(connection, name) == changed
    assert indices.add_fields(connection, changed, wanted) == changed
    assert indices.read_meta(connection, name)["note"] == 1
    document = Document("new", "stone", {"maker": {"name": "Sol"}, "rating": 2**53 + 1})
    one = replace(passages(1)[0], passage=Passage(document, 0, 0, 5))
    write(connection, name, [one], changed.schema)
    for found in (Eq("maker.name", "Sol"), Eq("rating", 2**53 + 1)):
        assert indices.count(connection, name, clause(found, changed.schema)) == 1


def test_what_cannot_be_changed_is_a_conflict(connection, index_name):
    """Named with both values and the way out; nothing is added then."""
    name = index_name()
    indices.create_index(connection, name, SCHEMA)
    opened = indices.open_index(connection, name)
    wanted = replace(SCHEMA, analyzer="german", keyword_fields=("price", "new"), number_fields=())
    with pytest.raises(IndexMismatchError) as caught:
        indices.add_fields(connection, opened, wanted)
    for part in ("analyzer: english / german", "field price: number / keyword", "hybrid-search reindex"):
        assert part in str(caught.value)
    assert indices.open_index(connection, name) == opened
