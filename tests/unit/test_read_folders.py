"""Folders and patterns: parts below, what is left out and said, and files that are one document each."""

import os
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hybrid_search.errors import MissingExtraError, RecordError, SourceError
from hybrid_search.ingest.source import source_name
from hybrid_search.ingest.state.identity import source_identity
from hybrid_search.read import records
from hybrid_search.read.front_matter import front_matter

LINE = b'{"_id": "%d"}\n'


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of files; reads it, and keeps what was said."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def read(source, **options):
    read.notes = []
    return [record.values for record in records(source, on_note=read.notes.append, **options)]


def test_a_pipe_among_files_is_left_out(folder):
    """To open one waits for somebody who writes; it is said."""
    root = folder({"a.jsonl": '{"_id": "1"}\n'})
    os.mkfifo(root / "b.jsonl")
    assert read(root) == [{"_id": "1"}]
    assert read.notes == [f"{root}: left out: b.jsonl (no files)"]


def test_partitions_say_what_their_folders_are_called(folder):
    """As Hive writes them; a column of the file itself is left as it is."""
    root = folder({"_SUCCESS": b"", "_delta_log/0.json": b"{}"})
    for year, day in (("2023", "a%2Fb"), ("2024", "__HIVE_DEFAULT_PARTITION__")):
        part = root / f"year={year}" / f"day={day}"
        part.mkdir(parents=True)
        pq.write_table(pa.table({"_id": [f"r{year}"], "day": pa.array([None], pa.string())}), part / "part-0.parquet")
    assert read(root) == [{"year": "2023", "day": "a/b", "_id": "r2023"}, {"year": "2024", "_id": "r2024"}]
    assert read.notes == [f"{root}: left out: _SUCCESS, _delta_log (working files)"]


def test_a_clone_of_a_data_set_is_its_data(folder):
    """A README, a licence and what hides beside the parts are left out, and it is said."""
    root = folder(
        {
            ".git/config": b"x",
            ".gitattributes": b"x",
            "README.md": b"# About",
            "LICENSE": b"MIT",
            "dataset_infos.json": b'{"default": {"splits": 2}}',
            "data/train.jsonl": LINE % 1,
            "data/test.jsonl": LINE % 2,
            "data/~$train.jsonl": b"x",
            "data/x.jsonl.tmp": b"x",
            "picture.png": b"x",
        }
    )
    assert read(root) == [{"_id": "2"}, {"_id": "1"}]
    (note,) = read.notes
    assert note.startswith(f"{root}: left out: .git, .gitattributes (hidden)")
    for said in ("x.jsonl.tmp, ~$train.jsonl (temporary)", "*.png", "dataset_infos.json, README.md (beside the data)"):
        assert said in note


def test_a_folder_of_readmes_is_text(folder):
    """Where there is nothing else, they are what is meant."""
    assert [values["_id"] for values in read(folder({"README.md": b"# A", "docs/README.md": b"# B"}))] == [
        "README.md",
        "docs/README.md",
    ]


def test_a_pattern_is_one_source(folder):
    """Sorted, with its own name and identity; a file of that very name comes first."""
    root = folder({"a/1.jsonl": LINE % 1, "b/2.jsonl": LINE % 2, "b/3.csv": b"_id\n3\n", "c[1].jsonl": LINE % 4})
    pattern = f"{root}/**/[12].jsonl"
    assert read(pattern) == [{"_id": "1"}, {"_id": "2"}]
    assert source_name(pattern) == pattern
    before = source_identity(Path(pattern))
    assert before["files"] == 2
    (root / "b/1.jsonl").write_bytes(LINE % 5)
    assert source_identity(Path(pattern)) != before
    assert read(f"{root}/c[1].jsonl") == [{"_id": "4"}]
    with pytest.raises(SourceError, match="no file matches the pattern"):
        read(f"{root}/*.xml")


FRONT = [
    ("---\nTitle: A: b\n---\n", {}),
    ('---\nTitle: "A"\nTAGS: [x, y]\ndate: 2024-01-02\ncountry: no\nn: 1.0\nempty:\n---\n', {}),
    ("+++\ntitle = 'A'\ndate = 2024-01-02\n+++\n", {}),
    ("---\na: &x [1]\nb: *x\n---\n", {}),
    ("no front\n---\na: b\n---\n", None),
]
EXPECTED = [
    {"title": "A: b"},
    {"title": "A", "tags": ["x", "y"], "date": "2024-01-02", "country": "no", "n": "1.0"},
    {"title": "A", "date": "2024-01-02"},
    {"a": "&x [1]", "b": "*x"},
    {},
]


@pytest.mark.parametrize(
    ("text", "fields"),
    [(text, fields) for (text, _), fields in zip(FRONT, EXPECTED, strict=True)],
    ids=["broken", "yaml", "toml", "references", "none"],
)
def test_front_matter_of_every_kind(text, fields):
    """Names in lower case, values as they are written; what is broken is read line by line."""
    found = front_matter(f"{text}Body")
    assert found.fields == fields
    assert found.body == ("Body" if fields else f"{text}Body")


