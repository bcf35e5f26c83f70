"""Boosts, pinned documents, variety and passages on the command line."""

from __future__ import annotations

import json

import pytest
from test_search_commands import invoke  # noqa: F401 - a fixture

from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.records import Document, EncodedPassage, IndexSchema, Passage

SCHEMA = IndexSchema(None, None, keyword_fields=("brand",), number_fields=("sold",), date_fields=("published",))
FIELDS = {
    "a": {"brand": "Apex", "sold": 9, "published": "2024-05-31"},
    "b": {"brand": "Apex", "sold": 99, "published": "2024-05-01"},
    "c": {"brand": "Bolt", "sold": 0},
    "d": {"brand": "Coil"},
}


@pytest.fixture
def index(opensearch, new_names) -> str:
    """Three lamps of two passages, and a chair."""
    name = new_names(opensearch)
    create_index(opensearch, name, SCHEMA)
    lines = b""
    for id_, fields in FIELDS.items():
        text = "cosy chair" if id_ == "d" else "red lamp\nlamp of brass"
        cut = text.index("\n") if "\n" in text else len(text)
        document = Document(id_, text, fields)
        passages = [Passage(document, 0, 0, cut), *([Passage(document, 1, cut + 1, len(text))] if id_ != "d" else [])]
        for passage in passages:
            lines += index_action(name, EncodedPassage(passage, None, None), opensearch.dialect, SCHEMA)
    assert not opensearch.send(bulk_request(lines))["errors"]
    refresh(opensearch, name)
    return name


def found(invoke, *arguments) -> dict:  # noqa: F811 - the fixture
    result = invoke("search", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_boosts_and_pins(invoke, index) -> None:  # noqa: F811
    """b: 1 + ln 100 / ln 100 = 2, a: 1 + ln 10 / ln 100 = 1.5; d is pinned though it is no lamp, c buried."""
    hits = found(invoke, index, "lamp", "--boost", "log1p:sold,99", "--pin", "d", "--bury", "c")["hits"]
    assert [(hit["id"], hit["placed"]) for hit in hits] == [
        ("d", "pinned-unfound"),
        ("b", None),
        ("a", None),
        ("c", "buried"),
    ]
    assert [hit["boosts"] for hit in hits[1:3]] == [{"log1p:sold": 2}, {"log1p:sold": 1.5}]
    shown = invoke("search", index, "lamp", "--boost", "log1p:sold,99", "--pin", "d", "--explain")
    assert "pinned: stands first, though no leg found it" in shown.output
    assert "x 2.000" in shown.output
    assert "(log1p:sold)" in shown.output


def test_rules_of_the_settings(invoke, index, tmp_path) -> None:  # noqa: F811
    """They hold for every search; what is given with one stands in their place."""
    settings = tmp_path / "rules.toml"
    settings.write_text('[search]\nboosts = ["fresh:published,30d,origin=2024-05-31"]\nbury = ["a"]\n')
    hits = found(invoke, index, "lamp", "--settings", settings)["hits"]
    assert [(hit["id"], round(hit["boosts"]["fresh:published"], 3)) for hit in hits] == [("b", 1.5), ("c", 1), ("a", 2)]
    hits = found(invoke, index, "lamp", "--settings", settings, "--bury", "b")["hits"]
    assert [hit["id"] for hit in hits] == ["a", "c", "b"]


def test_variety_and_passages(invoke, index) -> None:  # noqa: F811
    """One of each brand; the second passage of each; the sum of both ranks as one does, for all are alike."""
    hits = found(invoke, index, "lamp", "--max-per", "brand=1", "--show-passages", "2", "--collapse", "sum:2")["hits"]
    assert [hit["id"] for hit in hits] == ["a", "c"]
    assert [[passage["id"] for passage in hit["passages"]] for hit in hits] == [["a#1"], ["c#1"]]
    shown = invoke("search", index, "lamp", "--show-passages", "1")
    assert "+ a#1  lamp of brass" in shown.output
    assert [hit["passage_id"] for hit in found(invoke, index, "brass", "--collapse", "first")["hits"]] == []
    ranked = found(invoke, index, "lamp", "--passages", "-k", "2")["hits"]
    assert [hit["passage_id"] for hit in ranked] == ["a#0", "a#1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--boost", "frsh:published,30d"], "Did you mean fresh"),
        (["--boost", "fresh:publishd,30d"], "Did you mean published"),
        (["--boost", "fresh:sold,30d"], "is no date, but a number"),
        (["--pin", "a", "--bury", "a"], "pinned and buried"),
        (["--diversity", "1.5"], "a diversity of 1.5"),
        (["--diversity", "0.5"], "holds none"),
        (["--max-per", "brnd=2"], "Did you mean brand"),
        (["--max-per", "brand=0"], "at most 0"),
        (["--collapse", "sum"], "unknown collapse"),
        (["--collapse", "best", "--passages"], "Leave one out"),
        (["--show-passages", "2", "--passages"], "no further ones"),
        (["--set", "search.boosts=['log1p:sold']"], "search.boosts"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(invoke, index, options, said) -> None:  # noqa: F811
    """In one line, with status 2."""
    result = invoke("search", index, "lamp", *options)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
