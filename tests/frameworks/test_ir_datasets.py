"""ir_datasets by name: documents, queries and judgements, from a collection that is registered here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from hybrid_search import read
from hybrid_search.cli.app import app
from hybrid_search.errors import RecordError, SourceError
from hybrid_search.settings import DocumentSettings

ir_datasets = pytest.importorskip("ir_datasets")
from ir_datasets.formats import BaseDocs, BaseQrels, BaseQueries, GenericQrel, GenericQuery  # noqa: E402


class Author(NamedTuple):
    name: str
    born: date


class Article(NamedTuple):
    doc_id: str
    title: str
    body: str
    authors: tuple
    scan: bytes

    def default_text(self) -> str:
        return f"{self.title} {self.body}"


class Graded(NamedTuple):
    query_id: str
    doc_id: str
    gain: float


ARTICLES = [
    Article("a1", "Tea", "Green tea is steeped at eighty degrees.", (Author("Ito", date(1970, 1, 2)),), b"\xff\x00"),
    Article("a2", "Coffee", "Espresso is stopped after half a minute.", (), b""),
    Article("a3", "Bread", "Sourdough rests in the fridge over night.", (), b""),
]
QUERIES = [GenericQuery("q1", "how hot is green tea"), GenericQuery("q2", "dough over night")]
QRELS = [GenericQrel("q1", "a1", 2), GenericQrel("q1", "a1", 1), GenericQrel("q2", "a3", 1)]


class Docs(BaseDocs):
    def docs_iter(self) -> Iterator[Article]:
        return iter(ARTICLES)

    def docs_cls(self) -> type:
        return Article


class Queries(BaseQueries):
    def __init__(self, queries) -> None:
        self._queries = queries

    def queries_iter(self) -> Iterator[GenericQuery]:
        return iter(self._queries)


class Judgements(BaseQrels):
    def __init__(self, qrels) -> None:
        self._qrels = qrels

    def qrels_iter(self) -> Iterator[GenericQrel]:
        return iter(self._qrels)


def registered(*parts, name: str | None = None) -> str:
    """A collection of these parts under a name that no other test has."""
    name = name or f"drinks-{uuid4().hex[:8]}"
    ir_datasets.registry.register(name, ir_datasets.Dataset(*parts))
    return f"ir_datasets:{name}"


@pytest.fixture
def whole() -> str:
    return registered(Docs(), Queries(QUERIES), Judgements(QRELS))


def test_documents_have_their_fields(whole) -> None:
    """The default text without the title is the text; what JSON cannot say is said in what it can."""
    [tea, *others] = read.documents(whole, DocumentSettings())
    assert (tea.id, tea.text) == ("a1", "Tea\nGreen tea is steeped at eighty degrees.")
    assert tea.origin == f"{whole}:1"
    assert tea.fields == {
        "title": "Tea",
        "body": "Green tea is steeped at eighty degrees.",
        "authors": [{"name": "Ito", "born": "1970-01-02"}],
        "scan": None,
    }
    assert [document.id for document in others] == ["a2", "a3"]


def test_queries_and_judgements_come_along(whole) -> None:
    """Of a document that was judged twice the higher grade counts."""
    assert [(query.id, query.text) for query in read.queries(whole)] == [(q.query_id, q.text) for q in QUERIES]
    assert read.qrels(whole) == {"q1": {"a1": 2}, "q2": {"a3": 1}}


def test_indexed_and_evaluated_by_name(engine_url, index_name, whole) -> None:
    """``index`` and ``evaluate`` take the name where they take a file; the source has it as its name."""
    name, run = index_name(), CliRunner().invoke
    how = ["--url", engine_url, "--set", "dense.model=none", "--set", "sparse.model=idf"]
    loaded = run(app, ["index", whole, name, *how, "--no-cache", "--json"])
    assert loaded.exit_code == 0, loaded.output
    report = orjson.loads(loaded.stdout)
    assert (report["documents"], report["source"]) == (3, whole)
    measured = run(app, ["evaluate", name, "--queries", whole, "--qrels", whole, "--legs", "bm25", *how, "--json"])
    assert measured.exit_code == 0, measured.output
    [bm25] = orjson.loads(measured.stdout)["systems"]
    assert bm25["nDCG@10"] == 1


def test_beir_by_name_leaves_out_the_query_itself() -> None:
    """As for a folder of BEIR; other collections keep it."""
    assert read.is_beir("ir_datasets:beir/scifact/test")
    assert not read.is_beir("ir_datasets:vaswani")


@pytest.mark.parametrize(
    ("parts", "asked", "message"),
    [
        ((Docs(),), read.qrels, r"has no judgements\. It has docs; name a part that has them"),
        ((Docs(),), read.queries, "has no queries"),
        ((Queries(QUERIES),), lambda name: next(read.records(name)), r"has no documents\. It has queries"),
        ((Queries([]),), read.queries, "holds no query"),
        ((Judgements([]),), read.qrels, "holds no judgement"),
        ((Judgements([Graded("q", "a", 0.5)]),), read.qrels, "no whole grade, but query_id, doc_id, gain"),
    ],
)
def test_a_part_that_is_not_there_is_named(parts, asked, message) -> None:
    """What the collection has is said too."""
    with pytest.raises(SourceError, match=message):
        asked(registered(*parts))


def test_a_name_that_is_unknown_suggests_one_that_is() -> None:
    """The nearest of the registry."""
    with pytest.raises(SourceError, match=r"no such collection\. Did you mean ir_datasets:vaswani"):
        read.queries("ir_datasets:vaswanni")


def test_a_query_without_text_is_refused_unless_asked_for() -> None:
    """``evaluate`` counts it 0; who wants only queries that can be searched hears of it."""
    name = registered(Queries([GenericQuery("q7", " ")]))
    assert [query.id for query in read.queries(name, empty=True)] == ["q7"]
    with pytest.raises(RecordError, match="the query 'q7' has no text"):
        read.queries(name)


def test_a_download_that_fails_says_so() -> None:
    """Whatever the library raises becomes an error of the source."""

    class Gone(BaseQueries):
        def queries_iter(self) -> Iterator[GenericQuery]:
            raise ConnectionError("no route")

    with pytest.raises(SourceError, match=r"cannot be read \(ConnectionError: no route\)"):
        read.queries(registered(Gone()))
