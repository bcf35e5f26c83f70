"""``hybrid-search more-like`` and ``duplicates`` on a real engine; no model is loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.bulk import bulk_request, index_action
from hybrid_search.engine.indices import create_index, refresh
from hybrid_search.records import Document, EncodedPassage, Fingerprint, IndexSchema, Passage
from hybrid_search.search import SearchClient

SCHEMA = IndexSchema(
    dense=Fingerprint(kind="dense", name="no-such-model", weights="0", dimension=2),
    sparse=None,
    keyword_fields=("kind",),
)
TEXTS = {"a": ("green tea", 0), "b": ("green tea leaves", 5), "c": ("black coffee beans", 90), "d": ("coffee", 91)}


@pytest.fixture
def index(opensearch, new_names) -> str:
    """Four documents by a model that is not on this machine."""
    name = new_names(opensearch)
    create_index(opensearch, name, SCHEMA)
    lines = b""
    for id_, (text, degrees) in TEXTS.items():
        radians = np.radians(degrees)
        vector = np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)
        passage = Passage(Document(id_, text, {"kind": "tea" if "tea" in text else "coffee"}), 0, 0, len(text))
        lines += index_action(name, EncodedPassage(passage, vector, None), opensearch.dialect, SCHEMA)
    assert not opensearch.send(bulk_request(lines))["errors"]
    refresh(opensearch, name)
    return name


@pytest.fixture
def invoke(opensearch_url):
    """The command line, with the test's server in its environment."""

    def run(*arguments):
        environment = {"HYBRID_SEARCH_URL": opensearch_url, "COLUMNS": "100"}
        return CliRunner().invoke(app, [str(a) for a in arguments], env=environment)

    return run


def test_more_like_prints_a_table_and_ids(invoke, index) -> None:
    """As a search does, filtered as a search is."""
    assert "green tea leaves" in invoke("more-like", index, "a").output
    assert invoke("more-like", index, "a", "--format", "ids", "-k", 1).output == "b\n"
    assert invoke("more-like", index, "a", "--format", "ids", "-f", "kind=coffee", "-k", 1).output == "c\n"


def test_rules_and_facets_are_those_of_a_search(invoke, index) -> None:
    """d is pinned, one of each kind may be listed, and the candidates are all but the document itself."""
    found = json.loads(
        invoke("more-like", index, "a", "--json", "--pin", "d", "--max-per", "kind", "--facet", "kind").output
    )
    assert [hit["id"] for hit in found["hits"]] == ["d", "b"]
    counts = {value["value"]: value["count"] for value in found["facets"]["kind"]["values"]}
    assert counts == {"coffee": 2, "tea": 1}


def test_vectors_are_compared_exactly_on_request(invoke, index, monkeypatch) -> None:
    """The option reaches the search."""
    asked = []
    monkeypatch.setattr(SearchClient, "more_like", lambda *_, **options: asked.append(options["exact"]))
    for given in ([], ["--exact"]):
        invoke("more-like", index, "a", *given)
    assert asked == [False, True]


def test_an_unknown_document_is_an_error(invoke, index) -> None:
    """One line, with status 2."""
    result = invoke("more-like", index, "aa")
    assert result.exit_code == 2
    assert "no document has the id 'aa'. Did you mean 'a'" in result.output


def test_duplicates_print_groups_and_pairs(invoke, index) -> None:
    """Coffee is 1 degree apart, tea 5."""
    table = invoke("duplicates", index, "--threshold", 0.99)
    assert table.exit_code == 0
    assert table.stdout.index("0.9998  2 documents") < table.stdout.index("0.9962  2 documents")
    assert "c  black coffee beans" in table.stdout
    assert "4 passages compared all with all: 2 pairs" in table.stderr
    assert invoke("duplicates", index, "--threshold", 0.99, "--format", "ids").stdout == "c\td\na\tb\n"
    lines = invoke("duplicates", index, "--threshold", 0.99, "--format", "json").stdout.splitlines()
    assert invoke("duplicates", index, "--threshold", 0.99, "--json").stdout.splitlines() == lines
    assert [json.loads(line)["ids"] for line in lines] == [["c", "d"], ["a", "b"]]
    pairs = invoke("duplicates", index, "--threshold", 0.999, "--format", "tsv", "--graph").stdout.splitlines()
    assert pairs[1].split("\t")[1:] == ["c", "d", "c#0", "d#0"]
    assert "no two documents are so alike" in invoke("duplicates", index, "--threshold", 1).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--threshold", "2"), "a threshold of 2"),
        (("--limit", "0"), "limit is 0"),
        (("--neighbours", "0"), "neighbours is 0"),
        (("--format", "xml"), "unknown format 'xml'"),
        (("--filter", "price"), "price"),
    ],
    ids=["threshold", "limit", "neighbours", "format", "filter"],
)
def test_bad_input_is_refused_before_anything_is_sent(invoke, arguments, said) -> None:
    """The index of the call does not exist, and nobody asks for it."""
    result = invoke("duplicates", "no-such-index", *arguments)
    assert result.exit_code == 2
    assert said in result.output
