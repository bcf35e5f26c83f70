"""CSV and TSV: quoting, headers, encodings and broken rows."""

import csv
import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read import records, tables
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


def test_a_header_must_name_every_column_once():
    """Otherwise a value would be lost."""
    message = refusal(b"a,b,a\n1,2,3\n", kind=SourceError)
    assert message == "f:1: the header names 'a' twice. Give every column its own name"


NAMELESS = [
    (b",b\n0,x\n", [{"index": "0", "b": "x"}], "index"),
    (b"a,b,\n1,x,\n", [{"a": "1", "b": "x"}], "column_3"),
    (b"a, ,b\n1,2,3\n", [{"a": "1", "column_2": "2", "b": "3"}], "column_2"),
    (b",index,column_1\n1,2,3\n", [{"column_1_": "1", "index": "2", "column_1": "3"}], "column_1_"),
]


@pytest.mark.parametrize(("data", "expected", "names"), NAMELESS, ids=["pandas", "excel", "inside", "taken"])
def test_columns_without_a_name_get_one(data, expected, names):
    """What pandas' to_csv and a spreadsheet's last comma leave: no value is lost, and it is said."""
    notes = []
    found = [record.values for record in read_csv(io.BytesIO(data), "f", refuse, on_note=notes.append)]
    assert (found, notes) == (expected, [f"f: columns without a name are called {names}"])


def test_empty_rows_before_the_header_are_passed_over():
    """As a spreadsheet leaves them; places still count from the first line."""
    (found,) = read_csv(io.BytesIO(b"\n,,\na,b,c\n1,2,3\n"), "f", refuse)
    assert (found.values, found.where) == ({"a": "1", "b": "2", "c": "3"}, "f:4")


def test_commas_at_the_end_of_rows_alone_are_passed_over():
    """Empty cells beyond the header are none; a value there is one too many."""
    assert values(b"a,b\n1,x,,\n") == [{"a": "1", "b": "x"}]
    assert refusal(b"a,b\n1,x,,y\n").startswith("f:2: expected 2 cells, got 4")


def test_a_first_line_that_names_the_separator_is_obeyed():
    """Excel's way to say how cells are separated; places still count from the first line."""
    notes = []
    data = b"\xef\xbb\xbfsep=;\r\nid;text, plain\r\n1;a\r\n"
    (found,) = read_csv(io.BytesIO(data), "f", refuse, on_note=notes.append)
    assert (found.values, found.where) == ({"id": "1", "text, plain": "a"}, "f:3")
    assert notes == ["f: cells are separated by ';' (its first line says so)"]


def skipping(data):
    bad = []
    found = values(data, on_bad=lambda error, data: bad.append((error.where, data)))
    return [value["id"] for value in found], bad


def test_one_line_behind_an_open_quote_is_one_line():
    """The second of two lines ends the file, and the quote is open still."""
    assert "opens a quote that 1 line further is not closed" in refusal(b'id,text\n1,"a\n2,b\n')


def test_after_a_quote_that_is_never_closed_only_its_line_is_lost():
    """9,999 rows follow the one that swallowed them all: 10,000 - 1 are read, and one line is reported."""
    rows = [b'1,"a\n', *(b"%d,b\n" % number for number in range(2, 10_001))]
    found, bad = skipping(b"id,text\n" + b"".join(rows))
    assert (len(found), bad) == (9_999, [("f:2", b'1,"a\n')])


def test_a_quote_that_another_row_closes_loses_its_line_only():
    """The quote of 30 closes the cell of 1: by itself every line between is a row of two cells."""
    rows = [b'1,"a\n', *(b"%d,b\n" % number for number in range(2, 30)), b'30,5"\n', b"31,c\n"]
    found, bad = skipping(b"id,text\n" + b"".join(rows))
    assert found == [str(number) for number in range(2, 32)]
    assert bad == [("f:2", b'1,"a\n')]


def test_a_row_is_bounded(monkeypatch):
    """A quote that is opened in a large file does not fill the memory, however far the next one is."""
    monkeypatch.setattr(tables, "MAX_ROW", 100)
    found, bad = skipping(b'id,text\n1,"a\n' + b"2,b\n" * 1000)
    assert (len(found), bad) == (1000, [("f:2", b'1,"a\n')])


def test_long_cells_of_prose_are_no_swallowed_rows():
    """Forty lines of which few have as many commas as the table has columns."""
    text = "".join(f"line {number}, and more\n" if number % 3 else "plain\n" for number in range(40))
    assert values(f'id,text\n1,"{text}"\n2,b\n'.encode()) == [{"id": "1", "text": text}, {"id": "2", "text": "b"}]


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.data())
def test_a_quote_anywhere_loses_no_line_without_a_word(rows, data):
    """Every line is part of a record, or of what was reported, in order."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("a", "b"), *rows])
    text = file.getvalue()
    place = data.draw(st.integers(text.index("\n") + 1, len(text)))
    broken = (text[:place] + '"' + text[place:]).encode()
    seen = [b"a,b\r\n"]
    found = read_csv(io.BytesIO(broken), "f", lambda _error, lost: seen.append(lost))
    for record in found:
        seen.append(record.data)  # noqa: PERF401 the other lines come in between
    blank = re.compile(rb"[\r\n]")
    assert blank.sub(b"", b"".join(seen)) == blank.sub(b"", broken)


def test_nothing_and_a_mere_header_are_no_records():
    """An empty file and an empty table are not an error of this reader."""
    assert values(b"") == []
    assert values(b"a,b\n") == []
    assert values(b"a,b\n\n\n1,2\n\n") == [{"a": "1", "b": "2"}]


def test_standard_input_needs_the_format(monkeypatch):
    """CSV on standard input is read when it is said to be CSV."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a,b\n1,2\n"))))
    assert [record.values for record in records("-", format="csv")] == [{"a": "1", "b": "2"}]
