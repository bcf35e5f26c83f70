"""Reading goes on behind any document, with the same documents, places and messages as if all had been read."""

import gzip
import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.errors import SourceError
from hybrid_search.read import jsonl, records
from hybrid_search.read.raw import RawRecord
from hybrid_search.read.splits import (
    SPLIT_BYTES,
    can_be_split,
    fingerprint,
    lines_before,
    plan_splits,
    read_records,
    read_split,
)
from hybrid_search.records import ResumePoint
from hybrid_search.settings import DocumentSettings

SETTINGS = DocumentSettings()
LINES = st.sampled_from(
    [b'{"_id": "%d", "text": "x"}', '{"_id": "%d", "text": "äöü"}'.encode(), b"", b"  ", b"{broken", b"[1]", b"\xff"]
)


def numbered(lines, end):
    return [(line % number if b"%d" in line else line) + end for number, line in enumerate(lines)]


def read(split, start=None):
    """Records and the messages about bad ones, in order, as they come."""
    found = []
    for record in read_records(split, on_bad=lambda error, data: found.append((str(error), data)), start=start):
        found.append(record)  # noqa: PERF402  # bad ones are added meanwhile
    return found


def read_whole(source):
    """The same of a source, which is not split."""
    found = []
    for record in records(source, on_bad=lambda error, data: found.append((str(error), data))):
        found.append(record)  # noqa: PERF402  # bad ones are added meanwhile
    return found


def without_ends(found):
    """Places of texts are counted within their split."""
    return [item._replace(end=None) if isinstance(item, RawRecord) else item for item in found]


def check_every_point(source, split_bytes=SPLIT_BYTES):
    """The splits together are the source; from each record on, all that comes behind it in its split is read."""
    plan, points = plan_splits(source, split_bytes=split_bytes), 0
    assert without_ends(item for split in plan for item in read(split)) == without_ends(read_whole(source))
    assert len({split.key for split in plan}) == len(plan)
    for split in plan:
        found = read(pickle.loads(pickle.dumps(split)))  # noqa: S301  # as another process gets it
        for place, item in enumerate(found):
            if getattr(item, "end", None) is not None:
                points += 1
                assert read(split, item.end) == found[place + 1 :]
    return points


@settings(deadline=None)
@given(
    parts=st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=3),
    end=st.sampled_from([b"\n", b"\r\n"]),
    is_cut=st.booleans(),
    mark=st.booleans(),
    split_bytes=st.integers(1, 200),
)
def test_json_lines_go_on_behind_any_record(tmp_path_factory, *, parts, end, is_cut, mark, split_bytes):
    """Empty and broken lines, byte order marks, any line breaks, a last line without its end, several files."""
    folder = tmp_path_factory.mktemp("parts")
    for number, lines in enumerate(parts):
        content = b"\xef\xbb\xbf" * mark + b"".join(numbered(lines, end))
        (folder / f"{number}.jsonl").write_bytes(content.removesuffix(end) if is_cut else content)
    check_every_point(folder, split_bytes)
    check_every_point(folder / "0.jsonl", split_bytes)


def test_a_line_that_is_too_long_is_counted(tmp_path, monkeypatch):
    """What is skipped of it moves the place behind the next record."""
    monkeypatch.setattr(jsonl, "MAX_LINE", 40)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"_id": "a"}\n' + b"x" * 200 + b'\n{"_id": "b"}\n{"_id": "c"}\n')
    assert check_every_point(path) == 3


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 12), group=st.integers(1, 5), batch=st.integers(1, 4), split_bytes=st.integers(1, 400))
def test_parquet_goes_on_behind_any_row(tmp_path_factory, rows, group, batch, split_bytes):
    """In and between row groups of any size, and in a folder of parts."""
    folder = tmp_path_factory.mktemp("parts")
    for part in ("a", "b"):
        table = pa.table({"_id": [f"{part}{row}" for row in range(rows)], "text": ["x"] * rows})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybrid_search.read.columns._ROWS", batch)
        assert check_every_point(folder, split_bytes) == 2 * rows


