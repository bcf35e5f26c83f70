"""Haystack's documents come back as they were written, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from unicodedata import normalize

import orjson
import pytest
from haystack.dataclasses import ByteStream, Document, SparseEmbedding
from haystack.document_stores.types import DuplicatePolicy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from hybrid_search.errors import RecordError
from hybrid_search.frameworks.haystack import HybridDocumentStore
from hybrid_search.frameworks.haystack_documents import KEPT, WITHOUT_TEXT, Legs, to_haystack, to_ours

TEXTS = some.text(max_size=20) | some.sampled_from(["", " ", "\n a  b \t", "e\u0301", "\ud800", "\x00", "\u00a7", "—"])
KEYS = some.text(max_size=5) | some.sampled_from(["", ".", "a.b", "a..b", " ", "\u00a7", KEPT, "title", "_id", "%2E"])
SCALARS = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 10**400, -0.0, 5e-324, 1e22, 1.0])
    | some.floats(allow_nan=False)
    | TEXTS
    | some.dates()
    | some.datetimes(timezones=some.none() | some.just(UTC))
    | some.binary(max_size=4)
)
VALUES = some.recursive(
    SCALARS,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(KEYS, inner, max_size=3)
        | some.lists(inner, max_size=2).map(tuple)
        | some.sets(some.integers(0, 9), max_size=2)
    ),
    max_leaves=8,
)
EMBEDDINGS = some.lists(some.floats(-1, 1) | some.floats(-1, 1, width=32), min_size=3, max_size=3)
DOCUMENTS = some.builds(
    Document,
    id=some.uuids().map(str),
    content=some.none() | TEXTS,
    blob=some.none()
    | some.builds(
        ByteStream, some.binary(max_size=9), some.dictionaries(KEYS, SCALARS, max_size=2), some.none() | TEXTS
    ),
    meta=some.dictionaries(KEYS, VALUES, max_size=4),
    score=some.none() | some.floats(allow_nan=False),
    embedding=some.none() | EMBEDDINGS,
    sparse_embedding=some.none()
    | some.dictionaries(some.integers(0, 99), some.floats(0, 9, width=32), max_size=3).map(
        lambda weights: SparseEmbedding([*weights], [*weights.values()])
    ),
)


def typed(value: Any) -> Any:
    """A value with its types, by which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(inner) for inner in value]
    return type(value), repr(value) if isinstance(value, float) else value


@settings(max_examples=500)
@given(DOCUMENTS)
def test_nothing_is_lost_on_the_way_to_json_and_back(document: Document) -> None:
    """What an index holds of a document makes it again: each value, its type, each digit."""
    ours = to_ours(document, Legs(dense=True, sparse=True), 7)
    held = orjson.loads(orjson.dumps({"text": ours.text, "fields": ours.fields}))
    assert ours.text.strip()
    back = to_haystack(document.id, normalize("NFC", held["text"]), held["fields"])
    assert back == document
    assert typed(back.meta) == typed(document.meta)


@pytest.fixture
def store(engine_url: str, index_name: Callable[[], str]) -> Iterator[HybridDocumentStore]:
    """A store of documents with and without embeddings of three components."""
    made = HybridDocumentStore(index_name(), url=engine_url, embedding_dim=3, sparse_embeddings=True)
    yield made
    made.close()


@settings(max_examples=5, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(DOCUMENTS, min_size=10, max_size=25, unique_by=lambda document: document.id))
def test_nothing_is_lost_in_an_index(store: HybridDocumentStore, documents: list[Document]) -> None:
    """Both engines give back what was written, in the order of writing, and again what is written over it."""
    store.delete_all_documents()
    assert store.write_documents(documents) == len(documents)
    found = store.filter_documents()
    assert found == documents
    assert [typed(one.meta) for one in found] == [typed(one.meta) for one in documents]
    assert store.write_documents(found[::-1], DuplicatePolicy.OVERWRITE) == len(documents)
    assert store.filter_documents() == documents


def test_what_others_read_of_a_document() -> None:
    """Content is the text, and metadata that an engine can hold are fields; the rest is beside them."""
    document = Document(
        id="a", content="A text", meta={"year": 2024, "seen": date(2024, 5, 31)}, embedding=[1.0, 0.0, 0.1]
    )
    ours = to_ours(document, Legs(dense=True), 1)
    assert (ours.text, ours.fields["year"], "seen" in ours.fields) == ("A text", 2024, False)
    assert ours.dense is not None
    assert ours.dense.tolist() == pytest.approx([1.0, 0.0, 0.1])
    assert orjson.loads(ours.fields[KEPT])["meta"]["seen"]["value"] == "2024-05-31"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (Document(content=None), WITHOUT_TEXT),
        (Document(content=" \n"), WITHOUT_TEXT),
        (Document(id="a", content="\ud800"), WITHOUT_TEXT),
        (Document(content=" a "), " a "),
    ],
)
def test_a_document_without_text_has_a_sign_for_it(document: Document, text: str) -> None:
    """An index holds no document without text; no analyzer makes a word of the sign."""
    assert to_ours(document, Legs(), 0).text == text


def test_vectors_without_a_direction_are_kept_and_not_searched() -> None:
    """A cosine of zeros is none, and a term without a weight says nothing."""
    document = Document(content="a", embedding=[0.0, 0.0], sparse_embedding=SparseEmbedding([3, 4], [0.0, 0.5]))
    ours = to_ours(document, Legs(dense=True, sparse=True), 0)
    assert (ours.dense, ours.sparse) == (None, {"4": 0.5})


def test_metadata_of_another_kind_are_refused_by_name() -> None:
    """The document, the type, and what can be given."""
    with pytest.raises(RecordError, match=r"document 'a': metadata hold a complex.*Give what JSON holds"):
        to_ours(Document(id="a", content="x", meta={"k": [1j]}), Legs(), 0)


def test_a_refused_document_leaves_the_others_as_they_are(store: HybridDocumentStore) -> None:
    """An embedding of another length is an error that says both lengths; what was there is there."""
    store.write_documents([Document(id="a", content="x", embedding=[1.0, 2.0, 3.0])])
    with pytest.raises(RecordError, match=r"shape \(2,\), the index takes \(3,\)"):
        store.write_documents([Document(id="b", content="y", embedding=[1.0, 2.0])])
    assert [one.id for one in store.filter_documents()] == ["a"]


def test_long_documents_are_read_whole(store: HybridDocumentStore) -> None:
    """A content of thousands of words is several passages, and one document with all its white space."""
    document = Document(
        content="  A line of words.\n\n\tAnother,  with spaces. " * 2_000, meta={"at": datetime(2024, 1, 2, tzinfo=UTC)}
    )
    store.write_documents([document])
    assert store.filter_documents() == [document]
    assert store.count_documents() == 1
