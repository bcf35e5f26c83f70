"""Facets on real engines: every count is what counting by hand says, of candidates, of a filter, of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.engine import Connection
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, delete_index, refresh
from hybrid_search.errors import UnsupportedError
from hybrid_search.filters import And, Eq, Filter, In, Range, parse
from hybrid_search.found import FacetCounts
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage, Query
from hybrid_search.search import LegQuery, SearchClient, SearchLeg
from hybrid_search.search.facets import Dates, Facet, MinMax, Ranges, Terms
from hybrid_search.search.leg import Asking
from hybrid_search.settings import SearchSettings, Settings

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="circle", weights="0", dimension=2),
    sparse=None,
    keyword_fields=("brand", "tags"),
    number_fields=("price",),
    date_fields=("day",),
)
BRANDS = ("Sony", "Canon", "Ünder", 'Quo"te', None)
WORDS = ("lamp", "desk", "chair", "oak")
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Item:
    """A document of one to three passages, each of which has some of the words."""

    id: str
    passages: Sequence[str]
    fields: Mapping[str, Any]
    angle: float


def _items() -> list[Item]:
    random = Random(16)
    made = []
    for number in range(90):
        fields = {
            "brand": random.choice(BRANDS),
            "tags": random.sample(["sale", "new", "pro", "kids"], random.randint(0, 3)),
            "price": random.choice([None, 5, 9.5, 10, 10.0, 49.99, 50, 120]),
            "day": random.choice([None, "2024-03-31T00:30:00Z", "2024-03-30T23:30:00Z", "1890-05-01", "2023-12-31", 0]),
        }
        passages = [
            " ".join(random.sample(WORDS, random.randint(0, 2))) or "plain" for _ in range(random.randint(1, 3))
        ]
        held = {name: value for name, value in fields.items() if value not in (None, [])}
        made.append(Item(f"d{number:02}", passages, held, random.uniform(0, 90)))
    return made


ITEMS = _items()


class CircleEncoder:
    """Every query is at angle 0."""

    dense = SCHEMA.dense
    sparse = None
    max_tokens = 100
    tokenizer = None

    def encode_queries(self, texts):
        return EncodedTexts(np.stack([_at(0)] * len(texts)), None)

    encode_documents = encode_queries


def _at(degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


@pytest.fixture(scope="module")
def client(connection: Connection) -> Iterator[SearchClient]:
    """A client of an index of :data:`ITEMS`, of which the tests only read."""
    name = f"facets-by-hand-{id(connection):x}-{datetime.now(UTC):%H%M%S%f}"
    create_index(connection, name, SCHEMA)
    try:
        lines = b"".join(
            index_action(name, encoded, connection.dialect, SCHEMA) for item in ITEMS for encoded in _encoded(item)
        )
        assert not connection.send(bulk_request(lines))["errors"]
        refresh(connection, name)
        yield SearchClient(name, connection=connection, encoder=CircleEncoder(), settings=Settings())
    finally:
        delete_index(connection, name)


def _encoded(item: Item) -> Iterator[EncodedPassage]:
    document = Document(item.id, "\n".join(item.passages), item.fields)
    start = 0
    for number, text in enumerate(item.passages):
        yield EncodedPassage(Passage(document, number, start, start + len(text)), _at(item.angle + number), None)
        start += len(text) + 1


# ------------------------------------------------------------------------------------------------ counting by hand


def _values(item: Item, field: str) -> list[Any]:
    value = item.fields.get(field, [])
    values = value if isinstance(value, list) else [value]
    return [_date(value) if field == "day" else value for value in values]


def _date(value: str | int) -> datetime:
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC)
    read = datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _passes(item: Item, condition: Filter | None) -> bool:
    match condition:
        case None:
            return True
        case And(parts):
            return all(_passes(item, part) for part in parts)
        case Eq(field, value):
            return value in _values(item, field)
        case In(field, values):
            return any(value in values for value in _values(item, field))
        case Range(field, lt=below):
            return any(value < below for value in _values(item, field))
    raise AssertionError(condition)


def _about(condition: Filter | None, field: str) -> Filter | None:
    """The condition without its parts on ``field``."""
    parts = condition.parts if isinstance(condition, And) else [] if condition is None else [condition]
    return And(tuple(part for part in parts if part.field != field))


def _month(moment: datetime) -> str:
    return f"{moment.astimezone(BERLIN):%Y-%m}"


def _by_hand(facet: Facet, items: Sequence[Item]) -> dict[Any, int]:
    """Documents by value; the first of terms alone are compared, others are counted in ``others``."""
    counts: Counter[Any] = Counter()
    for item in items:
        values = _values(item, facet.field)
        match facet:
            case Terms():
                counts.update(set(values))
            case Ranges():
                counts.update({"<10" if v < 10 else "10..50" if v < 50 else ">=50" for v in values})
            case Dates():
                counts.update({_month(value) for value in values})
    return dict(counts)


def _check(found: FacetCounts, facet: Facet, items: Sequence[Item]) -> None:
    expected = _by_hand(facet, items)
    assert found.documents == len(items)
    assert found.missing == sum(not _values(item, facet.field) for item in items)
    shown = {value.value: value.count for value in found.values if value.count}
    if isinstance(facet, Terms):
        first = sorted(expected, key=lambda value: (-expected[value], value))[: facet.size]
        listed = {value.value: expected.get(value.value, 0) for value in found.values if value.selected}
        wanted = {value: expected[value] for value in first} | {v: n for v, n in listed.items() if n}
        assert found.others in {None, sum(expected.values()) - sum(wanted.values())}
        expected = wanted
    if isinstance(facet, MinMax):
        held = [value for item in items for value in _values(item, facet.field)]
        assert (found.minimum, found.maximum) == ((min(held), max(held)) if held else (None, None))
    assert shown == expected


FACETS = st.lists(
    st.sampled_from(
        [
            Terms("brand", 3, name="brands"),
            Terms("tags", name="labels"),
            Terms("price", 2, name="prices"),
            Ranges("price", (10, 50), name="ranges"),
            Dates("day", "month", "Europe/Berlin", name="months"),
            MinMax("price", name="span"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
CONDITIONS = st.lists(
    st.sampled_from(
        [
            Eq("brand", "Canon"),
            In("brand", ("Sony", 'Quo"te')),
            Range("price", lt=50),
            Eq("tags", "sale"),
            Eq("price", 10),
        ]
    ),
    max_size=3,
    unique=True,
)
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2, unique=True).map(" ".join)


def _together(conditions: Sequence[Filter]) -> Filter | None:
    return And(tuple(conditions)) if conditions else None


@settings(max_examples=25)
@given(facets=FACETS, conditions=CONDITIONS, text=TEXTS)
def test_all_that_passes_a_filter_is_counted(client, facets, conditions, text) -> None:
    """Whatever the query is; without the conditions on the facet's own field; exactly."""
    condition = _together(conditions)
    asked = [replace(one, counts="filter") for one in facets]
    result = client.search(text, facets=asked, filter=condition)
    for facet in asked:
        found = result.facets[facet.called]
        _check(found, facet, [item for item in ITEMS if _passes(item, _about(condition, facet.field))])
        assert found.exact
        assert found.without_own_filter == any(one.field == facet.field for one in conditions)


