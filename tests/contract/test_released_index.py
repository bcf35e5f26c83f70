"""An index that release 0.1 made is searched, filtered, compared with its source and continued."""

from __future__ import annotations

import orjson
import pytest
from generated import released_body
from loading import DENSE, SPARSE, GeneratedEncoder

from hybrid_search.engine import indices, layout
from hybrid_search.engine.bulk import bulk_request, outcomes
from hybrid_search.engine.protocols import Request
from hybrid_search.filters import clause, parse
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.migrate import Migrated, migrate
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.stages.prepare import content_hash
from hybrid_search.read import documents
from hybrid_search.records import IndexSchema
from hybrid_search.settings import DocumentSettings, Settings

SETTINGS = Settings(
    documents=DocumentSettings(id="sku", text=("name",), keyword=("kind",), number=("price",), date=("day",))
)
SCHEMA = IndexSchema(
    DENSE, SPARSE, keyword_fields=("kind",), number_fields=("price",), date_fields=("day",), replicas=0, layout=1
)
ROWS = ["a,brass lamp,lamp,07,20240517", "b,oak table,table,12.5,2024-05-18", "c,oak chair,chair,3,2024-05-19"]


@pytest.fixture
def source(tmp_path):
    """Three goods as a table, in which every value is text."""

    def written(*rows):
        path = tmp_path / "goods.csv"
        path.write_text("\n".join(["sku,name,kind,price,day", *rows]) + "\n")
        return path

    return written


@pytest.fixture
def index(connection, index_name, source):
    """The goods as release 0.1 wrote them: numbers and dates converted where they are stored, no load, no source."""
    name = index_name()
    connection.send(Request.json("PUT", f"/{name}", released_body(connection, SCHEMA)))
    vectors = GeneratedEncoder()
    lines = b""
    for document in documents(source(*ROWS), SETTINGS.documents):
        price, day = document.fields["price"], document.fields["day"]
        encoded = vectors.encode_documents([document.text])
        passage = {
            "doc_id": document.id,
            "passage": 0,
            "start": 0,
            "end": len(document.text),
            "text": document.text,
            "content_hash": content_hash(document, SETTINGS.chunking, SCHEMA),
            "fields": {
                "kind": document.fields["kind"],
                "price": float(price) if "." in price else int(price),
                "day": "2024-05-17" if document.id == "a" else day,
            },
            "dense": encoded.dense[0].tolist(),
            "sparse": encoded.sparse[0],
        }
        lines += orjson.dumps({"index": {"_index": name, "_id": f"{document.id}#0"}}) + b"\n"
        lines += orjson.dumps(passage) + b"\n"
    assert not [item for item in outcomes(connection.send(bulk_request(lines))) if item.cause]
    indices.refresh(connection, name)
    return name


def found(connection, index, expression):
    """The ids of the documents that a filter selects, and their fields."""
    schema = indices.open_index(connection, index).schema
    body = {"query": clause(parse(expression), schema), "_source": {"includes": list(layout.STORED)}}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return {hit["_source"]["doc_id"]: layout.user_fields(hit["_source"]) for hit in hits}


def test_it_is_filtered_and_answers_with_its_fields(connection, index):
    """As it was written; a number keeps what release 0.1 made of it."""
    assert found(connection, index, "price<10 and day=2024-05-17") == {
        "a": {"kind": "lamp", "price": 7, "day": "2024-05-17"}
    }
    assert found(connection, index, "kind in (table, chair)").keys() == {"b", "c"}


def test_it_is_compared_with_its_source_and_continued(connection, index, source):
    """What has not changed is known again and left alone; what has is written in the same layout."""
    rows = [*ROWS[:2], "c,oak chair,chair,3.5,2024-05-19", "d,tin can,can,1,2025"]
    path = source(*ROWS)
    assert verify(documents(path, SETTINGS.documents), index, connection, SETTINGS.chunking).is_equal
    path = source(*rows)
    for expected in ((2, 2), (0, 4)):
        report = index_documents(documents(path, SETTINGS.documents), index, connection, GeneratedEncoder(), SETTINGS)
        assert (report.indexed, report.unchanged) == expected
    assert verify(documents(path, SETTINGS.documents), index, connection, SETTINGS.chunking).is_equal
    assert indices.open_index(connection, index).schema.layout == 1
    assert found(connection, index, "price>3 and price<4 or day=2025").keys() == {"c", "d"}
    assert indices.count(connection, index, {"exists": {"field": "load"}}) == 2


def test_what_it_does_not_say_is_said_and_not_removed(connection, index, source):
    """Whether a last passage is there is unknown; a sync removes nothing of which no source is known."""
    report = verify(documents(source(*ROWS), SETTINGS.documents), index, connection, SETTINGS.chunking)
    assert (report.is_equal, report.unknown) == (True, 3)
    arguments = (index, connection, GeneratedEncoder(), SETTINGS)
    report = index_documents(documents(source(*ROWS[:1]), SETTINGS.documents), *arguments, sync=True)
    assert (report.removed, indices.count(connection, index)) == (0, 3)


def test_it_is_migrated_in_place(connection, index, source):
    """Every passage names its source, its vectors are still there, and the source may remove what it lost."""
    assert migrate(connection, index, "goods") == Migrated(documents=3, broken=0)
    assert migrate(connection, index, "goods") == Migrated(documents=0, broken=0)
    found = documents(source(*ROWS), SETTINGS.documents)
    report = verify(found, index, connection, SETTINGS.chunking, source="goods", deep=True)
    assert (report.is_equal, report.unknown) == (True, 0)
    arguments = (index, connection, GeneratedEncoder(), SETTINGS)
    options = {"source": "goods", "sync": True, "max_removed": Limit(most=1)}
    report = index_documents(documents(source(*ROWS[:2]), SETTINGS.documents), *arguments, **options)
    assert (report.unchanged, report.removed, indices.count(connection, index)) == (2, 1, 2)
