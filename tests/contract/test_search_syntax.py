"""The signs that people type, on real engines: what they keep, what they leave out, and that no text is an error."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from generated import SCHEMA, filled, passages
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search_alias import VectorsOfText

from hybrid_search.engine.indices import delete_index
from hybrid_search.records import Passage
from hybrid_search.search import SearchClient
from hybrid_search.settings import Settings

TEXTS = {
    "desk": "a lamp for the desk, quiet and warm",
    "lamp": "a desk lamp that is loud",
    "toy": "a toy for children with a desk lamp",
    "keys": "a mechanical keyboard, programmed by programmers",
}


@pytest.fixture(scope="module")
def client(connection):
    """Four documents; the first two cost 0 and 0.5."""
    batch = [
        replace(one, passage=Passage(replace(one.passage.document, id=id_, text=text), 0, 0, len(text)))
        for one, (id_, text) in zip(passages(len(TEXTS)), TEXTS.items(), strict=True)
    ]
    name = filled(connection, f"test-query-syntax-{uuid4().hex[:12]}", batch, SCHEMA)
    with SearchClient(name, connection=connection, encoder=VectorsOfText(), settings=Settings()) as opened:
        yield opened
    delete_index(connection, name)


CASES = {
    '"desk lamp"': {"lamp", "toy"},
    'warm "desk lamp"': {"lamp", "toy"},
    "lamp -toy": {"desk", "lamp"},
    'lamp -"desk lamp"': {"desk"},
    "lamp price:0.5": {"lamp"},
    "lamp -price:0.5": {"desk", "toy"},
    "lamp price:<0.5": {"desk"},
    "lamp price:>=0.5": {"lamp", "toy"},
    "lamp -price:>=1": {"desk", "lamp"},
    "lamp brand:S*": {"desk"},
    'lamp brand:"S*"': set(),
    "lamp published:<=2024-02": {"desk", "lamp"},
    "lamp published:<now-1d": {"desk", "lamp", "toy"},
    "progr*": {"keys"},
    "kyeboard~": {"keys"},
    "mehcanical~": {"keys"},
    "kyeboard": set(),
    'loud "lamp': {"desk", "lamp", "toy"},
}


@pytest.mark.parametrize(("text", "expected"), CASES.items(), ids=CASES)
def test_signs_mean_what_people_mean(client, text, expected) -> None:
    """By words alone; what stands in the filter holds for the other legs too."""
    found = client.search(text, legs=["bm25"], syntax="simple")
    assert {hit.id for hit in found} == expected


def test_quotes_and_dashes_hold_in_every_leg(client) -> None:
    """The graph search would find all four."""
    everything = client.search("0 lamp", legs=["dense"], syntax="simple")
    assert {hit.id for hit in everything} == set(TEXTS)
    for legs in (["dense"], ["sparse"], None):
        found = client.search('0 "desk lamp" -toy', legs=legs, syntax="simple")
        assert {hit.id for hit in found} <= {"lamp"}
    assert {hit.id for hit in client.search('0 "desk lamp" -toy', legs=["dense"], syntax="simple")} == {"lamp"}


def test_a_phrase_of_stop_words_does_not_empty_the_page(client) -> None:
    """The analyzer leaves nothing of it, so that nothing could hold it."""
    found = client.search('lamp "the and"', legs=["bm25"], syntax="simple")
    assert {hit.id for hit in found} == {"desk", "lamp", "toy"}


TYPED = st.text(min_size=1) | st.text(alphabet='lamp -":*~\\', min_size=1)


@settings(max_examples=25)
@given(text=TYPED.filter(str.strip))
def test_no_text_is_an_error(client, text) -> None:
    """Whatever is typed, both engines take what is made of it."""
    assert not client.search(text, legs=["bm25"], syntax="simple").degraded
