"""``hybrid-search why-not`` on a real engine, and what is known of a document that is not in an index."""

from __future__ import annotations

import json

import pytest
from by_words import filled_by_words
from typer.testing import CliRunner

from hybrid_search.absence import LookedInto, known_of
from hybrid_search.cli.app import app
from hybrid_search.errors import HybridSearchError, RecordError
from hybrid_search.ingest.state.bad_records import BadRecords
from hybrid_search.ingest.state.letters import DeadLetters, LetterOrigin
from hybrid_search.ingest.work import Refusal
from hybrid_search.records import Document
from hybrid_search.settings import DocumentSettings, Settings

TEXTS = {
    "strptime": "Parse a date from a string.",
    "zlib": "Compress bytes.",
    "sorted": "Sort by date, a date is a key.",
}


@pytest.fixture
def index(opensearch, new_names) -> str:
    """Three documents with a kind, found by their words alone."""
    return filled_by_words(opensearch, new_names(opensearch), TEXTS)


@pytest.fixture
def invoke(opensearch_url, tmp_path):
    """The command line, with the test's server in its environment and a state folder of its own."""

    def run(*arguments):
        environment = {"HYBRID_SEARCH_URL": opensearch_url, "COLUMNS": "120", "XDG_STATE_HOME": str(tmp_path)}
        return CliRunner().invoke(app, [str(a) for a in arguments], env=environment)

    return run


def test_the_panel_says_what_removes_a_document(invoke, index) -> None:
    """The condition and the value that the document has."""
    result = invoke("why-not", index, "parse a date", "zlib", "--filter", "kind=function")
    assert result.exit_code == 0
    assert "The filter removes it: kind=function" in result.output
    assert "kind=function removes it: kind is class" in result.output
    assert "lacks parse" in result.output
    assert "stop word a" in result.output


def test_json_has_the_record(invoke, index) -> None:
    """One object, with the reason as a code."""
    found = json.loads(invoke("why-not", index, "date", "strptime", "-k", 1, "--json").output)
    assert found["reason"] == "below-page"
    assert found["rank"] == 2
    assert found["last_hit"]["id"] == "sorted"


def test_rules_limits_and_queries_are_those_of_the_search(invoke, index) -> None:
    """sorted is the one function that may be listed; pinned it is strptime that may not, and only zlib compresses."""

    def why(*arguments):
        return json.loads(invoke("why-not", index, "date", "strptime", "-k", 1, "--json", *arguments).output)

    assert why("--max-per", "kind")["reason"] == "left-out"
    pinned = why("--max-per", "kind", "--pin", "strptime", "--collapse", "first")
    assert (pinned["reason"], pinned["document"]["placed"]) == ("on-page", "pinned")
    assert why("--bm25-query", '{"match": {"text": "compress"}}')["reason"] == "not-found"
    assert why("--bury", "sorted", "--phrase", ".5", "--text-weights", "text=2")["rank"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("date", ""), "an id of 0 bytes"),
        (("", "zlib"), "the query is empty"),
        (("date", "x" * 505), "an id of 505 bytes"),
        (("date", "zlib", "-k", "0"), "k is 0"),
        (("date", "zlib", "--source", "/no/such"), "no such file or folder"),
    ],
    ids=["no-id", "no-query", "long-id", "no-hits", "no-source"],
)
def test_bad_input_is_refused_before_anything_is_sent(invoke, arguments, said) -> None:
    """The index of the call does not exist, and nobody asks for it."""
    result = invoke("why-not", "no-such-index", *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_an_absent_document_is_looked_for_elsewhere(invoke, index, tmp_path) -> None:
    """A source has it, or has it not."""
    source = tmp_path / "docs.jsonl"
    source.write_text('{"_id": "gzip", "text": "Read files."}\n{"_id": "bz2", "text": "Read others."}\n')
    found = invoke("why-not", index, "files", "gzip", "--source", source)
    assert "gzip is not in the index" in found.output
    assert "it is in the source" in found.output
    other = json.loads(invoke("why-not", index, "files", "lzma", "--source", source, "--json").output)
    assert other["known"] == [f"it is not in the source {source}, which has 2 documents"]


def test_dead_letters_and_bad_records_are_known(tmp_path, monkeypatch) -> None:
    """A refused document of this index, not of another; a record that was left out, by its id."""
    monkeypatch.setattr("hybrid_search.absence.state_folder", lambda: tmp_path)
    for index in ("docs", "others"):
        origin = LetterOrigin("file", 1, index, f"uuid-{index}", "http://x")
        letters = DeadLetters(tmp_path / f"{index}.dead-letters.jsonl", origin)
        letters.write([Refusal(Document("d1", "text"), "d1#0", 400, "mapper", f"no room in {index}")])
        letters.close()
    bad = BadRecords(tmp_path / "bad.jsonl", resumes=False)
    bad.record(RecordError("no text", where="file:7"), b'{"id": "d1"}')
    bad.record(RecordError("no text", where="file:8"), b'{"id": "d11"}')
    bad.close()
    settings = Settings(documents=DocumentSettings())
    said = known_of("d1", "docs", LookedInto(settings, bad=tmp_path / "bad.jsonl"))
    assert [line.split(": ")[1].split(" (")[0] for line in said] == ["no room in docs", "no text"]
    assert "file:7" in said[1]
    assert known_of("d2", "docs", LookedInto(settings)) == ()


def test_a_file_that_is_named_must_be_one(tmp_path) -> None:
    """A file of another kind is no file of bad records."""
    (tmp_path / "x").write_text("hello")
    with pytest.raises(HybridSearchError, match="not a file that hybrid-search has made"):
        known_of("d", "docs", LookedInto(Settings(), bad=tmp_path / "x"))
