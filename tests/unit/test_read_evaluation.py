"""Queries and judgements in the formats of BEIR, TREC and plain TSV."""

import gzip

import pytest

from hybrid_search.errors import RecordError, SourceError
from hybrid_search.read import qrels, queries


@pytest.fixture
def file(tmp_path):
    def write(content, name="q.tsv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def refusal(read, path, kind=RecordError):
    with pytest.raises(kind) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", b'{"_id": 1, "text": "one two"}\n{"id": "b", "text": "three"}\n'),
        ("q.jsonl.gz", gzip.compress(b'{"_id": "1", "text": "one two"}\n{"_id": "b", "text": "three"}\n', mtime=0)),
        ("q.tsv", b"1\tone two\nb\tthree\r\n\n"),
        ("q.tsv", b"\xef\xbb\xbf1\tone two\nb\tthree"),
    ],
)
def test_queries_of_every_format(file, name, content):
    """JSON lines and TSV give the same queries, in the order of the file."""
    found = queries(file(content, name))
    assert [(query.id, query.text) for query in found] == [("1", "one two"), ("b", "three")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.tsv", b"query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\ta\t1\n"),
        ("q.tsv", b"q1\ta\t2\nq1\tb\t0\nq2\ta\t1\n"),
        ("q.txt", b"q1 0 a 2\nq1 0 b 0\nq2 0 a 1\n"),
        ("q.txt.gz", gzip.compress(b"q1\t0\ta\t2\nq1\t0\tb\t0\nq2\t0\ta\t1\n", mtime=0)),
        ("q.tsv", b"q1\ta\t2\nq1\ta\t2\nq1\tb\t0\nq2\ta\t1\n"),
    ],
)
def test_judgements_of_every_format(file, name, content):
    """BEIR with its header, three columns, the four of TREC, and lines that say the same twice."""
    assert qrels(file(content, name)) == {"q1": {"a": 2, "b": 0}, "q2": {"a": 1}}


def test_a_query_without_words_is_kept_where_it_is_counted(file):
    """An evaluation counts it 0; a line without a text at all is broken there too."""
    path = file(b"1\tone\n2\t\n")
    assert [query.text for query in queries(path, empty=True)] == ["one", ""]
    assert "a query needs an id and a text" in refusal(queries, path)
    with pytest.raises(RecordError, match="a query needs an id and a text"):
        queries(file(b'{"_id": "1"}\n', "q.jsonl"), empty=True)


def test_ids_with_spaces_are_kept_between_tabs(file):
    """White space separates only where there is no tab."""
    assert qrels(file(b"q 1\tdoc a\t1\n")) == {"q 1": {"doc a": 1}}


def test_a_beir_folder_has_both(file, tmp_path):
    """The test split is the default, others are asked for."""
    file(b'{"_id": "q1", "text": "one"}\n', "queries.jsonl")
    file(b"q1\ta\t1\n", "qrels/test.tsv")
    file(b"q1\tb\t1\n", "qrels/dev.tsv")
    assert [query.id for query in queries(tmp_path)] == ["q1"]
    assert qrels(tmp_path) == {"q1": {"a": 1}}
    assert qrels(tmp_path, split="dev") == {"q1": {"b": 1}}
    with pytest.raises(SourceError, match=r"the folder has no qrels/train\.tsv"):
        qrels(tmp_path, split="train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q1\ta\n", "expected query, document and grade (or the four columns of TREC), got 2 columns"),
        (b"q1\ta\tx\n", "the grade 'x' is no whole number"),
        (b"q1\ta\t0.5\n", "the grade '0.5' is no whole number"),
        (b"q1\t\xff\t1\n", "not UTF-8 at byte 4"),
        (b"q1\ta\t1\nq1\ta\t2\n", "query 'q1' and document 'a' were judged before, with another grade"),
    ],
)
def test_broken_judgements_are_refused_with_their_line(file, content, message):
    """The place is the last line of the file."""
    path = file(content)
    assert refusal(qrels, path).startswith(f"{path}:{content.count(bytes([10]))}: {message}. ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q1\n", "a query needs an id and a text"),
        (b"\ttext\n", "a query needs an id and a text"),
        (b"q1\ta\nq1\tb\n", "the query id 'q1' was given before"),
    ],
)
def test_broken_queries_are_refused_with_their_line(file, content, message):
    """No id, no text, or an id that was there."""
    path = file(content)
    assert refusal(queries, path).startswith(f"{path}:{content.count(bytes([10]))}: {message}. ")


def test_nothing_to_evaluate_is_an_error(file):
    """Empty files are no queries and no judgements."""
    path = file(b"\n")
    expected = f"{path}: holds no query. Expected JSON lines or TSV: id, tab, text"
    assert refusal(queries, path, SourceError) == expected
    assert refusal(qrels, path, SourceError) == f"{path}: holds no judgement. Expected: query, document, grade"