@settings(max_examples=25)
@given(facets=FACETS, conditions=CONDITIONS, text=TEXTS)
def test_documents_of_which_any_passage_has_a_word_are_counted(client, facets, conditions, text) -> None:
    """Documents, not passages: the engine tells them apart."""
    condition = _together(conditions)
    asked = [replace(one, counts="bm25") for one in facets]
    result = client.search(text, facets=asked, filter=condition)
    holding = [item for item in ITEMS if set(text.split()) & set(" ".join(item.passages).split())]
    for facet in asked:
        passing = [item for item in holding if _passes(item, _about(condition, facet.field))]
        _check(result.facets[facet.called], facet, passing)
        assert result.facets[facet.called].counts == "bm25"


@settings(max_examples=25)
@given(facets=FACETS, conditions=CONDITIONS, text=TEXTS, collapse=st.booleans())
def test_candidates_are_the_documents_of_the_list(client, facets, conditions, text, collapse) -> None:
    """What all pages together show, with the conditions on other fields alone, is what was counted."""
    condition = _together(conditions)
    options: dict[str, Any] = {"window": 20, "collapse": collapse, "candidates": 20}
    result = client.search(text, k=5, facets=facets, filter=condition, **options)
    by_id = {item.id: item for item in ITEMS}
    for facet in facets:
        drawn = client.retrieve([text], filter=_about(condition, facet.field), **options)[0]
        ids = {id_ if collapse else id_.rpartition("#")[0] for run in drawn.runs.values() for id_ in run}
        _check(result.facets[facet.called], facet, [by_id[id_] for id_ in ids])
        assert result.facets[facet.called].counts == "candidates"


