"""Near-duplicates on real engines: exactly and by the graph, against a count by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from hybrid_search.engine import Connection, connect_async
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.errors import QueryError
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search import duplicates as duplicates_module
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="circle", weights="0", dimension=2), sparse=None, keyword_fields=("kind",)
)
WORDS = Settings(search=SearchSettings(legs=("bm25",)))

ANGLES = {"a#0": 0, "b#0": 2, "c#0": 5, "d#0": 90, "d#1": 91, "e#0": 91.5, "f#0": 180, "g#0": 180}
"""In degrees; a length of 1 + n."""


def at(degrees: float, length: float = 1.0) -> np.ndarray:
    radians = np.radians(degrees)
    return np.array([length * np.cos(radians), length * np.sin(radians)], dtype=np.float32)


def cosine(degrees: float) -> object:
    return pytest.approx(np.cos(np.radians(degrees)), abs=1e-5)


@pytest.fixture
def index(connection: Connection, index_name: Callable[[], str]) -> str:
    """An index of :data:`ANGLES`."""
    name = index_name()
    create_index(connection, name, SCHEMA)
    lines = b""
    for n, (id_, degrees) in enumerate(ANGLES.items()):
        document_id, _, number = id_.rpartition("#")
        document = Document(document_id, f"text of {document_id}", {"kind": "odd" if n % 2 else "even"})
        passage = Passage(document, int(number), 0, len(document.text))
        lines += index_action(name, EncodedPassage(passage, at(degrees, 1 + n), None), connection.dialect, SCHEMA)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)
    return name


@pytest.fixture
def client(connection: Connection, index: str) -> SearchClient:
    """A client without any model."""
    return SearchClient(index, connection=connection, settings=WORDS)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "graph"])
def test_pairs_come_with_their_cosines_best_first(client, exact) -> None:
    """f and g are at one angle; d, by its second passage, is half a degree from e; a, b and c are 2, 3 and 5 apart."""
    found = [(p.first, p.second, p.cosine) for p in client.similar_pairs(np.cos(np.radians(5.5)), exact=exact)]
    assert found == [
        ("f", "g", cosine(0)),
        ("d", "e", cosine(0.5)),
        ("a", "b", cosine(2)),
        ("b", "c", cosine(3)),
        ("a", "c", cosine(5)),
    ]
    assert next(client.similar_pairs(exact=exact)).first_passage == "f#0"


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "graph"])
def test_groups_hang_together_by_pairs(client, exact) -> None:
    """At 3.5 degrees a and c are no pair, and are one group by b."""
    found = list(client.duplicates(np.cos(np.radians(3.5)), exact=exact))
    assert [group.ids for group in found] == [("f", "g"), ("d", "e"), ("a", "b", "c")]
    assert [(pair.first, pair.second) for pair in found[2].pairs] == [("a", "b"), ("b", "c")]
    assert [group.cosine for group in found] == [cosine(0), cosine(0.5), cosine(2)]


def test_a_filter_and_a_limit_hold(client) -> None:
    """Of the even ones a, c, d (its first passage), f no two are alike but a and c; a limit of 2 keeps the best two."""
    assert [(p.first, p.second) for p in client.similar_pairs(0.99, filter="kind=even")] == [("a", "c")]
    reports = []
    found = list(client.similar_pairs(0.99, limit=2, on_progress=reports.append))
    assert [(pair.first, pair.second) for pair in found] == [("f", "g"), ("d", "e")]
    assert (reports[-1].pairs, reports[-1].left_out, reports[-1].read) == (2, 3, 8)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "graph"])
def test_many_vectors_are_compared_as_by_hand(connection, index_name, monkeypatch, exact) -> None:
    """150 random vectors of 8 dimensions in pages of 40 and blocks of 32: the pairs above .8, each once."""
    monkeypatch.setattr(duplicates_module, "NUMBERS", 320)
    monkeypatch.setattr(duplicates_module, "BLOCK", 32)
    name, random = index_name(), np.random.default_rng(0)
    schema = IndexSchema(dense=Fingerprint(kind="dense", name="r", weights="0", dimension=8), sparse=None)
    vectors = random.normal(size=(150, 8)).astype(np.float32)
    create_index(connection, name, schema)
    lines = b""
    for n, vector in enumerate(vectors):
        passage = Passage(Document(f"d{n:03}", "text"), 0, 0, 4)
        lines += index_action(name, EncodedPassage(passage, vector, None), connection.dialect, schema)
    assert not connection.send(bulk_request(lines))["errors"]
    refresh(connection, name)
    units = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    wanted = {(f"d{i:03}", f"d{j:03}"): cosines[i, j] for i in range(150) for j in range(i + 1, 150)}
    wanted = {pair: value for pair, value in wanted.items() if value >= 0.8}
    client = SearchClient(name, connection=connection, settings=WORDS)
    found = list(client.similar_pairs(0.8, exact=exact, neighbours=50))
    assert len(wanted) > 50
    assert {(pair.first, pair.second): pair.cosine for pair in found} == {
        pair: pytest.approx(value, abs=1e-5) for pair, value in wanted.items()
    }
    assert [pair.cosine for pair in found] == sorted((pair.cosine for pair in found), reverse=True)


def test_crowded_passages_are_counted(client) -> None:
    """With one neighbour asked for, those of a, b and c are all above .99, and more may be."""
    reports = []
    list(client.similar_pairs(0.99, exact=False, neighbours=1, on_progress=reports.append))
    assert reports[-1].crowded > 0
    assert not reports[-1].exact


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 1.1}, "a threshold of 1.1"),
        ({"threshold": float("nan")}, "a threshold of nan"),
        ({"limit": 0}, "limit is 0"),
        ({"neighbours": 1001}, "neighbours is 1001"),
        ({"neighbors": 3}, "Did you mean neighbours"),
        ({"timeout": 0}, "a timeout of 0 s"),
    ],
    ids=["high", "nan", "limit", "neighbours", "name", "timeout"],
)
def test_bad_input_is_refused_at_once(client, options, said) -> None:
    """Before the first pair is asked for."""
    with pytest.raises(QueryError, match=said):
        client.duplicates(**options)


def test_an_index_without_vectors_is_refused(connection, index_name) -> None:
    """There is nothing to compare; an unknown field to filter on is named."""
    name = index_name()
    create_index(connection, name, IndexSchema(None, None))
    with pytest.raises(QueryError, match="holds no dense vectors"):
        SearchClient(name, connection=connection, settings=WORDS).duplicates()


def test_an_unknown_field_is_refused(client) -> None:
    """As in a search."""
    with pytest.raises(QueryError, match="cannot filter on 'colour'"):
        list(client.duplicates(filter="colour=red"))


def test_both_clients_find_the_same(client, index, engine_url) -> None:
    """One procedure, two drivers; the asynchronous one compares in a thread."""

    async def asked():
        async with (
            await connect_async(EngineSettings(url=engine_url)) as connection,
            AsyncSearchClient(index, connection=connection, settings=WORDS) as other,
        ):
            pairs = [pair async for pair in other.similar_pairs(0.99)]
            return pairs, [group async for group in other.duplicates(0.99)]

    pairs, groups = asyncio.run(asked())
    assert pairs == list(client.similar_pairs(0.99))
    assert groups == list(client.duplicates(0.99))