def test_fields_of_front_matter_are_kept(folder):
    """Beside id, title and text of the file, whose names they do not take."""
    text = "---\nTitle: Lamps\nTags: [a, b]\ntext: x\nID: 7\n---\n# Heading\nBody"
    (values,) = read(folder({"a.md": text}) / "a.md")
    assert values == {
        "_id": "a.md",
        "title": "Lamps",
        "text": "# Heading\nBody",
        "tags": ["a", "b"],
        "front_text": "x",
        "id": "7",
    }


PAGE = """<!doctype html><html lang="en"><head><title>Lighthouses
 - Site</title><meta name="Author" content="Ann"><meta charset="%s"><style>p{}</style></head><body><nav>Home</nav>
<main><h1>Lighthouses</h1><p>The keeper lit the <b>lamp</b> in K\xf6ln.</p><aside>ad</aside></main><footer>(c)</footer>
<script>1</script></body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_a_page_is_the_text_of_its_main_part(folder, encoding):
    """Without navigation, footer and scripts; what the page says of its encoding is believed."""
    (values,) = read(folder({"a.html": (PAGE % encoding).encode(encoding)}) / "a.html")
    assert values == {
        "_id": "a.html",
        "title": "Lighthouses - Site",
        "text": "Lighthouses\nThe keeper lit the lamp in Köln.",
        "author": "Ann",
        "language": "en",
    }


def test_a_page_without_main_part_is_all_its_text(folder):
    """A teaser in an article is not taken for the page."""
    text = "word " * 100
    page = f"<nav>Home</nav><article>Short</article><p>{text}</p>"
    root = folder({"sub/a.htm": page, "b.html": "<p>Only &eacute;", "c.html": "<script>1</script>"})
    bad = []
    found = {values["_id"]: values for values in read(root, on_bad=lambda error, _data: bad.append(error.what))}
    assert found["sub/a.htm"]["text"] == f"Short\n{text.strip()}"
    assert (found["b.html"]["title"], found["b.html"]["text"]) == ("b", "Only é")


@pytest.fixture
def word(tmp_path):
    """A Word document of paragraphs."""
    space = "http://schemas.openxmlformats.org"
    kinds = f'<Types xmlns="{space}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd'
    kinds += '.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    kinds += '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument'
    kinds += '.wordprocessingml.document.main+xml"/></Types>'
    links = (
        f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="r" Target="word/document.xml" '
    )
    links += f'Type="{space}/officeDocument/2006/relationships/officeDocument"/></Relationships>'

    def write(name, *paragraphs):
        body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
        main = f'<w:document xmlns:w="{space}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for part, content in {
                "[Content_Types].xml": kinds,
                "_rels/.rels": links,
                "word/document.xml": main,
            }.items():
                archive.writestr(part, content)
        return tmp_path / name

    return write


def pdf(*lines, title=""):
    """The smallest PDF of some lines."""
    shown = "BT /F1 12 Tf 72 720 Td " + " ".join(f"({line}) Tj 0 -16 Td" for line in lines) + " ET"
    fonts = "<< /Font << /F1 5 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources {fonts} >>",
        f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>",
    ]
    text, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size 7 /Root 1 0 R /Info 6 0 R >>\nstartxref\n{len(text)}\n%%EOF"
    return f"{text}xref\n0 7\n0000000000 65535 f \n{table}{end}".encode()


def test_word_and_pdf_are_documents_beside_pages_and_texts(folder, word):
    """One folder of them all; a scan and a broken file are reported, each by its name."""
    pytest.importorskip("kreuzberg", reason="the extra [documents] is not installed")
    root = folder(
        {"b.pdf": pdf("The keeper", "lit the lamp.", title="Lighthouse"), "c.pdf": b"%PDF-1.4 x", "d.md": "# D"}
    )
    folder({"scan.pdf": pdf()})
    word("a.docx", "Tools", "A spade digs.")
    bad = []
    found = [
        (values["_id"], values["title"], values["text"])
        for values in read(root, on_bad=lambda error, _data: bad.append(f"{error.where}: {error.what}"))
    ]
    assert found == [
        ("a.docx", "a", "Tools\n\nA spade digs."),
        ("b.pdf", "Lighthouse", "The keeper\nlit the lamp."),
        ("d.md", "D", ""),
    ]
    assert [line[len(str(root)) + 1 :][:34] for line in bad] == [
        "c.pdf: no text can be read from it",
        "scan.pdf: the text is empty: a sca",
    ]


def test_a_folder_with_some_pdf_is_read_without_their_library(folder, monkeypatch):
    """They are left out, with the command that installs it; by themselves they are an error."""
    monkeypatch.setitem(sys.modules, "kreuzberg", None)
    root = folder({"a.md": b"# A\nx", "b.pdf": b"x"})
    assert [values["_id"] for values in read(root)] == ["a.md"]
    assert read.notes == [f"{root}: left out: b.pdf (needs pip install 'hybrid-search[documents]')"]
    with pytest.raises(MissingExtraError):
        read(root, format="pdf")


def test_an_empty_text_names_its_file(folder):
    """An empty file among the texts is a record without text."""
    root = folder({"a.txt": b"x", "b.txt": b" "})
    with pytest.raises(RecordError, match=r"b\.txt: the text is empty"):
        read(root)
