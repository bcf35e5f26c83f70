"""Ids that come again in one source, and ids that are made of the content."""

from __future__ import annotations

import io
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError, SettingsError
from hybrid_search.read import documents
from hybrid_search.read.repeated import Repetitions, settled
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings

ROWS = [("a", "one"), ("b", "two"), ("a", "three"), ("c", "four"), ("a", "five")]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"_id": id_, "text": text}) + b"\n" for id_, text in ROWS))
    return path


RULES = {
    "first": ({"a": "one", "b": "two", "c": "four"}, (2, 0, "a")),
    "last": ({"b": "two", "c": "four", "a": "five"}, (2, 0, "a")),
    "number": ({"a": "one", "b": "two", "a-2": "three", "c": "four", "a-3": "five"}, (0, 2, "a")),
}


@pytest.mark.parametrize("rule", RULES)
def test_what_becomes_of_an_id_that_comes_again(source, rule):
    """The first stays, or the last, or all of them with numbers; and how many that were is known."""
    expected, counted = RULES[rule]
    found = Repetitions()
    read = documents(source, DocumentSettings(text=("text",), repeated_ids=rule), repetitions=found)
    assert {document.id: document.text for document in read} == expected
    assert (found.left_out, found.numbered, found.example) == counted


def test_without_a_rule_it_is_refused(source):
    """With the ways out."""
    with pytest.raises(RecordError, match=r"set documents.repeated_ids: first, last or number"):
        list(documents(source, DocumentSettings(text=("text",))))


def test_a_last_one_that_is_bad_does_not_cost_the_one_before(tmp_path):
    """What cannot be a document takes nobody's place."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "one"}\n{"_id": "a", "text": ""}\n')
    bad = []
    settings = DocumentSettings(text=("text",), repeated_ids="last")
    read = list(documents(path, settings, on_bad=lambda error, _data: bad.append(error)))
    assert ([document.text for document in read], len(bad)) == (["one"], 1)


def test_a_number_that_is_taken_is_passed_over(tmp_path):
    """No id is given twice, whatever the source's own are."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"_id": "{id_}", "text": "x"}}\n' for id_ in ("a", "a-2", "a")))
    read = documents(path, DocumentSettings(text=("text",), repeated_ids="number"))
    assert [document.id for document in read] == ["a", "a-2", "a-3"]


def test_a_pipe_cannot_keep_the_last(monkeypatch):
    """It is read once; said before anything is read."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(SettingsError, match=r"documents\.repeated_ids"):
        documents("-", DocumentSettings(repeated_ids="last"))


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_ids_are_unique_and_the_rule_keeps_its_own(ids):
    """Of each id the first or the last place is kept; numbered, all are."""
    given_documents = [Document(id_, str(place)) for place, id_ in enumerate(ids)]

    def by(rule):
        return {d.id: int(d.text) for d in settled(given_documents, rule, lambda: given_documents, Repetitions())}

    assert by("first") == {id_: ids.index(id_) for id_ in ids}
    assert by("last") == {id_: len(ids) - 1 - ids[::-1].index(id_) for id_ in ids}
    assert sorted(by("number").values()) == list(range(len(ids)))


def test_an_id_made_of_the_content(tmp_path):
    """Equal records have equal ids in any order of their fields, others have others; every field is stored."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "text": "x"}\n{"text": "x", "id": 1}\n{"id": 2, "text": "x"}\n')
    settings = DocumentSettings(text=("text",), id="id", id_from="content", repeated_ids="first")
    first, second = documents(path, settings)
    assert first.id != second.id
    assert (len(first.id), first.fields, second.fields) == (32, {"id": 1}, {"id": 2})
    assert [document.id for document in documents(path, settings)] == [first.id, second.id]
