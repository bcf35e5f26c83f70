"""Fields inside objects, in lists of objects and with dots in their names are filtered on like any other."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from generated import write

from hybrid_search.engine import layout
from hybrid_search.engine.answers import Verdict
from hybrid_search.engine.bulk import bulk_request, index_action, outcomes
from hybrid_search.engine.indices import count, create_index, open_index
from hybrid_search.engine.protocols import Request
from hybrid_search.filters import Eq, Exists, In, Range, clause, parse
from hybrid_search.read import documents
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage
from hybrid_search.settings import DocumentSettings

SCHEMA = IndexSchema(
    None,
    None,
    keyword_fields=("meta.maker", "a.b", "tags.name"),
    number_fields=("meta.price",),
    date_fields=("meta.since",),
)
SETTINGS = DocumentSettings(
    id="id", text=("name",), keyword=("meta.maker",), number=("meta.price",), date=("meta.since",)
)


def good(n):
    """Every third lamp is made by Lun, the others by Sol; a year of five, and a price that ascends."""
    meta = {"maker": "Sol" if n % 3 else "Lun", "price": f"0{10 + n}", "since": f"{2010 + n % 5}-03-01"}
    return {"id": f"g{n}", "name": f"lamp model {n}", "meta": meta}


def passage(document):
    return EncodedPassage(Passage(document, 0, 0, len(document.text)), None, None)


@pytest.fixture(scope="module")
def lamps(connection, tmp_path_factory):
    """24 lamps, read from a file."""
    source = tmp_path_factory.mktemp("goods") / "goods.jsonl"
    source.write_text("".join(json.dumps(good(n)) + "\n" for n in range(24)))
    name = f"test-inner-fields-{uuid4().hex[:8]}"
    create_index(connection, name, SCHEMA)
    write(connection, name, map(passage, documents(source, SETTINGS)), SCHEMA)
    yield name
    connection.transport.send(Request.json("DELETE", f"/{name}"))


CASES = [
    (parse("meta.maker=Sol"), 24 - 24 // 3),
    (parse("meta.maker!=Sol"), 24 // 3),
    (parse("meta.maker=*"), 24),
    (In("meta.maker", ("Sol", "Lun")), 24),
    (parse("meta.price>20"), 33 - 20),
    (Eq("meta.price", 21), 1),
    (parse("meta.since>=2012-01-01"), 5 + 5 + 4),
    (Eq("meta.since", "2014"), 4),
    (~Exists("meta.since"), 0),
    (Exists("a.b"), 0),
]


@pytest.mark.parametrize(("filter", "expected"), CASES)
def test_a_field_inside_an_object_is_filtered_on(connection, lamps, filter, expected):
    """Equal, unlike, one of, within, there: for keywords, numbers and dates."""
    schema = open_index(connection, lamps).schema
    assert count(connection, lamps, {"bool": {"filter": [clause(filter, schema)]}}) == expected


def test_fields_are_stored_as_the_source_has_them(connection, lamps):
    """A price that is filtered on as a number keeps its leading zero."""
    body = {"query": {"term": {"doc_id": "g7"}}, "_source": {"includes": list(layout.STORED)}}
    (hit,) = connection.send(Request.json("POST", f"/{lamps}/_search", body))["hits"]["hits"]
    assert layout.user_fields(hit["_source"]) == {"meta": good(7)["meta"]}
    assert set(hit["_source"]) == set(layout.STORED)


def test_every_value_of_a_name_counts(connection, index_name):
    """A name with a dot beside an object of the same path, lists of objects, lists of lists, nothing at all."""
    fields = {
        "dot": {"a.b": "x"},
        "object": {"a": {"b": "x"}},
        "both": {"a.b": "y", "a": {"b": "x"}},
        "list": {"a": [{"b": "y"}, {"b": ["x", None]}, 7]},
        "other": {"a": {"b": "y"}, "b": "x"},
        "none": {"a": None, "a.b": None},
    }
    name = index_name()
    create_index(connection, name, SCHEMA)
    batch = [passage(Document(id_, "lamp", values)) for id_, values in fields.items()]
    write(connection, name, batch, SCHEMA)

    def found(filter):
        body = {"query": {"bool": {"filter": [clause(filter, SCHEMA)]}}, "size": 20, "_source": False}
        answer = connection.send(Request.json("POST", f"/{name}/_search", body))
        return {hit["_id"].partition("#")[0] for hit in answer["hits"]["hits"]}

    assert found(Eq("a.b", "x")) == {"dot", "object", "both", "list"}
    assert found(~Eq("a.b", "x")) == {"other", "none"}
    assert found(~Exists("a.b")) == {"none"}
    assert found(Range("meta.price", gt=0)) == set()


def test_keywords_are_compared_as_composed_text(connection, index_name):
    """An e with its accent as one character or as two is the same word; the stored value is the source's."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    name = index_name()
    create_index(connection, name, SCHEMA)
    batch = [passage(Document(word, "lamp", {"a": {"b": word}})) for word in (composed, decomposed)]
    write(connection, name, batch, SCHEMA)
    for word in (composed, decomposed):
        assert count(connection, name, {"bool": {"filter": [clause(Eq("a.b", word), SCHEMA)]}}) == 2


def test_a_value_that_fits_no_role_is_refused_by_the_engine(connection, index_name):
    """With the engine's own reason, which goes with the document into the dead letters."""
    name = index_name()
    create_index(connection, name, SCHEMA)
    for bad in ({"price": "cheap"}, {"since": "yesterday"}, {"maker": {"name": "Sol"}}):
        line = index_action(name, passage(Document("bad", "lamp", {"meta": bad})), connection.dialect, SCHEMA)
        (outcome,) = outcomes(connection.send(bulk_request(line)))
        assert (outcome.verdict, outcome.cause.status) == (Verdict.REFUSED, 400)
        assert f"filter.meta%2E{next(iter(bad))}" in outcome.cause.reason


def test_a_post_code_is_found_with_its_zero(connection, index_name, tmp_path):
    """As what it is, and not as the number that it looks like."""
    source = tmp_path / "shops.csv"
    source.write_text("sku,name,zip\n00123,Corner bakery with rye bread,01730\n123,Harbour bakery,10730\n")
    settings = DocumentSettings(id="sku", text=("name",), keyword=("zip",))
    name, schema = index_name(), IndexSchema(None, None, keyword_fields=("zip",))
    create_index(connection, name, schema)
    write(connection, name, map(passage, documents(source, settings)), schema)
    counts = [count(connection, name, clause(parse(f"zip={code}"), schema)) for code in ("01730", "1730", "10730")]
    assert counts == [1, 0, 1]
