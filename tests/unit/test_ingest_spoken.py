"""Loads say when their models do not read the language of the texts."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from loading import DENSE, SPARSE

from hybrid_search.ingest.stages.prepare import Checking
from hybrid_search.ingest.work import Batch
from hybrid_search.records import Document, IndexSchema
from hybrid_search.settings import DENSE_MODEL, ChunkingSettings

GERMAN = "Die alten Häuser am Fluss wurden im letzten Sommer renoviert und neu gestrichen, Nummer {}."
ENGLISH = "The old houses by the river were renovated and painted again last summer, number {}."
SAID = f"the texts are de 100%, and dense.model {DENSE_MODEL} reads English alone. For many languages"


def notes(texts, *, model=DENSE_MODEL, batch=64, vectors=False):
    """What the check of a load says of them."""
    schema = IndexSchema(replace(DENSE, name=model), SPARSE)
    check = Checking(schema, ChunkingSettings(), lambda _: True, keeps_bad=False)
    items = [
        (n, Document(f"d{n}", text.format(n), sparse={"1": 1.0} if vectors else None)) for n, text in enumerate(texts)
    ]
    for first in range(0, len(items), batch):
        part = items[first : first + batch]
        check(Batch(first, first + len(part), part))
    return check.notes()


def test_a_load_of_german_under_an_english_model(caplog) -> None:
    """It is a warning while the load goes on, once, and a note of its report."""
    (note,) = notes([GERMAN] * 300)
    assert note.startswith(SAID)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, note)]


def test_a_short_load_says_it_in_its_report(caplog) -> None:
    """Three texts are too few to interrupt anybody for."""
    (note,) = notes([GERMAN] * 3)
    assert note.startswith(SAID)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("texts", "given"),
    [
        ([ENGLISH] * 64, {}),
        ([ENGLISH] * 9 + [GERMAN], {}),
        (["Haus {}", "Häuser {}"] * 50, {}),
        ([GERMAN] * 64, {"model": "intfloat/multilingual-e5-small"}),
        ([GERMAN] * 64, {"vectors": True}),
        ([], {}),
    ],
    ids=["english", "a tenth", "short", "many languages", "carried vectors", "nothing"],
)
def test_nothing_is_said(texts, given, caplog) -> None:
    """Of English texts, of few others, of texts too short to tell, and where the model is another's."""
    assert notes(texts, **given) == []
    assert caplog.records == []
