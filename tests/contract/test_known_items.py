"""Queries made from a real index's own documents, and what tuning says of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from generated import SCHEMA, filled, passages, terms, unit
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode.protocols import EncodedTexts
from hybrid_search.errors import InputError
from hybrid_search.evaluate.known_items import first_sentence, known_items
from hybrid_search.search import SearchClient
from hybrid_search.settings import SearchSettings, Settings

BM25_ALONE = Settings(search=SearchSettings(legs=("bm25",)))


def titled(one, number):
    """Even documents have a title of two words, one of which is in no text; the titles of 0 and 2 are the same."""
    title = "river no2" if number in {0, 2} else f"{one.passage.text.split()[0]} no{number}"
    fields = {**one.passage.document.fields, **({} if number % 2 else {"title": title})}
    return replace(one, passage=replace(one.passage, document=replace(one.passage.document, fields=fields)))


@pytest.fixture
def index(connection, index_name) -> str:
    return filled(connection, index_name(), [titled(one, n) for n, one in enumerate(passages(30))])


def test_a_document_is_asked_for_by_its_title(connection, index) -> None:
    """13 titles that no other has, half of whose words stand in the text; 15 first sentences, all of whose do."""
    client = SearchClient(index, connection=connection, settings=BM25_ALONE)
    found = known_items(client, connection, 100)
    texts = {str(query.id): query.text for query in found.queries}
    assert found.titles == 13
    assert len(texts) == 28
    assert not {"doc-0", "doc-2"} & set(texts)
    assert texts["doc-4"].endswith(" no4")
    assert found.words_in_text == pytest.approx((13 * 0.5 + 15 * 1) / 28)
    assert found.qrels["doc-4"] == {"doc-4": 1}
    assert known_items(client, connection, 100) == found
    assert len(known_items(client, connection, 12).queries) == 12
    with pytest.raises(InputError, match="9 known items"):
        known_items(client, connection, 9)


def test_tuning_by_known_items_says_so(index, engine_url, tmp_path, monkeypatch) -> None:
    """In the title of the table, in the notes, in JSON and in the report; settings are not written by them."""
    monkeypatch.setattr("hybrid_search.search.searcher.load_encoder", lambda *_, **__: Lengths())
    given = ["tune", index, "--known-items", "20", "--url", engine_url]
    page = tmp_path / "report.html"
    shown = CliRunner().invoke(app, [*given, "--html", str(page)], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert "Tuning by 20 known items (made from the index, judged by nobody)" in page.read_text()
    assert "20 KNOWN ITEMS (made from the index, judged by nobody)" in shown.stdout
    assert "flatters" in shown.stdout
    found = json.loads(CliRunner().invoke(app, [*given, "--json"]).stdout)
    assert found["known_items"]["queries"] == 20
    refused = CliRunner().invoke(app, [*given, "--write", str(tmp_path / "new.toml")])
    assert (refused.exit_code, "not chosen by known items" in refused.output) == (2, True)
    nothing = CliRunner().invoke(app, given[:2])
    assert (nothing.exit_code, "--known-items 200" in nothing.output) == (2, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nA lamp. For reading.", "A lamp."),
        ("Version 1.5 is out! Really.", "Version 1.5 is out!"),
        ("no stop", "no stop"),
        ("", ""),
        ("word " * 100, ("word " * 40).strip()),
    ],
    ids=["two", "number", "none", "empty", "long"],
)
def test_the_first_sentence_of_a_text(text: str, expected: str) -> None:
    """Up to its full stop, on the first line, cut at 200 characters."""
    assert first_sentence(text) == expected


class Lengths:
    """An encoder that knows nothing of a text but its length."""

    dense, sparse, max_tokens, tokenizer = SCHEMA.dense, SCHEMA.sparse, 100, None

    def encode_queries(self, texts):
        drawn = [np.random.default_rng(len(text)) for text in texts]
        return EncodedTexts(np.stack([unit(random) for random in drawn]), [terms(random) for random in drawn])