def test_earlier_row_groups_are_not_decoded(tmp_path, monkeypatch):
    """Of 10 groups only the last is asked for."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"_id": [str(row) for row in range(100)]}), path, row_group_size=10)
    asked, read_batches = [], pq.ParquetFile.iter_batches

    def spy(self, **options):
        asked.append(options["row_groups"])
        return read_batches(self, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    (whole,) = plan_splits(path)
    assert [record.where for record in read(whole, ResumePoint(98, 98))] == [f"{path}:99", f"{path}:100"]
    assert asked == [[9]]


def test_texts_go_on_behind_any_file(tmp_path):
    """One document a file: those before are not opened."""
    for name in ("a.txt", "b.md", "c/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    assert check_every_point(tmp_path) == check_every_point(tmp_path, 20) == 3
    assert [len(split.files) for split in plan_splits(tmp_path, split_bytes=20)] == [2, 1]


def test_behind_some_of_several_documents_of_one_place_nothing_goes_on(tmp_path):
    """A console's export in a file of text, and a line that answers a search: only their last ones say a place."""
    actions = "".join(f'{{"index":{{"_id":"{n}"}}}}\n{{"text":"x"}}\n' for n in range(3))
    (tmp_path / "a.txt").write_text("POST i/_bulk\n" + actions)
    hits = ",".join(f'{{"_id":"{n}","_source":{{"text":"x"}}}}' for n in range(3))
    (tmp_path / "b.jsonl").write_text(f'{{"_id": "a", "text": "x"}}\n{{"hits":{{"hits":[{hits}]}}}}\n')
    assert check_every_point(tmp_path / "a.txt") == 1
    assert check_every_point(tmp_path / "b.jsonl") == 2


def test_the_last_line_of_many_is_no_container(tmp_path):
    """Of a .json file of lines; a single object that holds a list of objects would be asked about."""
    path = tmp_path / "a.json"
    path.write_text("".join(f'{{"_id": "{n}", "text": "x", "by": [{{"a": 1}}, {{"a": 2}}]}}\n' for n in range(4)))
    assert check_every_point(path) == check_every_point(path, 60) == 4


CELLS = st.sampled_from(["", "a", "ä", '"a ""b"""', '"two\nlines"', '"a\r\nb"', "broken", "\udcff", '"'])


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=6),
    name=st.sampled_from(["a.csv", "a.tsv"]),
    end=st.sampled_from(["\n", "\r\n"]),
    is_cut=st.booleans(),
    mark=st.booleans(),
)
def test_tables_go_on_behind_any_row(tmp_path_factory, *, rows, name, end, is_cut, mark):
    """Cells over several lines, quotes, broken rows and bytes, empty rows, byte order marks, a last row cut short."""
    path, delimiter = tmp_path_factory.mktemp("table") / name, "\t" if name == "a.tsv" else ","
    lines = ["_id" + delimiter + "text", *(delimiter.join(row) if any(row) else "" for row in rows)]
    content = end.join(lines) + end * (not is_cut)
    path.write_bytes(b"\xef\xbb\xbf" * mark + content.encode("utf-8", "surrogateescape"))
    check_every_point(path, 1)


