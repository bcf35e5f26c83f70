"""Files as people have them: from init to the first right answer, by the commands, on every engine."""

from __future__ import annotations

import bz2
import json
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hybrid_search.cli.app import app

ROWS = [
    {"sku": "a1", "title": "Brass lamp", "body": "A lamp of brass for the hall, with a café shade"},
    {"sku": "a2", "title": "Blue jar", "body": "A jar of blue glass for salt and for sugar"},
    {"sku": "a3", "title": "Oak table", "body": "A table of oak that seats eight people at dinner"},
]
HEADER = "sku;title;body\n"
TABLE = HEADER + "".join(f"{row['sku']};{row['title']};{row['body']}\n" for row in ROWS)


def as_json(folder):
    return (folder / "a.json", json.dumps(ROWS).encode())


def inside(folder):
    return (folder / "a.json", json.dumps({"total": 3, "data": {"rows": ROWS}}, indent=1).encode())


def bulk(folder):
    lines = [line for row in ROWS for line in ({"index": {"_index": "old", "_id": row["sku"]}}, {**row, "sku": None})]
    return (folder / "a.ndjson", "".join(json.dumps(line) + "\n" for line in lines).encode())


def dump(folder):
    hits = [{"_index": "old", "_id": row["sku"], "_score": 1, "_source": {"title": row["title"]}} for row in ROWS]
    return (folder / "a.json", "".join(json.dumps(hit) + "\n" for hit in hits).encode())


def excel(folder):
    return (folder / "a.csv", f"sep=;\r\n{TABLE}".encode("utf-16"))


def latin(folder):
    return (folder / "a.csv.bz2", bz2.compress(TABLE.encode("cp1252")))


def frame(folder):
    lines = [f'{number},{row["sku"]},{row["title"]},"{row["body"]}"\n' for number, row in enumerate(ROWS)]
    return (folder / "a.csv", (",sku,title,body\n" + "".join(lines)).encode())


def database(folder):
    with sqlite3.connect(folder / "a.db") as connection:
        connection.execute("CREATE TABLE t (sku, title, body)")
        connection.executemany("INSERT INTO t VALUES (:sku, :title, :body)", ROWS)
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    return (folder / "a.db", None)


def partitions(folder):
    for row in ROWS:
        part = folder / "parts" / f"kind={row['sku'][0]}" / f"{row['sku']}.parquet"
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([row]), part)
    (folder / "parts" / "README.md").write_text("# About")
    return (folder / "parts", None)


def feed(folder):
    items = [
        f"<item><guid>{row['sku']}</guid><title>{row['title']}</title>"
        f"<description>&lt;p&gt;{row['body']}&lt;/p&gt;</description></item>"
        for row in ROWS
    ]
    return (folder / "a.rss", f"<rss><channel>{''.join(items)}</channel></rss>".encode())


def pages(folder):
    (folder / "site").mkdir()
    for row in ROWS:
        page = f"<title>{row['title']}</title><nav>jar</nav><main><p>{row['body']}</p></main>"
        (folder / "site" / row["sku"]).with_suffix(".html").write_text(page)
    return (folder / "site", None)


KINDS = {
    "array": (as_json, [], "is read as a JSON array"),
    "inside": (inside, ["--records", "data.rows"], ""),
    "bulk": (bulk, [], "is read as bodies of _bulk"),
    "elasticdump": (dump, [], ""),
    "excel": (excel, [], "is read as UTF-16"),
    "latin1": (latin, [], "is read as Windows-1252"),
    "frame": (frame, [], "columns without a name are called index"),
    "sqlite": (database, ["--query", "SELECT * FROM t"], ""),
    "partitions": (partitions, [], "left out: README.md (beside the data)"),
    "feed": (feed, [], ""),
    "pages": (pages, [], ""),
}


