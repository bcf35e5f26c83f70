"""Objects of a store are read as files are: the same records, errors that say what to do, and one version each."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from object_stores import BUCKET, SECRET, bucket, google, s3, wire

from hybrid_search.errors import MissingExtraError, SourceChangedError, SourceError
from hybrid_search.read import objects, records
from hybrid_search.read.objects import address_of, is_object, open_object
from hybrid_search.read.splits import fingerprint, plan_splits, read_records, times_of

LINES = b"".join(b'{"_id": "d%d", "text": "the text of document %d"}\n' % (n, n) for n in range(4_000))


@pytest.fixture(scope="module")
def store():
    """One store for all tests of this file."""
    with s3() as url:
        yield url


@pytest.fixture
def filled(store, monkeypatch):
    """An empty bucket."""
    with bucket(store, monkeypatch) as found:
        yield found


def parquet(rows, group=100):
    file = io.BytesIO()
    table = pa.table({"_id": [f"p{n}" for n in range(rows)], "text": [f"row {n}" for n in range(rows)]})
    pq.write_table(table, file, row_group_size=group)
    return file.getvalue()


def xlsx():
    import openpyxl

    book = openpyxl.Workbook()
    for row in (("_id", "text"), ("x1", "a cell"), ("x2", "another")):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sqlite(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE articles (_id TEXT, text TEXT)")
        database.executemany("INSERT INTO articles VALUES (?, ?)", [("s1", "one"), ("s2", "two")])
    database.close()
    return path.read_bytes()


def values_of(source, **how):
    return [record.values for record in records(source, **how)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("lines.jsonl", LINES),
        ("lines.jsonl.gz", gzip.compress(LINES)),
        ("lines.jsonl.zst", zstd.compress(LINES)),
        ("array.json", b'[{"_id": "a", "text": "x"}, {"_id": "b", "text": "y"}]'),
        ("rows.csv", b"_id;text\nc1;caf\xe9 au lait du matin\nc2;deux\n"),
        ("rows.tsv", b"_id\ttext\nt1\tone\n"),
        ("rows.parquet", parquet(1_000)),
        ("feed.xml", b"<rss><channel><item><title>A</title><link>l</link></item></channel></rss>"),
        ("notes.md", b"# A title\n\nand a text\n"),
        ("page.html", b"<html><title>T</title><body><p>and what it says</p></body></html>"),
    ],
)
def test_every_format_is_read_as_from_a_file(filled, tmp_path, name, data):
    """The same values come of an object as of a file of its bytes."""
    (tmp_path / name).write_bytes(data)
    filled.put(f"in/{name}", data)
    assert values_of(f"s3://{BUCKET}/in/{name}") == values_of(tmp_path / name)


def test_formats_of_libraries_that_open_files_are_read_from_a_copy(filled, tmp_path):
    """Sheets and databases are copied, named by their addresses, and the copies are gone afterwards."""
    pytest.importorskip("openpyxl")
    filled.put("book.xlsx", xlsx())
    filled.put("shop.sqlite", sqlite(tmp_path / "shop.sqlite"))
    found = list(records(f"s3://{BUCKET}/book.xlsx"))
    assert [record.values["_id"] for record in found] == ["x1", "x2"]
    assert found[0].where.startswith(f"s3://{BUCKET}/book.xlsx")
    assert [values["_id"] for values in values_of(f"s3://{BUCKET}/shop.sqlite")] == ["s1", "s2"]


def test_a_prefix_is_read_as_a_folder(filled, tmp_path):
    """Hidden and temporary objects, what lies beside the data, and marks of folders are left out, as of a folder."""
    for name in ("b.jsonl", "year=2024/a.jsonl", ".hidden.jsonl", "c.jsonl.tmp", "_delta_log/0.json", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'{{"_id": "{name}", "text": "x"}}\n')
    filled.put_folder(tmp_path, "in")
    filled.put("in/empty/", b"")
    found = values_of(f"s3://{BUCKET}/in")
    assert [values["_id"] for values in found] == ["b.jsonl", "year=2024/a.jsonl"]
    assert found == values_of(tmp_path)
    assert found[1]["year"] == "2024"
    assert [values["_id"] for values in values_of(f"s3://{BUCKET}/in/**/*.jsonl")] == ["b.jsonl", "year=2024/a.jsonl"]
    assert values_of(f"s3://{BUCKET}/in/") == found


@pytest.mark.parametrize(("name", "data"), [("lines.jsonl", LINES), ("rows.parquet", parquet(1_000))])
def test_an_object_is_cut_into_the_splits_of_a_file(filled, tmp_path, name, data):
    """The splits have the places and the records of those of a file, and go on behind any record."""
    (tmp_path / name).write_bytes(data)
    filled.put(name, data)
    of_file = plan_splits(tmp_path / name, split_bytes=len(data) // 5)
    of_object = plan_splits(f"s3://{BUCKET}/{name}", split_bytes=len(data) // 5)
    assert [(one.begin, one.end, one.size) for one in of_object] == [(one.begin, one.end, one.size) for one in of_file]
    assert len(of_object) > 3
    found = [[record.values for record in read_records(split)] for split in of_object]
    assert found == [[record.values for record in read_records(split)] for split in of_file]
    behind = list(read_records(of_object[1]))[10].end
    assert [record.values for record in read_records(of_object[1], start=behind)] == found[1][11:]


def test_the_version_of_an_object_is_its_identity(filled):
    """Equal bytes written again are the same split; other bytes of the same size are another."""
    filled.put("a.jsonl", b'{"_id": "1", "text": "old"}\n')
    (before,) = plan_splits(f"s3://{BUCKET}/a.jsonl")
    filled.put("a.jsonl", b'{"_id": "1", "text": "old"}\n')
    (again,) = plan_splits(f"s3://{BUCKET}/a.jsonl")
    filled.put("a.jsonl", b'{"_id": "1", "text": "new"}\n')
    (after,) = plan_splits(f"s3://{BUCKET}/a.jsonl")
    assert (fingerprint(again), times_of(again)) == (fingerprint(before), times_of(before))
    assert fingerprint(after) != fingerprint(before)
    assert times_of(after) != times_of(before)
    with pytest.raises(SourceChangedError, match="was changed or removed since it was first looked at"):
        list(read_records(before))


def test_an_object_that_changes_while_it_is_read_is_an_error(filled):
    """Both versions are never mixed: what is asked for later is asked of the version that was opened."""
    filled.put("a.jsonl", LINES)
    with open_object(Path(f"s3:/{BUCKET}/a.jsonl"), first=1_000) as stream:
        assert stream.read(500) == LINES[:500]
        filled.put("a.jsonl", LINES.replace(b"text", b"TEXT"))
        with pytest.raises(SourceChangedError):
            stream.readall()
    filled.put("a.jsonl", LINES)
    with open_object(Path(f"s3:/{BUCKET}/a.jsonl"), first=1_000) as stream:
        filled.delete("a.jsonl")
        with pytest.raises(SourceChangedError):
            stream.readall()


def test_a_connection_that_breaks_is_made_again(filled, monkeypatch):
    """Of a wire that breaks in the middle of each of its first answers all bytes arrive, in order."""
    filled.put("a.jsonl", LINES)
    with wire(filled.url, cuts=3, most=60_000) as broken:
        monkeypatch.setenv("AWS_ENDPOINT_URL", broken.url)
        with open_object(Path(f"s3:/{BUCKET}/a.jsonl"), first=50_000) as stream:
            assert stream.readall() == LINES
    assert broken.cut == 3


def test_what_is_read_in_order_is_read_in_growing_requests(filled, monkeypatch):
    """A place that is only looked at costs little; of what is read on, each request is twice the one before."""
    monkeypatch.setattr(objects, "MOST", 8_000)
    filled.put("a.bin", bytes(50_000))
    asked = []
    with open_object(Path(f"s3:/{BUCKET}/a.bin"), first=1_000) as stream:
        fetched = stream._fetched
        monkeypatch.setattr(stream, "_fetched", lambda place, n: asked.append(n) or fetched(place, n))
        while stream.read(100):
            pass
        stream.seek(10)
        stream.read(1)
    assert asked == [1_000, 2_000, 4_000, *[8_000] * 6, 1_000]


def test_errors_say_what_is_wrong(filled, monkeypatch):
    """No bucket, no object, no right, no store: each is said, with what to do, and without a secret."""
    filled.put("in/a.jsonl", LINES)
    for source, what in {
        "s3://no-such-bucket/a.jsonl": "no bucket 'no-such-bucket'",
        f"s3://{BUCKET}/in/b.jsonl": "no such object",
        f"s3://{BUCKET}/nothing/": "no such object",
        f"s3://{BUCKET}/in/*.csv": "no object matches the pattern",
    }.items():
        with pytest.raises(SourceError, match=what):
            values_of(source)
    monkeypatch.setattr(objects, "PAUSES", ())
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="the store cannot be reached") as caught:
        values_of(f"s3://{BUCKET}/in/a.jsonl")
    assert "AWS_ENDPOINT_URL" in str(caught.value)
    assert SECRET not in f"{caught.value!r} {caught.value}"


def test_without_credentials_what_everybody_may_read_is_read(filled, monkeypatch, tmp_path):
    """Public data needs no account; a profile that does not exist is said."""
    filled.put("in/a.jsonl", LINES, is_public=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert len(values_of(f"s3://{BUCKET}/in/a.jsonl")) == 4_000
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(SourceError, match=r"ProfileNotFound"):
        values_of(f"s3://{BUCKET}/in/a.jsonl")


def test_a_refusal_of_the_store_names_the_rights(filled):
    """A key that the store does not know is refused, and the rights that are needed are named."""
    import http.client

    filled.put("in/a.jsonl", LINES)

    def check_rights_after(requests):
        connection = http.client.HTTPConnection(filled.url.removeprefix("http://"))
        connection.request("POST", "/moto-api/reset-auth", str(requests))
        assert connection.getresponse().status == 200
        connection.close()

    check_rights_after(0)
    try:
        with pytest.raises(SourceError, match="the store refuses access") as caught:
            values_of(f"s3://{BUCKET}/in/a.jsonl")
    finally:
        check_rights_after("Infinity")
    assert "s3:GetObject" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("scheme", "library", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs")])
def test_a_store_without_its_library_names_the_extra(monkeypatch, scheme, library, extra):
    """The error is the pip command."""
    monkeypatch.setitem(sys.modules, library, None)
    objects._store.cache_clear()
    with pytest.raises(MissingExtraError, match=rf"needs the extra \[{extra}\]"):
        values_of(f"{scheme}://bucket/a.jsonl")


def test_a_key_that_no_path_can_say_is_refused(filled):
    """``a//b`` would be read as ``a/b``, which is another object."""
    filled.put("in/x//a.jsonl", LINES)
    with pytest.raises(SourceError, match=r"'in/x//a.jsonl' has an empty part"):
        values_of(f"s3://{BUCKET}/in")


