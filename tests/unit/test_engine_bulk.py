"""Bulk lines as bytes, and what no line may hold."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.engine import layout
from hybrid_search.engine.answers import Failure, Verdict
from hybrid_search.engine.bulk import ItemOutcome, bulk_request, delete_action, index_action, outcomes
from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.errors import RecordError
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage, Provenance

OPENSEARCH = OpenSearchDialect((3, 6, 0))
SCHEMA = IndexSchema(None, None, number_fields=("size.eu",))
ORIGIN = Provenance("books", 1_700_000_000_000, "0123", 2)
ELASTICSEARCH = ElasticsearchDialect((9, 5, 3))
DOCUMENT = Document("süß", "One. Two.", {"size.eu": 42, "50%": None}, origin="books.jsonl:7")
VECTOR = np.array([1.0, -0.5], np.float32)
ENCODED = EncodedPassage(Passage(DOCUMENT, 1, 5, 9), VECTOR, {"1055": 1.5, "a.b": 0.25})


def test_a_passage_becomes_two_lines():
    """The whole of both, with names escaped and the text of the passage alone."""
    action, source = index_action("books", ENCODED, OPENSEARCH, SCHEMA).splitlines()
    assert orjson.loads(action) == {"index": {"_index": "books", "_id": "süß#1"}}
    assert orjson.loads(source) == {
        "doc_id": "süß",
        "passage": 1,
        "start": 5,
        "end": 9,
        "text": "Two.",
        "fields": {"size%2Eeu": 42, "50%25": None},
        "filter": {"size%2Eeu": 42},
        "dense": [1.0, -0.5],
        "sparse": {"1055": 1.5, "a%2Eb": 0.25},
    }


def test_a_load_says_where_a_passage_is_from():
    """The four values, and the number of the load as the version, which a later load's write is not undone by."""
    action, source = index_action("books", ENCODED, OPENSEARCH, SCHEMA, ORIGIN).splitlines()
    target = {"_index": "books", "_id": "süß#1", "version": 1_700_000_000_000, "version_type": "external_gte"}
    assert orjson.loads(action) == {"index": target}
    told = {"source": "books", "load": 1_700_000_000_000, "content_hash": "0123", "passages": 2}
    assert told.items() <= orjson.loads(source).items()
    assert orjson.loads(delete_action("books", "süß#1", ORIGIN.load)) == {"delete": target}


def test_layout_1_filters_on_what_is_stored():
    """As release 0.1 wrote it: converted in place, and nothing beside."""
    document = replace(DOCUMENT, fields={"size.eu": "042", "note": "042"})
    encoded = replace(ENCODED, passage=replace(ENCODED.passage, document=document))
    old = orjson.loads(index_action("books", encoded, OPENSEARCH, replace(SCHEMA, layout=1)).splitlines()[1])
    assert old["fields"] == {"size%2Eeu": 42, "note": "042"}
    assert "filter" not in old
    new = orjson.loads(index_action("books", encoded, OPENSEARCH, SCHEMA).splitlines()[1])
    assert (new["fields"], new["filter"]) == ({"size%2Eeu": "042", "note": "042"}, {"size%2Eeu": 42})


def test_elasticsearch_gets_big_endian_base64_from_9_3_on():
    """1.0 is 3f800000 and -0.5 is bf000000 in network order."""
    source = orjson.loads(index_action("books", ENCODED, ELASTICSEARCH, SCHEMA).splitlines()[1])
    assert source["dense"] == base64.b64encode(bytes.fromhex("3f800000bf000000")).decode()
    older = orjson.loads(index_action("books", ENCODED, ElasticsearchDialect((9, 2, 0)), SCHEMA).splitlines()[1])
    assert older["dense"] == [1.0, -0.5]


def test_float32_is_written_with_its_own_digits():
    """0.1 as float32, not the 17 digits of the double that is nearest to it."""
    vector = np.array([0.1, 0.2], np.float32)
    assert b'"dense":[0.1,0.2]' in index_action("books", replace(ENCODED, dense=vector), OPENSEARCH, SCHEMA)


def test_a_leg_that_is_off_writes_no_field():
    """Neither null nor an empty object."""
    source = orjson.loads(
        index_action("books", replace(ENCODED, dense=None, sparse=None), OPENSEARCH, SCHEMA).splitlines()[1]
    )
    assert not {"dense", "sparse"} & set(source)


