"""Filters on every engine select what the same condition in Python selects."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import reduce
from uuid import uuid4

import pytest
from generated import SCHEMA, filled, hits, passages

from hybrid_search.engine.indices import count
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import QueryError
from hybrid_search.filters import MOST_NESTED, And, Eq, Exists, In, Not, Or, Range, clause, parse, parse_all
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage
from hybrid_search.search.legs import bm25, dense, sparse

NUMBERED = IndexSchema(None, None, number_fields=("serial",))
BATCH = passages(120)
BARE = EncodedPassage(Passage(Document("bare", "stone"), 0, 0, 5), BATCH[0].dense, BATCH[0].sparse)
ROWS = [one.passage.document.fields for one in BATCH] + [{}]


@pytest.fixture(scope="module", params=[1, 2], ids=["layout 1", "layout 2"])
def schema(request):
    """That of release 0.1, and of now."""
    return replace(SCHEMA, layout=request.param)


@pytest.fixture(scope="module")
def index(connection, schema):
    """120 documents with fields and one without."""
    name = f"test-filters-shared-{uuid4().hex[:8]}"
    yield filled(connection, name, [*BATCH, BARE], schema)
    connection.transport.send(Request.json("DELETE", f"/{name}"))


def day(row):
    return date.fromisoformat(row["published"]) if row else date.min


CASES = [
    (Eq("brand", "Sony"), lambda row: row.get("brand") == "Sony"),
    (Eq("brand", "sony"), lambda row: row.get("brand") == "sony"),
    (Eq("size.eu", "3"), lambda row: row.get("size.eu") == "3"),
    (Eq("price", 7.5), lambda row: row.get("price") == 7.5),
    (Eq("published", "2024-03"), lambda row: row.get("published", "").startswith("2024-03")),
    (Eq("published", date(2024, 3, 3)), lambda row: row.get("published") == "2024-03-03"),
    (In("brand", ("Sony", "Nikon")), lambda row: row.get("brand") in {"Sony", "Nikon"}),
    (Range("price", gte=10, lt=20.5), lambda row: 10 <= row.get("price", -1) < 20.5),
    (Range("price", gt=10, lte=20.5), lambda row: 10 < row.get("price", -1) <= 20.5),
    (Range("published", gte="2024-05-05"), lambda row: day(row) >= date(2024, 5, 5)),
    (Range("published", gt="2024-05"), lambda row: day(row) >= date(2024, 6, 1)),
    (Range("published", lte="2024-05"), lambda row: bool(row) and day(row) <= date(2024, 5, 31)),
    (Exists("price"), lambda row: "price" in row),
    (~Exists("price"), lambda row: "price" not in row),
    (Not(Eq("brand", "Sony")), lambda row: row.get("brand") != "Sony"),
    (Eq("brand", "Sony") & Range("price", lt=9), lambda row: row.get("brand") == "Sony" and row["price"] < 9),
    (
        (Eq("brand", "Sony") | Eq("size.eu", "4")) & ~Range("price", gte=30),
        lambda row: (row.get("brand") == "Sony" or row.get("size.eu") == "4") and row["price"] < 30,
    ),
    (And(()), lambda _: True),
    (Or(()), lambda _: False),
    (In("brand", ()), lambda _: False),
    (Eq("published", "2024"), lambda row: "published" in row),
    (Eq("published", "20240303"), lambda row: row.get("published") == "2024-03-03"),
    (
        In("published", ("2024-03", "20240505T000000")),
        lambda row: row.get("published", "")[:7] == "2024-03" or day(row) == date(2024, 5, 5),
    ),
    (In("brand", ("Sony", *map(str, range(65_535)))), lambda row: row.get("brand") == "Sony"),
    (In("price", tuple(range(1, 5_000))), lambda row: row.get("price", 0.5) >= 1 and row["price"] % 1 == 0),
    (
        Range("published", gt="2024-05-10", lt="2024-05-20"),
        lambda row: date(2024, 5, 10) < day(row) < date(2024, 5, 20),
    ),
    (Range("published", gte="2024-05-10T00:00:01Z"), lambda row: day(row) > date(2024, 5, 10)),
    (parse("brand!=Sony"), lambda row: row.get("brand") != "Sony"),
    (parse("brand=Sony|Canon"), lambda row: row.get("brand") in {"Sony", "Canon"}),
    (parse("price=*"), lambda row: "price" in row),
    (
        parse('brand in ("Sony", Canon) and not (price<10 or size.eu="3")'),
        lambda row: row.get("brand") in {"Sony", "Canon"} and row["price"] >= 10 and row["size.eu"] != "3",
    ),
    (
        parse_all(["price>=10", "price<20", "brand=Nikon"]),
        lambda row: row.get("brand") == "Nikon" and 10 <= row["price"] < 20,
    ),
]


@pytest.mark.parametrize(("filter", "condition"), CASES)
def test_a_filter_selects_what_the_condition_selects(connection, index, schema, filter, condition):
    """Counted by the engine and by Python, and never by chance none and all the same."""
    expected = sum(condition(row) for row in ROWS)
    assert count(connection, index, {"bool": {"filter": [clause(filter, schema)]}}) == expected


def test_the_deepest_filter_fits_into_every_leg(connection, index, schema):
    """Each level is a ``bool`` of its own, of which Elasticsearch takes 30 with those of the leg."""
    nested = reduce(lambda one, n: ~one if n % 2 else one | Exists("brand"), range(MOST_NESTED), Eq("price", 2**52))
    part = clause(nested, schema)
    with pytest.raises(QueryError, match="nested deeper"):
        clause(~(nested | Exists("price")), schema)
    vector = BATCH[0].dense
    for body in (
        bm25("river stone", filter=part),
        sparse({"1": 1.0}, filter=part),
        dense(vector, connection.dialect, size=10, candidates=10, filter=part),
    ):
        assert isinstance(hits(connection, index, body), list)


SERIALS = [2**53 + n for n in range(4)] + [
    1524753829371840599,
    1524753829371840600,
    2**63 - 1,
    -(2**53) - 1,
    2**64 - 1,
    7,
]
LARGE = [
    (parse("serial=9007199254740993"), {2**53 + 1}),
    (parse("serial>9007199254740992"), {n for n in SERIALS if n > 2**53}),
    (parse("serial<=9007199254740992"), {2**53, -(2**53) - 1, 7, "half"}),
    (Eq("serial", 1524753829371840599), {1524753829371840599}),
    (In("serial", (7, 2**53, 2**53 + 3)), {7, 2**53, 2**53 + 3}),
    (Range("serial", gt=7, lt=2**53 + 2), {2**53, 2**53 + 1}),
    (Range("serial", gt=2**53 + 2, lte=2**63 - 1), {n for n in SERIALS if 2**53 + 2 < n < 2**63}),
    (Range("serial", gte=2**63), {2**64 - 1, 2**63 - 1}),  # beyond 64 bits with sign numbers are doubles
    (Eq("serial", -(2**53) - 1), {-(2**53) - 1}),
    (Range("serial", lt=-(2**53)), {-(2**53) - 1}),
    (Eq("serial", 2.5), {"half"}),
    (Range("serial", gt=2.4, lt=2**60), {"half", *(n for n in SERIALS if 2.4 < n < 2**60)}),
]


@pytest.fixture(scope="module")
def serials(connection):
    """Whole numbers that doubles do not tell apart, as numbers and as text, and a fraction."""
    name = f"test-filters-{uuid4().hex[:8]}"
    values = {str(n): n if n % 2 else str(n) for n in SERIALS} | {"half": 2.5, "list": [], "float": 1e300}
    batch = [
        EncodedPassage(Passage(Document(i, "receipt", {"serial": v}), 0, 0, 7), None, None) for i, v in values.items()
    ]
    yield filled(connection, name, batch, NUMBERED)
    connection.transport.send(Request.json("DELETE", f"/{name}"))


@pytest.mark.parametrize(("filter", "expected"), LARGE)
def test_whole_numbers_beyond_doubles_are_told_apart(connection, serials, filter, expected):
    """Equal, one of, and within bounds of any size."""
    body = {"query": {"bool": {"filter": [clause(filter, NUMBERED)]}}, "size": 50, "_source": ["doc_id"]}
    answer = connection.send(Request.json("POST", f"/{serials}/_search", body))
    found = {hit["_source"]["doc_id"] for hit in answer["hits"]["hits"]} - {"float"}
    assert found == set(map(str, expected))


def test_many_values_leave_room_for_many_words(connection, index, schema):
    """A list of values is one clause, so that a long query with it stays below the engines' limit of 1,024."""
    words = " ".join(f"w{n}" for n in range(1_000)) + " river"
    values = clause(In("brand", ("Sony", *map(str, range(5_000)))), schema)
    assert 0 < len(hits(connection, index, bm25(words, filter=values), size=120)) <= 40