@pytest.mark.parametrize("text", ["s3", "s3:", "s3://", "s3:///", "S3.jsonl", "es:name", "c:/x", "./s3", "data/s3://x"])
def test_what_is_no_address_is_a_path(text):
    """Only a scheme with a bucket behind it is one."""
    assert not is_object(text)


def test_the_path_of_an_address_keeps_its_names():
    """The address comes back from the path that stands for it, and from what is made of that."""
    path = Path("s3://bucket/in/part.jsonl.gz")
    assert is_object(path)
    assert address_of(path) == "s3://bucket/in/part.jsonl.gz"
    assert address_of(path.parent / "other") == "s3://bucket/in/other"
    assert path.relative_to(path.parent) == Path("part.jsonl.gz")


def test_google_is_read_in_the_same_way(monkeypatch):
    """Objects, prefixes and versions; the generation is the version."""
    held = {"in/a.jsonl": LINES, "in/b.jsonl": b'{"_id": "b", "text": "x"}\n'}
    with google(held) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        assert len(values_of(f"gs://{BUCKET}/in")) == 4_001
        plan = plan_splits(f"gs://{BUCKET}/in/a.jsonl", split_bytes=len(LINES) // 3)
        assert sum(len(list(read_records(split))) for split in plan) == 4_000
        held["in/a.jsonl"] = LINES.replace(b"text", b"TEXT")
        with pytest.raises(SourceChangedError):
            list(read_records(plan[0]))
        with pytest.raises(SourceError, match="no such object"):
            values_of(f"gs://{BUCKET}/none.jsonl")
    assert os.environ["STORAGE_EMULATOR_HOST"] == url
