"""Options are judged before the cluster is asked and a model loaded."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.cli.checks import check_text

NOWHERE = "http://127.0.0.1:1"
"""Whoever asks the cluster before judging hears that nothing answers."""


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """The one line that a command is refused with, and its status 2; models, if asked for, cannot be loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs.jsonl").write_text('{"_id": "1", "text": "a"}\n')
    (tmp_path / "queries.tsv").write_text("q1\ta\n")
    (tmp_path / "qrels.tsv").write_text("q1\t1\t1\n")

    def run(*arguments: str, status: int = 2, stdin: bytes | None = None) -> str:
        result = CliRunner().invoke(app, [*arguments, "--url", NOWHERE], input=stdin, env={"HYBRID_SEARCH_URL": ""})
        assert "nothing answers" not in result.stderr
        assert (result.exit_code, result.stdout) == (status, ""), result.stderr
        (line,) = result.stderr.splitlines()
        return line.removeprefix("hybrid-search: ")

    return run


SEARCH = [
    (["-k", "0"], "--k: k is 0. Give a number from 1 to 10,000."),
    (["-k", "-1"], "--k: k is -1"),
    (["-k", "10001"], "--k: k is 10001"),
    (["--offset", "-1"], "--offset: offset is -1. Give a number from 0"),
    (["--offset", "9999", "-k", "2"], "--offset, --k: hits up to 10,001 are asked for"),
    (["--window", "0"], "--window: window is 0"),
    (["--window", "5", "-k", "6"], "--window: 6 hits from 0 reach beyond the 5 hits that each leg ranks"),
    (["--legs", "bm52"], "--legs: unknown leg 'bm52'. Did you mean 'bm25'?"),
    (["--legs", ","], "--legs: no leg is named"),
    (["--legs", "dense", "--weights", "dense=0"], "--legs: the weight of dense is 0"),
    (["--fusion", "rff"], "--fusion: unknown fusion 'rff'. Did you mean 'rrf'?"),
    (["--weights", "bm25=x"], "--weights: 'bm25=x' is no weight"),
    (["--weights", "foo=1"], "search.weights: must be one of bm25, dense, sparse, got 'foo'"),
    (["--weights", "bm25=nan"], "search.weights.bm25: must be at least 0, got nan"),
    (["--rank-constant", "-1"], "search.rank_constant: must be at least 0"),
    (["--syntax", "simpel"], "--syntax: unknown syntax 'simpel'. Did you mean 'simple'?"),
    (["--timeout", "inf"], "--timeout: a timeout of inf s. Give a number of seconds above 0, at most 86,400."),
    (["--timeout", "0"], "--timeout: a timeout of 0.0 s"),
    (["--legs", "foo"], "--legs: unknown leg 'foo'. There are: bm25, dense, sparse."),
    (["--filter", "price"], "a comparison is missing"),
    (["--format", "tvs"], "--format: unknown format 'tvs'. Did you mean tsv?"),
    (["--format", "ids", "--json"], "--json and --format ids are both given"),
    (["--format", "ids", "--explain"], "--explain: is for the table"),
    (["--set", "search.k=yes"], "override: search.k: expected a whole number"),
    (["--format", "ids", "--facet", "brand"], "--facet: is for the table and JSON, and not for ids"),
    (["--format", "tsv", "--highlight"], "--highlight: is for the table and JSON, and not for tsv"),
    (["--format", "md", "--show-passages", "2"], "--show-passages: is for the table and JSON, and not for md"),
    (["--facet-counts", "all"], "--facet-counts: it counts 'all'. It may count: candidates, filter, bm25."),
    (["--pin", ""], "pin: '' is no id"),
    (["--bury", "a", "--bury", "a"], "bury: an id is given twice"),
    (["--pin", "a", "--bury", "a"], "'a' is pinned and buried"),
    (["--max-per", "brand=0"], "max_per: at most 0 of one brand. Give a number of 1 or more."),
    (["--max-per", "brand=2", "--max-per", "brand=3"], "max_per: 'brand' is given twice"),
    (["--two-phase", "1"], "two_phase is 1.0. Give a share of the heaviest term, from 0 to below 1."),
    (["--two-phase", "nan", "--fusion", "server"], "two_phase is nan"),
    (["--text-weights", ""], "--text-weights: '' is no weight"),
    (["--text-weights", "title=1,title=2"], "--text-weights: a field is given twice"),
    (["--cursor", "abc"], "cursor: no cursor"),
    (["--cursor", ""], "cursor: no cursor"),
    (["--cursor", "A" * 60, "--offset", "3"], "cursor: given with an offset of 3"),
]


