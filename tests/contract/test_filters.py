"""Filters on every engine select what the same condition in Python selects."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest
from generated import SCHEMA, filled, passages

from hybrid_search.engine.indices import count
from hybrid_search.engine.protocols import Request
from hybrid_search.filters import And, Eq, Exists, In, Not, Or, Range, clause, parse, parse_all
from hybrid_search.records import Document, EncodedPassage, Passage

BATCH = passages(120)
BARE = EncodedPassage(Passage(Document("bare", "stone"), 0, 0, 5), BATCH[0].dense, BATCH[0].sparse)
ROWS = [one.passage.document.fields for one in BATCH] + [{}]


@pytest.fixture(scope="module")
def index(connection):
    """120 documents with fields and one without."""
    name = f"test-filters-shared-{uuid4().hex[:8]}"
    yield filled(connection, name, [*BATCH, BARE])
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
    (
        Range("published", gt="2024-05-10", lt="2024-05-20"),
        lambda row: date(2024, 5, 10) < day(row) < date(2024, 5, 20),
    ),
    (Range("published", gte="2024-05-10T00:00:01Z"), lambda row: day(row) > date(2024, 5, 10)),
    (parse("brand!=Sony"), lambda row: row.get("brand") != "Sony"),
    (parse("brand=Sony|Canon"), lambda row: row.get("brand") in {"Sony", "Canon"}),
    (parse("price=*"), lambda row: "price" in row),
    (
        parse_all(["price>=10", "price<20", "brand=Nikon"]),
        lambda row: row.get("brand") == "Nikon" and 10 <= row["price"] < 20,
    ),
]


@pytest.mark.parametrize(("filter", "condition"), CASES)
def test_a_filter_selects_what_the_condition_selects(connection, index, filter, condition):
    """Counted by the engine and by Python, and never by chance none and all the same."""
    expected = sum(condition(row) for row in ROWS)
    assert count(connection, index, {"bool": {"filter": [clause(filter, SCHEMA)]}}) == expected
