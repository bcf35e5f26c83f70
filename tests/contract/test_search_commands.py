"""``hybrid-search search`` and ``evaluate`` on a real engine."""

from __future__ import annotations

import json
import re

import pytest
from by_words import filled_by_words
from msgspec.structs import replace
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.indices import read_settings, update_settings
from hybrid_search.evaluate import read_run
from hybrid_search.ingest.state.cluster import update_state

TEXTS = {
    "strptime": "Parse a date from a string. Dates have many formats.",
    "zlib": "Compress bytes with zlib.",
    "sorted": "Sort a list by a key. A date is a good key.",
}


@pytest.fixture
def index(opensearch, new_names) -> str:
    """Three documents with a kind, found by their words alone."""
    return filled_by_words(opensearch, new_names(opensearch), TEXTS)


@pytest.fixture
def invoke(opensearch_url):
    """The command line, with the test's server in its environment."""

    def run(*arguments, stdin=None):
        environment = {"HYBRID_SEARCH_URL": opensearch_url, "COLUMNS": "120"}
        return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env=environment)

    return run


def test_search_prints_a_table(invoke, index) -> None:
    """The words of the question need no quotes; every hit shows its rank, text and score."""
    result = invoke("search", index, "parse", "date", "strings")
    assert result.exit_code == 0
    assert "? parse date strings" in result.output
    assert "Parse a date from a string." in result.output
    assert result.output.index("strptime") < result.output.index("sorted")


def test_search_explains(invoke, index) -> None:
    """Rank, score and contribution of every leg."""
    result = invoke("search", index, "date", "--explain", "-k", 1)
    assert "bm25    rank   1  score" in result.output
    assert "fused by min-max" in result.output


def test_search_prints_json(invoke, index) -> None:
    """One object with everything but vectors."""
    result = json.loads(invoke("search", index, "date", "--json", "--filter", "kind=function").output)
    assert {hit["id"] for hit in result["hits"]} == {"strptime", "sorted"}
    assert result["hits"][0]["legs"]["bm25"]["rank"] == 1
    assert result["hits"][0]["fields"] == {"kind": "function"}


def test_search_reads_signs_where_it_is_told_to(invoke, index) -> None:
    """As a person types them; and all of the search has the time that is given."""
    asked = ("search", index, "date -zlib kind:function", "--json", "--legs", "bm25", "--timeout", 60)
    result = json.loads(invoke(*asked, "--syntax", "simple").output)
    assert result["hits"]
    assert all(hit["fields"]["kind"] == "function" for hit in result["hits"])
    assert (result["codes"], result["degraded"]) == ([], {})
    assert "a timeout of 0.0 s" in invoke(*asked[:-1], 0).output
    assert "unknown syntax 'lucene'. There are: text, simple." in invoke(*asked, "--syntax", "lucene").output


def test_search_reads_standard_input(invoke, index) -> None:
    """One line in, one JSON object out; empty lines are passed over."""
    lines = invoke("search", index, "-", stdin="date\n\nzlib\n").output.splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["date", "zlib"]
    assert json.loads(lines[1])["hits"][0]["id"] == "zlib"


def test_a_bad_line_leaves_the_others(invoke, index) -> None:
    """A byte that is no UTF-8 gets an error in its place; the exit status says that there was one."""
    result = invoke("search", index, "-", stdin=b"date\ncaf\xe9\nzlib\n")
    first, bad, last = (json.loads(line) for line in result.output.splitlines())
    assert (first["hits"][0]["id"], last["hits"][0]["id"]) == ("strptime", "zlib")
    assert "half a surrogate pair" in bad["error"]
    assert result.exit_code == 2


def test_search_writes_other_forms(invoke, index) -> None:
    """A run whose queries are called by their lines, ids, TSV with a header; errors go beside them."""
    trec = invoke("search", index, "-", "--format", "trec", stdin=b"zlib\n\ncaf\xe9\nzlib\n")
    assert trec.stdout.splitlines() == ["1 Q0 zlib 1 1.0 hybrid-search", "4 Q0 zlib 1 1.0 hybrid-search"]
    assert trec.stderr.startswith("hybrid-search: line 3: ")
    assert trec.exit_code == 2
    assert invoke("search", index, "zlib", "--format", "ids").stdout == "zlib\n"
    header, row = invoke("search", index, "zlib", "--format", "tsv").stdout.splitlines()
    assert header.split("\t") == ["query", "rank", "id", "score", "title", "text"]
    assert row.split("\t") == ["zlib", "1", "zlib", "1.000000", "zlib", "Compress bytes with zlib."]
    assert invoke("search", index, "zlib", "--format", "md").stdout.startswith("## zlib\n\n1. **zlib** `zlib`")