@pytest.mark.parametrize(("options", "message"), SEARCH, ids=[" ".join(options) for options, _ in SEARCH])
def test_a_search_is_judged_first(refused, options, message) -> None:
    """Numbers, names, weights, filters and forms, in one line."""
    assert message in refused("search", "i", "query", *options)


def test_a_query_is_judged_first(refused) -> None:
    """No text, and bytes that are none."""
    assert refused("search", "i", " ") == "the query is empty. Give at least one word."
    assert refused("search", "i", "caf\udce9").startswith("byte 4 of the query is no UTF-8")


def test_a_query_in_utf_8_is_read_in_any_locale() -> None:
    """Where Python has left its bytes as halves of surrogate pairs: 0xc3 0xa9 is an e with an accent."""
    assert check_text("caf\udcc3\udca9") == "café"
    assert check_text("café") == "café"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("http:/x/y", "http:/x/y: is an address, not a model"),
        ("https://x", "https://x: is an address, not a model"),
        ("./missing", "./missing: no such folder"),
        ("a/b/c", "a/b/c: neither a folder nor a name on the hub"),
    ],
)
@pytest.mark.parametrize("key", ["dense.model", "sparse.model", "rerank.model"])
def test_a_model_that_cannot_be_is_judged_first(refused, key, model, message) -> None:
    """An address is no folder, and slashes alone make none."""
    given = ["--set", f"{key}={model}"]
    assert message in refused("search", "i", "query", *given, status=1)
    assert message in refused("index", "docs.jsonl", "i", *given, status=1)
    assert message in refused("reindex", "docs.jsonl", "a", *given, status=1)


@pytest.mark.parametrize("command", ["index", "reindex", "verify"])
def test_a_source_is_judged_first(refused, command) -> None:
    """One that is not there, one that is an address, a format that is none."""
    order = (lambda source: ["i", source]) if command == "verify" else (lambda source: [source, "i"])
    assert refused(command, *order("missing.jsonl")) == "missing.jsonl: no such file or folder. Check the path"
    assert "is an address; sources are files, folders, objects and indices" in refused(command, *order("http:/x/y"))
    assert "unknown format 'mp3'" in refused(command, *order("docs.jsonl"), "--format", "mp3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--legs", "foo"], "--legs: unknown leg 'foo'"),
        (["--fusions", "rrf,foo"], "--fusion: unknown fusion 'foo'"),
        (["--window", "0"], "--window: window is 0"),
        (["--weights", "bm25"], "--weights: 'bm25' is no weight"),
        (["--runs", "docs.jsonl/runs"], "--runs docs.jsonl: is no folder that can be written to"),
    ],
)
def test_an_evaluation_is_judged_first(refused, options, message) -> None:
    """Before a minute of searching, its names and the place of its runs."""
    assert message in refused("evaluate", "i", "--queries", "queries.tsv", "--qrels", "qrels.tsv", *options)


def test_closed_standard_input_is_one_line(refused, monkeypatch) -> None:
    """A service may start a command without it."""
    monkeypatch.setattr("hybrid_search.cli.search.sys", type("NoInput", (), {"stdin": None}))
    assert refused("search", "i", "-").startswith("standard input: is closed. ")
