"""How values are read, on the engines: fields that are added later, filters in every form, and what a load says."""

from __future__ import annotations

import orjson
import pytest
from loading import GeneratedEncoder
from msgspec.structs import replace

from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError
from hybrid_search.filters import clause, parse
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import EVERYTHING
from hybrid_search.ingest.options import SourceOptions
from hybrid_search.ingest.source import index_source
from hybrid_search.settings import DocumentSettings, Settings

RECORDS = [
    {"_id": "a", "text": "lamp", "price": "$1,299.00", "day": "26/05/2025", "stock": "yes", "tags": "sale|kids"},
    {"_id": "b", "text": "shelf", "price": "on request", "day": "05/07/2022", "stock": "FALSE", "tags": "new"},
    {"_id": "c", "text": "rug", "price": "7.50", "day": "Jun 15, 2021", "stock": "1", "tags": "kids"},
    {"_id": "c", "text": "rug again", "price": "8", "day": "20240116", "stock": "no"},
]
PLAIN = DocumentSettings(text=("text",), repeated_ids="number")
READ = DocumentSettings(
    text=("text",),
    repeated_ids="number",
    number=("price",),
    date=("day",),
    boolean=("stock",),
    keyword=("tags",),
    split={"tags": "|"},
    date_order={"day": "day"},
    lenient=("price",),
)


@pytest.fixture
def load(connection, index_name, tmp_path):
    """Loads the records into one index, with settings of documents."""
    source, name = tmp_path / "a.jsonl", index_name()
    source.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in RECORDS))

    def run(documents):
        settings, files = Settings(documents=documents), LoadFiles(journal=tmp_path / "journal")
        return index_source(source, name, connection, GeneratedEncoder(), settings, files=files)

    run.index = name
    return run


def found(connection, index, expression):
    """The ids of documents that a filter lets pass."""
    schema = indices.open_index(connection, index).schema
    body = {
        "query": {"bool": {"filter": [clause(parse(expression), schema), {"exists": {"field": "doc_id"}}]}},
        "size": 50,
    }
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return sorted(hit["_source"]["doc_id"] for hit in hits)


FILTERS = [
    ("price<$8.01", ["c", "c-2"]),
    ("price>=1,299", ["a"]),
    ("price=*", ["a", "c", "c-2"]),
    ("day=26/05/2025", ["a"]),
    ("day=5.7.2022 | Jun 15, 2021", ["b", "c"]),
    ("day>=1705276800000", ["a", "c-2"]),
    ("stock=yes", ["a", "c"]),
    ("stock!=true", ["b", "c-2"]),
    ("tags=kids", ["a", "c"]),
    ("tags in (sale, new)", ["a", "b"]),
]


def test_readings_can_be_added_and_filters_take_every_form(connection, load):
    """Fields are added to an index that lacks them, its documents loaded again; the source's values are kept."""
    first = load(PLAIN)
    assert (first.indexed, [note for note in first.notes if "'c' first" in note] != []) == (4, True)
    again = load(READ)
    assert again.indexed == 4
    assert any(note.startswith("price: 1 value could not be read ('on request')") for note in again.notes)
    assert {text: found(connection, load.index, text) for text, _ in FILTERS} == dict(FILTERS)
    third = load(READ)
    assert (third.indexed, third.encoded) == (0, 0)


def test_another_reading_needs_another_index(load):
    """What is there was read otherwise."""
    load(READ)
    with pytest.raises(IndexMismatchError, match=r"field tags: keyword \(separator='\|'\) / keyword \(separator=';'\)"):
        load(replace(READ, split={"tags": ";"}))


SHOPS = [
    {"_id": "a", "text": "lamp", "shop": "48.1,11.5"},
    {"_id": "b", "text": "shelf", "shop": {"type": "Point", "coordinates": [11.6, 48.1]}},
    {"_id": "c", "text": "rug", "shop": [[11.5, 48.1], [0, 0]]},
    {"_id": "d", "text": "sofa", "shop": "POINT(2.35 48.85)"},
    {"_id": "e", "text": "desk", "shop": "98.1,11.5"},
    {"_id": "f", "text": "bed"},
]


def test_places_are_loaded_in_every_form(connection, index_name, tmp_path):
    """One that is out of range is a bad record, left out and counted; what the source has is what is stored."""
    source, name = tmp_path / "shops.jsonl", index_name()
    source.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in SHOPS))
    settings = Settings(documents=DocumentSettings(text=("text",), geo=("shop",)))
    files = LoadFiles(journal=tmp_path / "journal", skip_bad=tmp_path / "bad.jsonl")
    what = SourceOptions(max_bad=EVERYTHING)
    report = index_source(source, name, connection, GeneratedEncoder(), settings, files=files, what=what)
    assert (report.indexed, report.skipped) == (5, 1)
    assert found(connection, name, "shop within 5km of 48.1,11.5") == ["a", "c"]
    assert found(connection, name, "shop within 10km of 48.1,11.5") == ["a", "b", "c"]
    assert found(connection, name, "shop within 48,2 to 49,3 or shop!=*") == ["d", "f"]


def test_another_kind_needs_another_index(load):
    """What is there as a label is no place."""
    load(READ)
    with pytest.raises(IndexMismatchError, match=r"field tags: keyword \(separator='\|'\) / geo"):
        load(replace(READ, keyword=(), split={}, geo=("tags",), lenient=("price", "tags")))
