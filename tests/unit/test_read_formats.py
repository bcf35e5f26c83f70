"""Spreadsheets, databases, XML and feeds: what they give, what is said, and what is refused."""

import datetime as dt
import sqlite3
import sys
import zipfile

import pytest

from hybrid_search.errors import MissingExtraError, SourceError
from hybrid_search.read import records
from hybrid_search.read.formats import feeds, sheets


@pytest.fixture
def read():
    """Values of the records of a file, and what was said of it."""

    def run(path, **options):
        run.notes = []
        options.setdefault("on_note", lambda note: run.notes.append(note.removeprefix(f"{path}: ")))
        return [record.values for record in records(path, **options)]

    return run


@pytest.fixture
def workbook(tmp_path):
    """Writes sheets of rows into a workbook; those whose name begins with a dot are hidden."""
    openpyxl = pytest.importorskip("openpyxl", reason="writes the workbooks")
    pytest.importorskip("python_calamine", reason="the extra [sheets] is not installed")

    def write(named):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in named.items():
            sheet = book.create_sheet(name)
            sheet.sheet_state = "hidden" if name.startswith(".") else "visible"
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"

    return write


def test_a_sheet_is_a_table(workbook, read):
    """Whole numbers, dates and missing cells are what they are; rows before the header may be empty."""
    moment = dt.datetime(2024, 1, 2, 3, 4)  # noqa: DTZ001 a spreadsheet has no time zones
    rows = [[], ["id", "title", "price", "when", None], [1, "Lamp", 3.5, dt.date(2024, 1, 2)], [2, "Jar", None, moment]]
    assert read(workbook({"Stock": rows})) == [
        {"id": 1, "title": "Lamp", "price": 3.5, "when": "2024-01-02"},
        {"id": 2, "title": "Jar", "when": "2024-01-02T03:04:00"},
    ]


def test_sheets_are_read_one_after_the_other(workbook, read):
    """Each record says its sheet; hidden and empty ones are left out, and it is said."""
    path = workbook({"A": [["id", ""], ["1", "x"]], "B": [["id"], ["2"], ["3"]], ".C": [["id"], ["4"]], "D": []})
    assert read(path) == [
        {"sheet": "A", "id": "1", "column_2": "x"},
        {"sheet": "B", "id": "2"},
        {"sheet": "B", "id": "3"},
    ]
    assert "hidden sheets are left out: .C" in read.notes
    assert "records by sheet: 'A' 1, 'B' 2" in read.notes


def test_a_workbook_is_bounded(workbook, monkeypatch):
    """A few kilobytes that unpack to gigabytes are refused before they are unpacked."""
    path = workbook({"A": [["id"], ["1"]]})
    monkeypatch.setattr(sheets, "MAX_UNPACKED", 100)
    with pytest.raises(SourceError, match=r"bytes unpacked, more than 100\. Save its sheets as CSV"):
        list(records(path))


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("a.xlsx", "python_calamine", "sheets"), ("a.duckdb", "duckdb", "duckdb"), ("a.pdf", "kreuzberg", "documents")],
)
def test_a_format_without_its_library_names_the_extra(tmp_path, monkeypatch, name, module, extra):
    """The remedy is the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        MissingExtraError, match=rf"needs the extra \[{extra}\]. Run: pip install 'hybrid-search\[{extra}\]'"
    ):
        list(records(tmp_path / name))


@pytest.fixture
def database(tmp_path):
    """An SQLite file of some statements."""

    def write(*statements):
        with sqlite3.connect(tmp_path / "a.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return tmp_path / "a.db"

    return write


def test_the_only_table_of_sqlite_is_read(database, read):
    """Bytes that are no text and nulls are left out."""
    rows = "INSERT INTO t VALUES (1, 'a', x'ff00'), (2, NULL, x'61')"
    path = database("CREATE TABLE t (id, title, picture)", rows)
    assert read(path) == [{"id": 1, "title": "a"}, {"id": 2, "picture": "a"}]
    assert read.notes == ["all rows of its only table 't' are read"]


def test_of_several_tables_a_query_says_which_rows(database, read):
    """Without one the tables are named; what SQLite says of a query is passed on; nothing is written."""
    path = database("CREATE TABLE a (id)", "CREATE TABLE b (id, n)", "INSERT INTO b VALUES (1, 2), (3, 4)")
    with pytest.raises(SourceError, match=r'has 2 tables \(a, b\)\. Say which rows: --query "SELECT'):
        read(path)
    assert read(path, query="SELECT id AS _id FROM b WHERE n > 2") == [{"_id": 3}]
    for query, said in {
        "SELECT x FROM b": "no such column: x",
        "DELETE FROM b": "readonly database",
        "SELECT id, n AS id FROM b": "names 'id' twice",
    }.items():
        with pytest.raises(SourceError, match=said):
            read(path, query=query)
    assert len(read(path, query="SELECT * FROM b")) == 2


def test_duckdb_is_read_by_a_query(tmp_path, read):
    """Dates, lists and missing numbers become what JSON can hold."""
    duckdb = pytest.importorskip("duckdb", reason="the extra [duckdb] is not installed")
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 1 AS id, DATE '2024-01-02' AS d, ['x', 'y'] AS l, 'nan'::DOUBLE AS v"
        )
    assert read(path) == [{"id": 1, "d": "2024-01-02", "l": ["x", "y"]}]
    assert read(path, query="SELECT id + 1 AS id FROM t") == [{"id": 2}]
    with pytest.raises(SourceError, match="DuckDB refuses it"):
        read(path, query="SELECT nothing FROM t")


RSS = """<?xml version="1.0" encoding="iso-8859-1"?>
<rss version="2.0" xmlns:dc="d" xmlns:content="c"><channel><title>News</title>
<item><title>Storm &amp; rain</title><link>http://x/1</link><guid>g1</guid><dc:creator>Ann</dc:creator>
<pubDate>Tue, 02 Jan 2024 03:04:05 GMT</pubDate><category>weather</category><category>sea</category>
<description>&lt;p&gt;A &lt;b&gt;storm&lt;/b&gt; over K\xf6ln.&lt;/p&gt;&lt;script&gt;x&lt;/script&gt;
</description></item>
<item><title>Calm</title><link>http://x/2</link><description>short</description>
<content:encoded><![CDATA[<p>One</p><p>Two</p>]]></content:encoded></item></channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry><id>u1</id><title>A</title>
<link rel="self" href="http://s"/><link href="http://a/1"/><updated>2024-01-02T00:00:00Z</updated>
<author><name>Bo</name></author><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>One</p><p>Two</p>
</div></content></entry></feed>"""


def test_items_of_rss_are_documents(tmp_path, read):
    """HTML becomes text, dates ISO-8601, categories a list; the address is the id where there is none."""
    path = tmp_path / "a.rss"
    path.write_bytes(RSS.encode("latin-1"))
    first, second = read(path)
    assert first == {
        "title": "Storm & rain",
        "link": "http://x/1",
        "_id": "g1",
        "author": "Ann",
        "published": "2024-01-02T03:04:05+00:00",
        "tags": ["weather", "sea"],
        "text": "A storm over Köln.",
    }
    assert second == {
        "title": "Calm",
        "link": "http://x/2",
        "summary": "short",
        "text": "One\nTwo",
        "_id": "http://x/2",
    }


def test_entries_of_atom_are_documents(tmp_path, read):
    """With XHTML as elements of its own, and the link to the entry itself."""
    path = tmp_path / "a.xml"
    path.write_text(ATOM)
    (entry,) = read(path)
    assert (entry["_id"], entry["link"], entry["author"], entry["text"]) == ("u1", "http://a/1", "Bo", "One\nTwo")


WIKI = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo><sitename>W</sitename></siteinfo>
<page><title>Jar</title><id>7</id><revision><id>99</id><text>A '''jar'''.</text></revision></page></mediawiki>"""
ROWS = '<posts><row Id="1" Body="x"/><row Id="2"><tag>t</tag><tag>u</tag></row><other/></posts>'
SOLR = '<add><doc><field name="id">1</field><field name="t">a</field><field name="t">b</field></doc></add>'


