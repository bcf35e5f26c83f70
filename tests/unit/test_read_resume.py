"""Reading goes on behind any document, with the same documents, places and messages as if all had been read."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import SourceError
from hybrid_search.read import documents, jsonl, records
from hybrid_search.records import ResumePoint
from hybrid_search.settings import DocumentSettings

SETTINGS = DocumentSettings()
LINES = st.sampled_from(
    [b'{"_id": "%d", "text": "x"}', '{"_id": "%d", "text": "äöü"}'.encode(), b"", b"  ", b"{broken", b"[1]", b"\xff"]
)


def numbered(lines, end):
    return [(line % number if b"%d" in line else line) + end for number, line in enumerate(lines)]


def read(source, **options):
    """Records and the messages about bad ones, in order, as they come."""
    found = []
    for record in records(source, on_bad=lambda error, data: found.append((str(error), data)), **options):
        found.append(record)  # noqa: PERF402  # bad ones are added meanwhile
    return found


def check_every_point(source):
    """From each record that says where reading goes on, all that comes behind it is read, and nothing else."""
    found = read(source)
    points = [(place, item.end) for place, item in enumerate(found) if hasattr(item, "end")]
    for place, point in points:
        assert read(source, resume=point) == found[place + 1 :]
    return len(points)


@settings(deadline=None)
@given(
    parts=st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=3),
    end=st.sampled_from([b"\n", b"\r\n"]),
    is_cut=st.booleans(),
    mark=st.booleans(),
)
def test_json_lines_go_on_behind_any_record(tmp_path_factory, parts, end, is_cut, mark):
    """Empty and broken lines, byte order marks, any line breaks, a last line without its end, several files."""
    folder = tmp_path_factory.mktemp("parts")
    for number, lines in enumerate(parts):
        content = b"\xef\xbb\xbf" * mark + b"".join(numbered(lines, end))
        (folder / f"{number}.jsonl").write_bytes(content.removesuffix(end) if is_cut else content)
    check_every_point(folder)
    check_every_point(folder / "0.jsonl")


def test_a_line_that_is_too_long_is_counted(tmp_path, monkeypatch):
    """What is skipped of it moves the place behind the next record."""
    monkeypatch.setattr(jsonl, "MAX_LINE", 40)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"_id": "a"}\n' + b"x" * 200 + b'\n{"_id": "b"}\n{"_id": "c"}\n')
    assert check_every_point(path) == 3


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 12), group=st.integers(1, 5), batch=st.integers(1, 4))
def test_parquet_goes_on_behind_any_row(tmp_path_factory, rows, group, batch):
    """In and between row groups of any size, and in a folder of parts."""
    folder = tmp_path_factory.mktemp("parts")
    for part in ("a", "b"):
        table = pa.table({"_id": [f"{part}{row}" for row in range(rows)], "text": ["x"] * rows})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybrid_search.read.columns._ROWS", batch)
        assert check_every_point(folder) == 2 * rows


def test_earlier_row_groups_are_not_decoded(tmp_path, monkeypatch):
    """Of 10 groups only the last is asked for."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"_id": [str(row) for row in range(100)]}), path, row_group_size=10)
    asked, read_batches = [], pq.ParquetFile.iter_batches

    def spy(self, **options):
        asked.append(options["row_groups"])
        return read_batches(self, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    place = str(path.resolve())
    assert [record.where for record in records(path, resume=ResumePoint(place, 98, 98))] == [
        f"{path}:99",
        f"{path}:100",
    ]
    assert asked == [[9]]


def test_texts_go_on_behind_any_file(tmp_path):
    """One document a file: those before are not opened."""
    for name in ("a.txt", "b.md", "c/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    assert check_every_point(tmp_path) == 3


def test_documents_carry_their_position(tmp_path):
    """It is no part of what a document is; behind the last one there is nothing, which is no error."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    first, second = documents(path, SETTINGS)
    assert first.position == ResumePoint(str(path.resolve()), 26, 1)
    assert list(documents(path, SETTINGS, resume=first.position)) == [second]
    assert list(documents(path, SETTINGS, resume=second.position)) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(b'{"_id": "a", "text": "x"}\n')),
        ("a.csv", b"_id,text\na,x\n"),
    ],
    ids=["compressed", "csv"],
)
def test_what_cannot_go_on_says_no_position(tmp_path, name, content):
    """Compressed data and CSV are read from their beginning."""
    (tmp_path / name).write_bytes(content)
    (found,) = documents(tmp_path / name, SETTINGS)
    assert found.position is None


def test_a_pipe_cannot_go_on(tmp_path, monkeypatch):
    """Nor can standard input that is a file: nothing tells that it is the same the next time."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n')
    with path.open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file}))
        (found,) = documents("-", SETTINGS)
    assert found.position is None


@pytest.mark.parametrize("offset", [3, 25, 1_000])
def test_a_place_that_is_no_more_is_refused(tmp_path, offset):
    """Inside a line, at the end of one, behind the file's end; so is a file that is not there, and a CSV."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    (tmp_path / "a.csv").write_text("_id,text\na,x\n")
    for source, name in ((path, path), (path, tmp_path / "b.jsonl"), (tmp_path / "a.csv", tmp_path / "a.csv")):
        with pytest.raises(SourceError, match=r"has changed since it was read to line 7"):
            list(documents(source, SETTINGS, resume=ResumePoint(str(name.resolve()), offset, 7)))
