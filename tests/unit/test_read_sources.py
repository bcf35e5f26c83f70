"""Which reader a source gets: suffixes, folders, texts, the hub."""

import gzip
import os
import sys

import pytest

from hybrid_search.errors import MissingExtraError, RecordError, SourceError
from hybrid_search.ingest.state.identity import source_identity
from hybrid_search.read import documents, records
from hybrid_search.read.formats.registry import FORMATS
from hybrid_search.read.hub import named
from hybrid_search.read.sources import format_of
from hybrid_search.read.texts import markdown_title
from hybrid_search.settings import DocumentSettings

LINE = b'{"_id": "a", "text": "x"}\n'


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(source, **options):
    return [(document.id, document.text) for document in documents(source, DocumentSettings(), **options)]


def refusal(source, **options):
    with pytest.raises(SourceError) as caught:
        read(source, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("a.b.JSON.GZ", "jsonl"),
        ("a.csv.gz", "csv"),
        ("a.tab", "tsv"),
        ("a.pq", "parquet"),
        ("a.markdown", "text"),
        ("-", "jsonl"),
    ],
)
def test_the_suffix_tells_the_format(tmp_path, name, expected):
    """Compressions are looked through, capitals do not matter."""
    assert format_of(tmp_path / name if name != "-" else name) == expected


def test_an_unknown_suffix_asks_for_the_format(tmp_path):
    """The file is there, but what is it?"""
    write(tmp_path, {"a.dat": LINE})
    expected = f"{tmp_path}/a.dat: the suffix '.dat' tells no format. Give --format: {', '.join(FORMATS)}"
    assert refusal(tmp_path / "a.dat") == expected
    assert read(tmp_path / "a.dat", format="jsonl") == [("a", "x")]
    assert refusal(tmp_path / "a.dat", format="abc").endswith(f"unknown format 'abc'. Known: {', '.join(FORMATS)}")
    assert refusal(tmp_path / "b.dat") == f"{tmp_path}/b.dat: no such file or folder. Check the path"


def test_a_beir_folder_is_its_corpus(tmp_path):
    """Queries and judgements beside the corpus are no documents."""
    write(tmp_path, {"corpus.jsonl.gz": gzip.compress(LINE), "queries.jsonl": LINE, "README.md": b"# About"})
    assert read(tmp_path) == [("a", "x")]


def test_a_folder_of_parts_is_read_in_the_order_of_names(tmp_path):
    """Parts of one format are one source, and ids must differ across them."""
    parts = {f"part-{n}.jsonl": b'{"_id": %d, "text": "x%d"}\n' % (n, n) for n in (2, 1)}
    write(tmp_path, parts | {".hidden.csv": b"a", "sub/part-3.jsonl": LINE})
    assert read(tmp_path) == [("1", "x1"), ("2", "x2"), ("a", "x")]
    write(tmp_path, {"part-3.jsonl": parts["part-1.jsonl"]})
    with pytest.raises(RecordError, match=r"part-3\.jsonl:1: the id '1' was given before"):
        read(tmp_path)


def test_a_folder_of_several_formats_asks_which(tmp_path):
    """Nothing is left out silently."""
    write(tmp_path, {"a.jsonl": LINE, "notes/b.md": b"# B\ntext"})
    expected = f"{tmp_path}: the folder holds jsonl and text. Give --format, or name a file"
    assert refusal(tmp_path).startswith(expected)
    assert read(tmp_path, format="jsonl") == [("a", "x")]
    assert read(tmp_path, format="text") == [("notes/b.md", "B\ntext")]


def test_a_folder_with_nothing_to_read_is_an_error(tmp_path):
    """Neither data nor text."""
    write(tmp_path, {"a.bin": b"x"})
    assert refusal(tmp_path).startswith(f"{tmp_path}: the folder holds nothing that can be read. Give --format")


def test_text_files_are_documents_by_their_path(tmp_path):
    """At any depth, sorted, hidden ones left out; the title is the first heading or the file's name."""
    files = {
        "b.md": b"\xef\xbb\xbfIntro.\n\n## Usage ##\n\nDo it.\n",
        "a/notes.txt.gz": gzip.compress(b"# no heading\r\nplain"),
        ".git/c.md": b"# hidden",
        "a/image.png": b"\x89PNG",
    }
    write(tmp_path, files)
    assert read(tmp_path) == [("a/notes.txt.gz", "notes\n# no heading\nplain"), ("b.md", "Usage\nIntro.\n\nDo it.\n")]


def test_a_single_text_file_is_one_document(tmp_path):
    """Its id is its name."""
    write(tmp_path, {"a.md": b"# Title\nBody"})
    (document,) = documents(tmp_path / "a.md", DocumentSettings())
    assert (document.id, document.text, document.fields) == ("a.md", "Title\nBody", {"title": "Title"})
    assert document.origin == f"{tmp_path}/a.md"


def test_text_files_that_are_no_text_are_reported(tmp_path):
    """Bad bytes and empty files go to the callback, the others are read."""
    write(tmp_path, {"a.txt": b"caf\xe9\x01\x02", "b.txt": b" \n", "c.txt": b"fine"})
    bad = []
    assert read(tmp_path, on_bad=lambda error, data: bad.append((str(error), data))) == [("c.txt", "c\nfine")]
    assert bad == [
        (
            f"{tmp_path}/a.txt: byte 4 is 0xe9, which is not UTF-8. Write the file in UTF-8: iconv -t UTF-8",
            b"caf\xe9\x01\x02",
        ),
        (f"{tmp_path}/b.txt: the text is empty. Leave the file out", b" \n"),
    ]