def test_other_xml_asks_which_element_is_a_record(tmp_path, read):
    """Attributes and elements are fields, those that repeat lists; dumps of MediaWiki are known."""
    path = tmp_path / "a.xml"
    path.write_text(ROWS)
    with pytest.raises(SourceError, match=r"its root is posts\), has the elements row\. .*: --records row$"):
        read(path)
    assert read(path, records_path="row") == [{"Id": "1", "Body": "x"}, {"Id": "2", "tag": ["t", "u"]}]
    with pytest.raises(SourceError, match="holds no element 'line'"):
        read(path, records_path="line")
    path.write_text(SOLR)
    assert read(path, records_path="doc") == [{"id": "1", "t": ["a", "b"]}]
    path.write_text(WIKI)
    assert read(path) == [{"title": "Jar", "_id": "7", "text": "A '''jar'''."}]


def test_xml_is_bounded_and_defines_nothing(tmp_path, read, monkeypatch):
    """Entities are not expanded, an element has a limit, and what is cut short is no end."""
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE x [<!ENTITY a "aa">]><rss><channel><item><title>&a;</title></item></channel></rss>')
    with pytest.raises(SourceError, match="cannot be read as XML"):
        read(path)
    path.write_text(RSS[: RSS.index("</channel>")])
    with pytest.raises(SourceError, match="cannot be read as XML"):
        read(path)
    monkeypatch.setattr(feeds, "MAX_LINE", 200_000)
    item = f"<item><guid>%d</guid><title>{'x' * 1000}</title></item>"
    path.write_text(f"<rss><channel>{''.join(item % n for n in range(2000))}</channel></rss>")
    assert len(read(path)) == 2000
    path.write_text(f"<rss><channel><item><title>{'x' * 1_000_000}</title></item></channel></rss>")
    with pytest.raises(SourceError, match="has an element of more than 200000 bytes"):
        read(path)


def test_what_is_no_such_file_is_named(tmp_path, read):
    """By what the libraries say, on one line."""
    pytest.importorskip("python_calamine", reason="the extra [sheets] is not installed")
    for name, said in {"a.xlsx": "cannot be read as a spreadsheet", "a.db": "SQLite refuses it"}.items():
        (tmp_path / name).write_bytes(b"no such thing" * 100)
        with pytest.raises(SourceError, match=said):
            read(tmp_path / name)
        with pytest.raises(SourceError, match="no such file"):
            read(tmp_path / f"missing-{name}")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("mimetype", "x")
    with pytest.raises(SourceError, match="is an office document"):
        read(tmp_path / "b.zip", format="csv")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "id\n1\n")
        archive.writestr("b.csv", "id\n2\n")
    with pytest.raises(SourceError, match=r"the archive holds 2 files \(a\.csv, b\.csv"):
        read(tmp_path / "two.zip")


def test_a_pointer_of_git_lfs_is_named(tmp_path, read):
    """As a clone without the large files has it, for every format."""
    for name in ("a.parquet", "b.jsonl", "c.csv"):
        (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
        with pytest.raises(SourceError, match="is a pointer of Git LFS"):
            read(tmp_path / name)