def test_a_delete_is_one_line():
    """And ends it."""
    assert delete_action("books", "a#0") == b'{"delete":{"_index":"books","_id":"a#0"}}\n'


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dense": np.array([1, NAN], np.float32)}, "NaN or infinite"),
        ({"dense": np.array([1, INF], np.float32)}, "NaN or infinite"),
        ({"dense": np.zeros(2, np.float32)}, "zeros"),
        ({"sparse": {"a": 0.0}}, "weight 0.0 of term 'a'"),
        ({"sparse": {"a": -1.0}}, "weight -1.0"),
        ({"sparse": {"a": NAN}}, "weight nan"),
        ({"sparse": {"a": INF}}, "weight inf"),
        ({"sparse": {"a": 1e-45}}, "weight 1e-45"),
        ({"sparse": {"": 1.0}}, "without a name"),
        ({"passage": Passage(Document("", "x"), 0, 0, 1)}, "an id has 1 to 512"),
        ({"passage": Passage(Document("x" * 511, "x"), 0, 0, 1)}, "513 bytes"),
        ({"passage": Passage(Document("ü" * 256, "x"), 0, 0, 1)}, "514 bytes"),
        ({"passage": Passage(Document("\ud800", "x"), 0, 0, 1)}, "not Unicode"),
        ({"passage": Passage(Document("a", "x", {"f": object()}), 0, 0, 1)}, "JSON cannot hold"),
    ],
)
def test_what_an_engine_would_refuse_or_misread_is_refused_here(change, message):
    """With the document's place."""
    with pytest.raises(RecordError) as caught:
        index_action("books", replace(ENCODED, **change), OPENSEARCH, SCHEMA)
    assert message in str(caught.value)
    if "passage" not in change:
        assert caught.value.where == "books.jsonl:7"


WEIGHTS = st.one_of(
    st.floats(), st.floats(width=32), st.integers(-(2**63), 2**63), st.booleans(), st.floats(width=32).map(np.float32)
)


@given(st.dictionaries(st.text() | st.integers(0, 30_000).map(str), WEIGHTS, min_size=1))
def test_a_sparse_vector_is_written_whole_or_refused(weights):
    """Whatever the names and weights: every weight from 2^-126 to the largest float32 comes back, others never pass."""
    good = all(n and layout.MIN_WEIGHT <= float(weight) <= layout.MAX_WEIGHT for n, weight in weights.items())
    try:
        source = orjson.loads(
            index_action("books", replace(ENCODED, sparse=weights), OPENSEARCH, SCHEMA).splitlines()[1]
        )
    except RecordError:
        assert not good
        return
    assert good
    written = {layout.unescape(name): weight for name, weight in source["sparse"].items()}
    assert {name: np.float32(weight) for name, weight in written.items()} == {
        name: np.float32(weight) for name, weight in weights.items()
    }


@given(st.text())
def test_escaped_names_come_back_and_have_no_dots(name):
    """Any text at all."""
    assert layout.unescape(layout.escape(name)) == name
    assert "." not in layout.escape(name)


@given(st.text(), st.text())
def test_two_names_never_become_one(one, other):
    """Replacing the dot by an underscore would make a.b and a_b collide."""
    assert (layout.escape(one) == layout.escape(other)) == (one == other)


def test_every_item_has_its_outcome():
    """Done, retried, refused, read-only; deleting what is absent is done."""
    error = {"type": "mapper_parsing_exception", "reason": "failed", "caused_by": {"reason": "zero vector"}}
    block = {"type": "cluster_block_exception", "reason": "index [a] blocked by: [FORBIDDEN/8/index write (api)];"}
    items = [
        {"index": {"_id": "1", "status": 201}},
        {"index": {"_id": "2", "status": 400, "error": error}},
        {"index": {"_id": "3", "status": 429, "error": {"type": "x", "reason": "queue full"}}},
        {"delete": {"_id": "4", "status": 404}},
        {"index": {"_id": "5", "status": 403, "error": block}},
        {"index": {"_id": "6", "status": 500, "error": "a string"}},
    ]
    assert list(outcomes({"items": items})) == [
        ItemOutcome("1", "index", Verdict.DONE),
        ItemOutcome("2", "index", Verdict.REFUSED, Failure(400, "mapper_parsing_exception", "failed (zero vector)")),
        ItemOutcome("3", "index", Verdict.RETRY, Failure(429, "x", "queue full")),
        ItemOutcome("4", "delete", Verdict.DONE),
        ItemOutcome("5", "index", Verdict.READ_ONLY, Failure(403, "cluster_block_exception", block["reason"])),
        ItemOutcome("6", "index", Verdict.REFUSED, Failure(500, "", "a string")),
    ]


def test_the_request_is_ndjson():
    """Its answer is cut down to what is read of it."""
    request = bulk_request(b"{}\n")
    assert (request.method, request.path, request.content_type) == ("POST", "/_bulk", "application/x-ndjson")
    assert request.params == {"filter_path": "errors,items.*._id,items.*.status,items.*.error"}
