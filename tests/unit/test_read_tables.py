"""CSV and TSV: quoting, headers, encodings and broken rows."""

import csv
import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read import records
from hybrid_search.read.raw import refuse
from hybrid_search.read.tables import read_csv, read_tsv

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def values(data, reader=read_csv, on_bad=refuse):
    return [record.values for record in reader(io.BytesIO(data), "f", on_bad)]


def refusal(data, reader=read_csv, kind=RecordError):
    with pytest.raises(kind) as caught:
        values(data, reader)
    return str(caught.value)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS)), st.sampled_from([",", ";", "|"]), st.booleans())
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, delimiter, mark):
    """Quotes, delimiters and line breaks inside cells survive; empty cells are left out."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if mark else "utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["a", "b", "c"])
        writer.writerows(rows)
    expected = [{name: cell for name, cell in zip("abc", row, strict=True) if cell} for row in rows]
    assert [record.values for record in records(path)] == expected


def test_quoted_cells_may_hold_line_breaks_and_places_count_lines():
    """The second record begins on line 4, as the first one takes two lines."""
    data = b'id,text\r\n1,"one\nline ""two"""\r\n2,three\r\n'
    found = list(read_csv(io.BytesIO(data), "f", refuse))
    assert [record.values for record in found] == [{"id": "1", "text": 'one\nline "two"'}, {"id": "2", "text": "three"}]
    assert [record.where for record in found] == ["f:2", "f:4"]
    assert found[0].as_bytes() == b'1,"one\nline ""two"""\r\n'


def test_a_cell_may_be_longer_than_the_default_of_the_csv_module():
    """A long document is no error."""
    text = "word " * 100_000  # 500,000 characters; the module's own limit is 131,072
    assert values(f"id,text\n1,{text}\n".encode()) == [{"id": "1", "text": text}]


def test_quotes_in_tsv_are_text():
    """Tab-separated values know no quoting: a quote is what it is."""
    assert values(b'id\ttext\n1\t"a" b\n2\t5" disk\n', read_tsv) == [
        {"id": "1", "text": '"a" b'},
        {"id": "2", "text": '5" disk'},
    ]


def test_bad_rows_are_reported_and_the_others_read():
    """A row of the wrong width and one of bad bytes are reported with their bytes; the reading goes on."""
    bad = []
    data = b"id,text\n1,a\n2\n3,\xff\n4,d\n"
    found = values(data, on_bad=lambda error, data: bad.append((str(error), data)))
    assert found == [{"id": "1", "text": "a"}, {"id": "4", "text": "d"}]
    assert bad == [
        ("f:3: expected 2 cells, got 1. Quote cells that hold the delimiter, a quote or a line break", b"2\n"),
        ("f:4: the cell 'text' is not UTF-8. Write the file in UTF-8: iconv -t UTF-8", b"3,\xff\n"),
    ]


def test_a_quote_that_is_never_closed_is_an_error():
    """The rest of the file is not swallowed silently."""
    message = refusal(b'id,text\n1,"a\n2,b\n')
    assert message.startswith("f:2: broken row: unexpected end of data. Quote cells")


def test_a_tab_or_line_break_inside_a_tsv_cell_asks_for_csv():
    """What TSV cannot hold shows as a wrong number of cells."""
    expected = "f:2: expected 2 cells, got 3. TSV cells hold no tab and no line break: write CSV"
    assert refusal(b"id\ttext\n1\ta\tb\n", read_tsv) == expected


@pytest.mark.parametrize(
    ("header", "problem"),
    [(b"a,b,a", "names 'a' twice"), (b"a,,b", "has an empty name"), (b"a, ,b", "has an empty name")],
)
def test_a_header_must_name_every_column_once(header, problem):
    """Otherwise a value would be lost."""
    message = refusal(header + b"\n1,2,3\n", kind=SourceError)
    assert message == f"f:1: the header {problem}. Give every column its own name"


def test_nothing_and_a_mere_header_are_no_records():
    """An empty file and an empty table are not an error of this reader."""
    assert values(b"") == []
    assert values(b"a,b\n") == []
    assert values(b"a,b\n\n\n1,2\n\n") == [{"a": "1", "b": "2"}]


def test_standard_input_needs_the_format(monkeypatch):
    """CSV on standard input is read when it is said to be CSV."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a,b\n1,2\n"))))
    assert [record.values for record in records("-", format="csv")] == [{"a": "1", "b": "2"}]