@pytest.fixture
def run_on(tmp_path, monkeypatch):
    """Makes a runner of commands on an engine, with words alone, so that no model is loaded: status and output."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "own" / name))
    monkeypatch.setenv("HYBRID_SEARCH_DENSE_MODEL", "none")
    monkeypatch.setenv("HYBRID_SEARCH_SPARSE_MODEL", "idf")
    monkeypatch.setenv("COLUMNS", "200")

    def runner(connection):
        monkeypatch.setenv("HYBRID_SEARCH_ENGINE_URL", connection.where)

        def run(*words):
            result = CliRunner().invoke(app, [*map(str, words)])
            return result.exit_code, result.output

        return run

    return runner


@pytest.fixture
def command(run_on, opensearch):
    """Runs a command on one engine: what is read is the same on every one."""
    return run_on(opensearch)


@pytest.fixture
def index(opensearch, new_names):
    return new_names(opensearch)


def answered(command, index, tmp_path, kind):
    """From init to the first hit; nothing is edited by hand."""
    write, options, note = KINDS[kind]
    source, content = write(tmp_path)
    if content is not None:
        source.write_bytes(content)
    settings = tmp_path / "settings.toml"
    status, seen = command("init", source, "-o", settings, *options)
    assert status == 0, seen
    assert note in seen
    status, output = command("index", source, index, "--settings", settings, *options, "--json")
    report = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert (status, report["indexed"], report["skipped"]) == (0, 3, 0)
    assert any(note in line for line in report["notes"]) or not note
    assert command("verify", index, source, "--settings", settings, *options)[0] == 0
    question = "which jar" if kind == "elasticdump" else "blue glass for sugar"
    status, output = command("search", index, question, "--settings", settings, "--json")
    return json.loads(output[output.index("{") :])["hits"][0]["fields"]["title"]


@pytest.mark.parametrize("kind", ["bulk", "excel", "partitions", "pages"])
def test_every_engine_answers_from_files_of_each_family(connection, run_on, index_name, tmp_path, kind):
    """Lines, a table, columns, and files that are one document each."""
    assert answered(run_on(connection), index_name(), tmp_path, kind) == "Blue jar"


@pytest.mark.parametrize("kind", ["array", "inside", "elasticdump", "latin1", "frame", "sqlite", "feed"])
def test_from_init_to_the_first_right_answer(command, index, tmp_path, kind):
    """Settings as init writes them, and the document of the question comes first."""
    assert answered(command, index, tmp_path, kind) == "Blue jar"


def test_a_sync_over_an_array_removes_what_is_gone(command, index, tmp_path):
    """As over any other file; the dry run says so before."""
    source, settings = tmp_path / "a.json", tmp_path / "settings.toml"
    source.write_text(json.dumps([{"id": f"d{n}", "text": f"text number {n}"} for n in range(20)]))
    command("init", source, "-o", settings)
    assert command("index", source, index, "--settings", settings)[0] == 0
    source.write_text(json.dumps([{"id": f"d{n}", "text": f"text number {n}"} for n in range(19)]))
    status, output = command("index", source, index, "--settings", settings, "--sync", "--dry-run")
    assert (status, "1 removed by --sync" in output) == (0, True)
    assert command("index", source, index, "--settings", settings, "--sync")[0] == 0
    assert command("verify", index, source, "--settings", settings)[0] == 0


def test_several_sources_are_loaded_each_as_its_own(command, index, tmp_path):
    """Of several formats, with their names; options of one source alone are refused."""
    (tmp_path / "a.jsonl").write_text('{"_id": "a", "text": "one lamp"}\n')
    (tmp_path / "b.csv").write_text("_id,text\nb,two jars\n")
    sources = [tmp_path / "a.jsonl", tmp_path / "b.csv"]
    status, output = command("index", *sources, index, "--json")
    assert (status, output.count('"indexed": 1')) == (0, 2)
    assert '"source": "a.jsonl"' in output
    assert '"source": "b.csv"' in output
    for own in (["--source", "x"], ["--recreate"], ["--expect", "2", "--sync"]):
        status, output = command("index", *sources, index, *own)
        assert (status, "is for one source" in output) == (2, True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jsonl").write_text('{"_id": "c", "text": "three"}\n')
    status, output = command("index", tmp_path / "a.jsonl", tmp_path / "sub" / "a.jsonl", index)
    assert (status, "two sources have the name 'a.jsonl'" in output) == (2, True)
    status, output = command("index", f"{tmp_path}/*.jsonl", index, "--source", "a.jsonl", "--json")
    assert (status, json.loads(output[output.index("{") :])["unchanged"]) == (0, 1)


def records(count, empty=()):
    return "".join(json.dumps({"_id": f"d{n}", "text": "" if n in empty else f"text {n}"}) + "\n" for n in range(count))


def test_records_without_text_are_left_out_and_counted(command, index, tmp_path):
    """One of 100 is no more than 1 %; two are, unless that is allowed; the rest is loaded either way."""
    source = tmp_path / "a.jsonl"
    source.write_text(records(100, {70}))
    status, output = command("index", source, index, "--json")
    report = json.loads(output[output.index("{") :])
    assert (status, report["documents"], report["indexed"], report["skipped"]) == (0, 99, 99, 1)
    assert f"1 record without text was left out, the first: {source}:71" in report["notes"]
    assert command("verify", index, source)[0] == 0
    source.write_text(records(100, {70, 71}))
    status, output = command("index", source, index)
    assert (status, "2 of 100 records were left out, more than 1%" in output) == (1, True)
    assert "--max-bad 2, or all" in output
    assert "--max-bad" in output
    assert command("index", source, index, "--max-bad", "2%")[0] == 0


def test_a_wrong_field_for_the_text_is_found_before_anything_is_made(command, index, tmp_path):
    """The quick look names the fields that there are, and the way to allow it."""
    source = tmp_path / "a.jsonl"
    source.write_text(records(50, range(20)))
    status, output = command("index", source, index)
    assert (status, "20 of the first 50 records are left out: the text is empty" in output) == (2, True)
    assert "--max-bad 40%" in output
    status, output = command("index", source, index, "--set", "documents.text=body")
    assert (status, "none of the first 50 records can be loaded" in output) == (2, True)
    assert command("search", index, "text")[0] != 0
    source.write_text(records(50) + "{broken\n")
    status, output = command("index", source, index)
    assert (status, "a.jsonl:51: broken JSON" in output, "--skip-bad FILE" in output) == (2, True, True)
    assert command("search", index, "text")[0] != 0


def test_more_bad_records_than_may_be_are_no_success(command, index, tmp_path):
    """A quote that is never closed: its line is lost, counted and saved, and not the 98 behind it."""
    source, bad = tmp_path / "a.csv", tmp_path / "bad.jsonl"
    rows = [f"d{n},text {n}\n" for n in range(100)]
    rows[1] = 'd1,"text\n'
    source.write_text("_id,text\n" + "".join(rows))
    status, output = command("index", source, index, "--skip-bad", bad, "--json")
    report = json.loads(output[output.index("{") :])
    assert (status, report["indexed"], report["skipped"]) == (0, 99, 1)
    rows[3] = 'd3,"text\n'
    source.write_text("_id,text\n" + "".join(rows))
    status, output = command("index", source, index, "--skip-bad", bad)
    assert (status, "of 100 records were left out, more than 1%" in output) == (1, True)
    assert command("index", source, index, "--skip-bad", bad, "--max-bad", "all")[0] == 0


def test_no_index_is_replaced_by_one_that_lacks_too_much(command, index, tmp_path):
    """A rebuild with 2 of 100 records left out is refused, and goes through where that is allowed."""
    source = tmp_path / "a.jsonl"
    source.write_text(records(100))
    assert command("index", source, index)[0] == 0
    source.write_text(records(100, {7, 8}))
    status, output = command("index", source, index, "--recreate")
    assert (status, "2 of 100 records were left out, more than 1%" in output, "--max-bad" in output) == (1, True, True)
    status, output = command("search", index, "text 7", "--json")
    assert "d7" in {hit["id"] for hit in json.loads(output[output.index("{") :])["hits"]}
    assert command("index", source, index, "--recreate", "--max-bad", "2%")[0] == 0