MARKDOWN = [
    ("# One #\ntext", ("One", "text")),
    ("text\n\nTwo\n===\nmore", ("Two", "text\n\nmore")),
    ("---\ntitle: 'Three'\ntags: [a]\n---\n# Other\n", ("Three", "# Other\n")),
    ("---\ntags: [a]\n---\ntext", ("name", "text")),
    ("text\n---\n", ("text", "")),
    ("#hashtag only", ("name", "#hashtag only")),
    ("plain", ("name", "plain")),
]


@pytest.mark.parametrize(("text", "expected"), MARKDOWN)
def test_the_title_of_a_markdown_text(text, expected):
    """Front matter first, then the first heading of either style, then the name; each is taken off the text."""
    assert markdown_title(text, "name") == expected


def test_a_hub_data_set_needs_its_library(monkeypatch):
    """Without the extra the error is the command that installs it."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError) as caught:
        list(records("hf:name"))
    assert str(caught.value) == (
        "Reading a Hugging Face data set needs the extra [hub]. Run: pip install 'hybrid-search[hub]'"
    )


def test_names_of_hub_data_sets():
    """Configuration and split are optional, the split is the last."""
    assert named("hf:org/name") == ("org/name", None, "train")
    assert named("hf:name:test") == ("name", None, "test")
    assert named("hf:name:en:test") == ("name", "en", "test")
    for wrong in ("hf:", "hf:a:b:c:d"):
        with pytest.raises(SourceError, match="not the name of a data set"):
            named(wrong)


def test_a_data_set_is_streamed_by_the_real_library(tmp_path, monkeypatch):
    """The library also takes a folder, so that this needs no network; missing values are left out."""
    pytest.importorskip("datasets", reason="the extra [hub] is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    write(
        tmp_path / "data", {"train.jsonl": b'{"_id": "a", "text": "x", "n": null}\n{"_id": "b", "text": "y", "n": 1}\n'}
    )
    source = f"hf:{tmp_path}/data"
    found = [(record.values, record.where) for record in records(source)]
    assert found == [({"_id": "a", "text": "x"}, f"{source}:1"), ({"_id": "b", "text": "y", "n": 1}, f"{source}:2")]
    with pytest.raises(SourceError, match="the data set cannot be read"):
        list(records(f"{source}:nosuchsplit"))


def test_the_files_that_a_load_writes_are_no_part_of_a_folder(tmp_path):
    """Neither by their path, though they are made later, nor through a link, nor by their first line."""
    bad, letters, linked = tmp_path / "bad.jsonl", tmp_path / "letters.jsonl", tmp_path.parent / "elsewhere.jsonl"
    write(tmp_path, {"a.jsonl": LINE, "letters.jsonl": LINE.replace(b"a", b"b")})
    linked.write_bytes(LINE)
    (tmp_path / "link.jsonl").symlink_to(linked)
    os.link(letters, tmp_path / "second.jsonl")
    (tmp_path / "earlier.jsonl").write_text('{"hybrid_search": "bad records", "version": 2}\n{"where": "x"}\n')
    found = documents(tmp_path, DocumentSettings(), exclude=[bad, letters, linked])
    bad.write_bytes(LINE)
    assert [document.id for document in found] == ["a"]


def test_a_file_that_grows_with_the_reading_does_not_make_it_endless(tmp_path):
    """As --skip-bad inside the source's folder did: each record that is read adds one to the file."""
    bad = tmp_path / "bad.jsonl"
    write(tmp_path, {"a.jsonl": b"{broken\n" + LINE})
    bad.write_bytes(b"")

    def keep(_error, data):
        with bad.open("ab") as file:
            file.write(data + b"{broken\n")

    assert [document.id for document in documents(tmp_path, DocumentSettings(), on_bad=keep, exclude=[bad])] == ["a"]


def test_texts_and_folders_of_a_load_are_left_out(tmp_path):
    """A state folder inside the source with all that is in it, and SQLite's files beside the cache."""
    write(tmp_path, {"a.txt": b"x", "state/b.txt": b"y", "cache.txt-wal": b"z", "notes.md": b"n"})
    assert read(tmp_path, exclude=[tmp_path / "state", tmp_path / "notes.md"]) == [("a.txt", "a\nx")]
    before = source_identity(tmp_path, exclude=[tmp_path / "cache.txt"])
    (tmp_path / "cache.txt").write_text("grown")
    (tmp_path / "cache.txt-wal").write_text("grown")
    assert source_identity(tmp_path, exclude=[tmp_path / "cache.txt"]) == before
    assert source_identity(tmp_path) != before


def test_a_source_that_the_load_writes_to_is_refused(tmp_path):
    """By its name, through a link, or because it is a file of another load."""
    path, link, letters = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    path.write_bytes(LINE)
    link.symlink_to(path)
    letters.write_text('{"hybrid_search": "dead letters", "version": 2}\n')
    for source, exclude in ((path, [path]), (path, [link]), (link, [path]), (letters, [])):
        assert "is a file that hybrid-search itself writes" in refusal(source, exclude=exclude)
        with pytest.raises(SourceError, match="itself writes"):
            source_identity(source, exclude=exclude)