@pytest.mark.parametrize("counts", ["candidates", "filter", "bm25"])
def test_what_narrows_to_a_value_does(client, counts) -> None:
    """The text of each value's filter is one, and finds as many documents as were counted."""
    facets = [
        Terms("brand", counts=counts),
        Ranges("price", [10, 50], counts=counts),
        Dates("day", "week", "Europe/Berlin", counts=counts),
    ]
    result = client.search("lamp desk", facets=facets, legs=["bm25"])
    assert len(result.facets) == 3
    for value in (value for found in result.facets.values() for value in found.values if value.count):
        narrowed = client.search("lamp desk", filter=value.filter, facets=[Terms("tags", counts=counts)], legs=["bm25"])
        assert narrowed.facets["tags"].documents == value.count, value
        assert parse(value.filter) is not None


def test_facets_come_without_a_request_of_their_own(client, connection, monkeypatch) -> None:
    """Two requests: the legs, also without a condition; and the passages, with the aggregations."""
    sent = []
    send = connection.transport.send
    monkeypatch.setattr(type(connection.transport), "send", lambda _, request: sent.append(request) or send(request))
    facets = ["brand", "price:10,50", Terms("tags", counts="filter"), Dates("day", "year", counts="bm25")]
    result = client.search("oak desk", facets=facets, filter="brand=Sony|Canon")
    assert list(result.facets) == ["brand", "price", "tags", "day"]
    assert [request.path.rpartition("/")[2] for request in sent] == ["_msearch", "_msearch"]


def test_a_query_without_hits_is_counted_too(client) -> None:
    """The filter's documents are there whatever the words find."""
    result = client.search("nowhere", legs=["bm25"], facets=[Terms("brand", counts="filter"), "tags"])
    assert not result.hits
    assert result.facets["brand"].documents == len(ITEMS)
    assert result.facets["tags"].documents == 0


@pytest.mark.parametrize("options", [{"overlap": True}, {"fusion": "server"}], ids=["overlap", "server"])
def test_every_query_of_a_batch_has_its_own_facets(client, options) -> None:
    """Of each as of it alone: under its filter, without its own conditions, whichever way the legs are asked."""
    if options.get("fusion") and not client._connection.dialect.capabilities.server_rrf:
        pytest.skip("no fusion by this server")
    changed = Settings(search=SearchSettings(**options))
    index = client.searcher.target.index
    other = SearchClient(index, connection=client._connection, encoder=CircleEncoder(), settings=changed)
    queries = [
        Query("lamp", filter=parse("brand=Sony")),
        Query("oak desk"),
        Query("chair", filter=parse("price<50 and tags=sale")),
    ]
    facets = ["brand", "price:10,50", Terms("tags", counts="filter"), MinMax("price", name="span", counts="bm25")]
    try:
        together = other.search_many(queries, facets=facets, highlight=True)
    except UnsupportedError:
        pytest.skip("this licence has no fusion by the server")
    for query, result in zip(queries, together, strict=True):
        alone = other.search(query, facets=facets, highlight=True)
        assert result.facets == alone.facets
        assert [hit.highlights for hit in result] == [hit.highlights for hit in alone]
        assert not result.warnings
    assert [result.facets["brand"].without_own_filter for result in together] == [True, False, False]


class Broken(SearchLeg):
    """A leg that no engine can read."""

    name = "bm25"
    part = "text"

    def ask(self, query: Query, asking: Asking) -> LegQuery:
        del query, asking
        return LegQuery(lambda _: {"query": {"nonsense": {}}})


def test_a_broken_leg_of_words_costs_what_it_would_have_told(client) -> None:
    """The hits of the other leg are there with their sentences, and its facets; what counts words is left out."""
    facets = ["brand", Terms("tags", counts="filter"), Terms("price", counts="bm25")]
    result = client.search("lamp", legs=[Broken(), "dense"], facets=facets, highlight=True)
    assert len(result) == 10
    assert all(hit.highlights for hit in result)
    assert list(result.facets) == ["brand", "tags"]
    assert result.degraded == {"bm25": "leg-failed", "facets": "facets-failed"}
