"""Documents with vectors that the tests generate: seeded, so that every engine gets the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hybrid_search.engine.bulk import bulk_request, index_action, outcomes
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.engine.protocols import Request
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage, SparseVector, Vector

DIMENSION = 16
DENSE = Fingerprint("dense", "generated", "0" * 16, dimension=DIMENSION, normalized=True)
SPARSE = Fingerprint("sparse", "generated", "1" * 16)
SCHEMA = IndexSchema(
    DENSE, SPARSE, keyword_fields=("brand", "size.eu"), number_fields=("price",), date_fields=("published",)
)
WORDS = [
    "river",
    "stone",
    "city",
    "winter",
    "summer",
    "machine",
    "vector",
    "search",
    "index",
    "token",
    "engine",
    "coffee",
    "garden",
    "mountain",
    "ocean",
    "forest",
    "light",
    "shadow",
    "silver",
    "golden",
    "quick",
    "brown",
]
BRANDS = ("Sony", "Canon", "Nikon")


def passages(count: int, dimension: int = DIMENSION, seed: int = 7) -> list[EncodedPassage]:
    """``count`` documents of one passage: 12 words, a unit vector and 8 terms of 64 each."""
    random = np.random.default_rng(seed)
    return [encoded(number, random, dimension) for number in range(count)]


def encoded(number: int, random: np.random.Generator, dimension: int = DIMENSION) -> EncodedPassage:
    text = " ".join(random.choice(WORDS, 12))
    fields = {
        "brand": BRANDS[number % 3],
        "size.eu": str(number % 5),
        "price": number / 2,
        "published": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}",
        "note": {"anything": [number]},
    }
    document = Document(f"doc-{number}", text, fields)
    return EncodedPassage(Passage(document, 0, 0, len(text)), unit(random, dimension), terms(random))


def unit(random: np.random.Generator, dimension: int = DIMENSION) -> Vector:
    """A random float32 vector of shape (dimension,) and length 1."""
    vector = random.standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def terms(random: np.random.Generator, count: int = 8) -> SparseVector:
    """Random weights between .05 and 3 for ``count`` of 64 terms."""
    chosen = random.choice(64, count, replace=False)
    return {str(term): float(weight) for term, weight in zip(chosen, random.uniform(0.05, 3, count), strict=True)}


def released_body(connection: Connection, schema: IndexSchema = SCHEMA) -> dict:
    """Body of ``PUT /index`` as release 0.1 sent it: layout 1."""
    body = connection.dialect.index_body(replace(schema, replicas=0))
    properties = body["mappings"]["properties"]
    for name in ("source", "load", "passages", "state"):
        del properties[name]
    filtered = properties.pop("filter")["properties"]
    properties["fields"]["properties"] = {
        name: {key: value for key, value in field.items() if key != "fields"} for name, field in filtered.items()
    }
    meta = body["mappings"]["_meta"]["hybrid_search"]
    meta["schema_version"] = 1
    del meta["schema"]["layout"]
    return body


def write(connection: Connection, index: str, batch: Iterable[EncodedPassage], schema: IndexSchema = SCHEMA) -> None:
    """Indexes the passages, expects every one to be taken, and makes them findable."""
    lines = b"".join(index_action(index, passage, connection.dialect, schema) for passage in batch)
    refused = [item for item in outcomes(connection.send(bulk_request(lines))) if item.cause]
    assert not refused, refused[:3]
    refresh(connection, index)


def filled(connection: Connection, index: str, batch: Iterable[EncodedPassage], schema: IndexSchema = SCHEMA) -> str:
    """Creates the index, writes the passages and returns its name."""
    if schema.layout == 1:
        connection.send(Request.json("PUT", f"/{index}", released_body(connection, schema)))
    else:
        create_index(connection, index, schema)
    write(connection, index, batch, schema)
    return index


def hits(connection: Connection, index: str, body: dict, size: int = 10) -> list[tuple[str, float]]:
    """(passage id, score) of a search body's hits, by score and then by id, as the client ranks ties."""
    answer = connection.send(Request.json("POST", f"/{index}/_search", {**body, "size": size, "_source": False}))
    found = [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))