HOSTILE = "\x1b]52;c;aGk=\x07[/]\x9b31m\x1b[2J\x7f[draft]"


def test_no_command_lets_a_document_write_to_the_terminal(invoke, opensearch, new_names, tmp_path) -> None:
    """Id, text, title, field names, file name and messages of a hostile document, by every command that shows them."""
    name, source = new_names(opensearch), tmp_path / f"x{HOSTILE.replace('/', '')}.jsonl"
    record = {"_id": HOSTILE, "title": f"t {HOSTILE}", "text": f"word {HOSTILE}", HOSTILE: HOSTILE}
    source.write_text("".join(json.dumps(each) + "\n" for each in (record, record)))
    idf = ["--set", "dense.model=none", "--set", "sparse.model=idf"]
    bad = tmp_path / "bad.jsonl"
    (tmp_path / "q.tsv").write_text("q1\tword\n")
    (tmp_path / "qrels.tsv").write_text(f"q1\t{HOSTILE}\t1\n")
    judged = ["--queries", tmp_path / "q.tsv", "--qrels", tmp_path / "qrels.tsv"]
    shown = [
        invoke("init", source, "-o", "-"),
        invoke("init", source, "-o", "-", "--json"),
        invoke("index", source, name, *idf, "--skip-bad", bad),
        invoke("index", source, name, *idf),
        invoke("search", name, "word", "--explain"),
        invoke("search", name, "word", "--json"),
        invoke("search", name, f"word {HOSTILE}"),
        invoke("search", name, "word", "--filter", f"{HOSTILE}=1"),
        invoke("search", f"none{HOSTILE}", "word"),
        invoke("verify", name, source, "--skip-bad"),
        invoke("verify", name, source),
        invoke("evaluate", name, *judged),
        invoke("index", f"{source}x", name),
        invoke("delete", name, HOSTILE, "--dry-run"),
    ]
    for result in shown:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.output)
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    assert json.loads(shown[5].stdout)["hits"][0]["id"] == HOSTILE
    assert r"\u001b]52;c;aGk=\u0007[/]\u009b31m\u001b[2J\u007f[draft]" in " ".join(shown[4].output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "the query is empty"),
        (["date", "-k", "0"], "k is 0"),
        (["date", "--legs", "bm52"], "unknown leg 'bm52'"),
        (["date", "--legs", "dense"], "the index holds no vectors for the dense leg"),
        (["date", "--fusion", "rff"], "Did you mean 'rrf'?"),
        (["date", "--weights", "bm25"], "--weights: 'bm25' is no weight"),
        (["date", "--filter", "colour=red"], "colour"),
    ],
)
def test_a_bad_search_is_one_line_and_status_2(invoke, index, arguments, message) -> None:
    """What is wrong and what to do, no traceback."""
    result = invoke("search", index, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_a_missing_index_is_status_1(invoke) -> None:
    """Something failed, though the question was right."""
    result = invoke("search", "no-such-index", "date")
    assert result.exit_code == 1
    assert "no-such-index" in result.stderr


@pytest.fixture
def judged(tmp_path):
    """A BEIR folder of two judged queries and one that nobody judged."""
    queries = [{"_id": "q1", "text": "date"}, {"_id": "q2", "text": "zlib"}, {"_id": "q3", "text": "list"}]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tstrptime\t1\nq2\tzlib\t1\n")
    return tmp_path


def test_evaluate_prints_measures_and_saves_runs(invoke, index, judged) -> None:
    """Every system with its measures; its rankings as a TREC run."""
    runs = judged / "runs"
    result = invoke("evaluate", index, "--queries", judged, "--qrels", judged, "--runs", runs, "--json", "--timing")
    report = json.loads(result.stdout)
    assert (report["queries"], report["unjudged"]) == (2, 1)
    assert report["systems"][0]["name"] == "bm25"
    assert report["systems"][0]["nDCG@10"] == 1.0
    assert {timing["name"] for timing in report["timings"]} >= {"bm25", "whole search"}
    assert [id_ for id_, _ in read_run(runs / "bm25.run")["q2"]] == ["zlib"]


def test_evaluate_prints_a_table(invoke, index, judged) -> None:
    """For people."""
    result = invoke("evaluate", index, "--queries", judged, "--qrels", judged)
    assert result.exit_code == 0
    assert "2 judged queries" in result.stdout
    assert "1 queries without judgements were left out" in result.stdout


def test_a_fall_since_the_baseline_closes_the_gate(invoke, index, judged) -> None:
    """The same index passes; a baseline that found what nothing finds now fails with 1 and names the query."""
    kept = judged / "kept.json"
    asked = ["evaluate", index, "--queries", judged, "--qrels", judged, "--legs", "bm25"]
    assert invoke(*asked, "--save", kept).exit_code == 0
    same = invoke(*asked, "--baseline", kept, "--fail-below")
    assert (same.exit_code, "none of 3 fell beyond chance" in same.stderr) == (0, True)
    queries = {f"q{n}": n < 20 for n in range(40)}
    (judged / "queries.jsonl").write_text("".join(json.dumps({"_id": q, "text": "zlib"}) + "\n" for q in queries))
    wanted = {query: "nowhere" if lost else "zlib" for query, lost in queries.items()}
    lines = [f"{query}\t{document}\t1\n" for query, document in wanted.items()]
    (judged / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    kept.write_text(json.dumps({"systems": {"bm25": {"nDCG@10": dict.fromkeys(queries, 1.0)}}}))
    fallen = invoke(*asked, "--baseline", kept, "--fail-below", "--json")
    [change] = json.loads(fallen.stdout)["changes"]
    assert (fallen.exit_code, change["now"], change["fell"], change["queries"][0]["id"]) == (1, 0.5, True, "q0")
    assert invoke(*asked, "--fail-below").exit_code == invoke(*asked, "--save", kept).exit_code == 2


def test_evaluate_follows_beir_where_a_query_is_a_document(invoke, index, judged) -> None:
    """The query's own document is left out of a BEIR folder's rankings; an empty query counts 0; both are said."""
    lines = ['{"_id": "strptime", "text": "date from a string"}', '{"_id": "q9", "text": ""}']
    (judged / "queries.jsonl").write_text("\n".join(lines))
    (judged / "qrels" / "test.tsv").write_text("strptime\tsorted\t1\nq9\tzlib\t1\n")
    arguments = ["evaluate", index, "--queries", judged, "--qrels", judged, "--json", "--window", 20]
    report = json.loads(invoke(*arguments).stdout)
    assert report["systems"][0]["RR@10"] == 1 / 2
    assert (report["empty"], report["identical_ids_left_out"], "R@20" in report["systems"][0]) == (1, 1, True)
    kept = json.loads(invoke(*arguments, "--keep-identical").stdout)
    assert kept["systems"][0]["RR@10"] == 1 / 4
    assert kept["identical_ids_left_out"] is None


def test_evaluate_refuses_judgements_of_other_queries(invoke, index, judged) -> None:
    """Nothing to measure is an error of the input."""
    (judged / "qrels" / "test.tsv").write_text("other\tstrptime\t1\n")
    result = invoke("evaluate", index, "--queries", judged, "--qrels", judged)
    assert result.exit_code == 2
    assert "none of the 3 queries has judgements" in result.stderr


def test_a_search_says_and_mends_what_a_killed_load_has_left(invoke, index, opensearch) -> None:
    """Refresh was off, and nobody would have found what is written; afterwards there is nothing left to say."""
    update_settings(opensearch, index, {"index.refresh_interval": "-1"})
    update_state(opensearch, index, lambda state: replace(state, before={"index.refresh_interval": "2s"}))
    first, second = (invoke("search", index, "date", "--legs", "bm25") for _ in range(2))
    assert "are restored" in first.stderr
    assert "restored" not in second.stderr
    assert read_settings(opensearch, index)["index.refresh_interval"] == "2s"