def test_documents_carry_their_position(tmp_path):
    """It is no part of what a document is; behind the last one there is nothing, which is no error."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    (split,) = plan_splits(path)
    first, second = read_split(split, SETTINGS)
    assert first.position == ResumePoint(26, 1)
    assert list(read_split(split, SETTINGS, start=first.position)) == [second]
    assert list(read_split(split, SETTINGS, start=second.position)) == []


def test_what_is_compressed_is_one_split_without_places(tmp_path):
    """It is read from its beginning, whatever its name is."""
    content = b"".join(b'{"_id": "%d", "text": "x"}\n' % number for number in range(100))
    for name in ("a.jsonl.gz", "b.jsonl"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        (split,) = plan_splits(tmp_path / name, split_bytes=10)
        assert [document.position for document in read_split(split, SETTINGS)] == [None] * 100


def test_a_pipe_has_no_splits(tmp_path):
    """Nor has a named one, which is there only once, nor a data set of the hub."""
    os.mkfifo(tmp_path / "pipe.jsonl")
    given = [tmp_path, tmp_path / "pipe.jsonl", "-", "hf:name", tmp_path / "missing.jsonl"]
    assert [can_be_split(source) for source in given] == [True, False, False, False, True]


@pytest.mark.parametrize("offset", [3, 25, 1_000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_place_that_is_no_more_is_refused(tmp_path, name, offset):
    """Inside a line, at the end of one, behind the file's end."""
    path = tmp_path / name
    content = {"a.jsonl": '{"_id": "a", "text": "x"}\n' * 2, "a.csv": "_id,text\n" + 2 * "a,xxxxxxxxxxxxxxxxxxxxx\n"}
    path.write_text(content[name])
    (split,) = plan_splits(path)
    with pytest.raises(SourceError, match=r"has changed since it was read to line 7"):
        list(read_split(split, SETTINGS, start=ResumePoint(offset, 7)))


def test_lines_longer_than_a_split_are_not_cut(tmp_path):
    """The splits begin at lines 1, 3 and 4: the second line reaches over two marks."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"_id": "%d", "text": "%s"}\n' % (n, b"x" * n) for n in (20, 100, 20, 20, 20)))
    plan = plan_splits(path, split_bytes=64)
    assert [len(read(split)) for split in plan] == [2, 1, 1, 1]
    assert sum(split.size for split in plan) == path.stat().st_size
    assert [split.line for split in plan] == [0, None, None, None]
    assert [lines_before(split) for split in plan] == [0, 2, 3, 4]


def test_a_split_is_read_from_another_folder(tmp_path, monkeypatch):
    """The paths of a plan are as they were given, relative to the folder of that time."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("one")
    (tmp_path / "b.jsonl").write_text('{"_id": "b", "text": "two"}\n')
    monkeypatch.chdir(tmp_path)
    plan = [*plan_splits("texts"), *plan_splits("b.jsonl")]
    assert [document.origin for split in plan for document in read_split(split, SETTINGS)] == [
        "texts/a.txt",
        "b.jsonl:1",
    ]
    monkeypatch.chdir("/")
    assert [document.id for split in plan for document in read_split(split, SETTINGS)] == ["a.txt", "b"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_fingerprints_tell_which_splits_have_changed(tmp_path, name):
    """One of 30 documents is written anew, with as many bytes: its split has another fingerprint, no other has."""
    path, prints = tmp_path / name, []
    for changed in (None, 12):
        texts = [str(2 if number == changed else 1) * 20 for number in range(30)]
        if name == "a.jsonl":
            path.write_text("".join(f'{{"_id": "{n:02}", "text": "{text}"}}\n' for n, text in enumerate(texts)))
        else:
            table = pa.table({"_id": [f"{n:02}" for n in range(30)], "text": texts})
            pq.write_table(table, path, row_group_size=5, use_dictionary=False)
        plan = plan_splits(path, split_bytes=200 if name == "a.jsonl" else 1)
        prints.append({split.key: fingerprint(split) for split in plan})
    before, after = prints
    assert list(before) == list(after)
    assert len(before) > 3
    assert sum(before[key] != after[key] for key in before) == 1


def test_renamed_columns_change_every_row_group(tmp_path):
    """The bytes of the rows are the same: only the file's end says their names."""
    prints = []
    for name in ("text", "body"):
        pq.write_table(pa.table({name: ["x"] * 10}), tmp_path / "a.parquet", row_group_size=5)
        prints.append([fingerprint(split) for split in plan_splits(tmp_path / "a.parquet", split_bytes=1)])
    before, after = prints
    assert [one != other for one, other in zip(before, after, strict=True)] == [True, True]
