"""An index of its owner as a source, on every engine: read whole, gone on with, looked at by init; never changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loading import GeneratedEncoder
from owned import MAPPINGS, article, delete, make, source_of, write

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.protocols import Answer, Request
from hybrid_search.errors import (
    QueryError,
    RecordError,
    SettingsError,
    SourceChangedError,
    SourceError,
    UnsupportedError,
)
from hybrid_search.ingest import LoadOptions
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.ingest.origin import origin_of
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.report import IngestReport
from hybrid_search.ingest.source import SourceOptions, index_source, plan_source
from hybrid_search.read import documents
from hybrid_search.read.indexed import Asked, Origin
from hybrid_search.read.splits import plan_splits, read_split
from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings, SourceSettings

DOCUMENTS = DocumentSettings(
    text=("headline", "body"), title="headline", keyword=("brand",), number=("year",), date=("published",)
)
OPTIONS = LoadOptions(
    senders=1,
    body_bytes=12_000,
    most_body_bytes=12_000,
    split_bytes=160_000,
    retry=RetryPolicy(first=0.05, patience=30),
)
"""Splits of 50 operations, and bodies of a few documents."""


class BrokenOffError(Exception):
    """Ends a load from within."""


class Loading:
    """An index of 300 articles on two shards, and loads of it into an index of OpenSearch."""

    def __init__(self, source: Connection, index: str, target: Connection, name: str, folder: Path) -> None:
        self.connection, self.index, self.target, self.name, self.folder = source, index, target, name, folder
        self.source = source_of(source, index)
        self.settings = Settings(
            documents=DOCUMENTS,
            chunking=ChunkingSettings(overlap=2),
            engine=EngineSettings(url=target.where),
            source=SourceSettings(url=source.where),
        )
        self.encoder = GeneratedEncoder(max_tokens=64)

    def load(self, *, stop: int | None = None, what: SourceOptions | None = None, **options: Any) -> IngestReport:
        """Load it; with ``stop``, until so many documents are settled."""

        def stopping(progress: Any) -> None:
            if stop is not None and progress.documents >= stop:
                raise BrokenOffError

        files = LoadFiles(self.folder / "journal", self.folder / "letters.jsonl")
        return index_source(
            self.source,
            self.name,
            self.target,
            self.encoder,
            self.settings,
            files=files,
            what=what,
            progress=stopping,
            options=replace(OPTIONS, **options),
        )

    def verified(self, **asked: Any) -> Any:
        """The comparison of the target with the source as it is now."""
        with origin_of(self.source, self.settings) as origin:
            found = documents(self.source, DOCUMENTS, unique_ids=False, origin=origin, **asked)
            return verify(found, self.name, self.target, self.settings.chunking)


@pytest.fixture
def loading(
    connection: Connection,
    opensearch: Connection,
    new_names: Callable[[Connection], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Loading:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    index = new_names(connection)
    make(connection, index, **{"index.number_of_shards": 2})
    write(connection, index, {f"a{number}": article(number) for number in range(300)})
    return Loading(connection, index, opensearch, new_names(opensearch), tmp_path)


@pytest.fixture
def origin(connection: Connection) -> Iterator[Origin]:
    """The cluster as a source."""
    with closing(Origin(connect(EngineSettings(url=connection.where)))) as opened:
        yield opened


def ids(found: Any) -> list[str]:
    return [document.id for document in found]


def test_every_document_is_read_once_with_its_fields(loading: Loading) -> None:
    """300 documents of two shards: id, texts, and what is filtered on, as its owner wrote them."""
    report = loading.load()
    assert (report.indexed, report.refused, report.source) == (300, 0, loading.source)
    assert loading.verified().is_equal
    with origin_of(loading.source, loading.settings) as origin:
        read = {document.id: document for document in documents(loading.source, DOCUMENTS, origin=origin)}
    assert read["a7"].text == f"{article(7)['headline']}\n{article(7)['body']}"
    assert read["a7"].fields == {name: article(7)[name] for name in ("headline", "brand", "year", "published")}
    assert loading.load().unchanged == 300


def test_a_broken_off_load_goes_on_although_the_index_has_changed(loading: Loading) -> None:
    """Behind 100 settled documents 20 are changed, 10 deleted and 15 come: none is lost, none comes twice.

    What was settled and is as it was is not encoded again: of 300 + 15 - 10 documents, 300 - 10 - 20 are as they were.
    """
    with pytest.raises(BrokenOffError):
        loading.load(stop=100)
    write(loading.connection, loading.index, {f"a{n}": article(n, body=f"Changed {n}.") for n in range(20)})
    delete(loading.connection, loading.index, [f"a{number}" for number in range(20, 30)])
    write(loading.connection, loading.index, {f"b{number}": article(1_000 + number) for number in range(15)})
    loading.encoder.texts.clear()
    report = loading.load()
    assert report.documents + report.resumed == 305
    found = loading.verified()
    assert {name: group.count for name, group in found.faults.items() if name != "extra"} == {
        "missing": 0,
        "stale": 0,
        "partial": 0,
        "edited": 0,
    }
    assert set(found.extra.first) <= {f"a{number}" for number in range(20, 30)}
    assert report.indexed <= 305 - 70  # at least 70 of those that were settled before are as they were
    loading.load(what=SourceOptions(sync=True))
    assert loading.verified().is_equal


def test_a_load_that_goes_on_does_not_read_what_is_settled(loading: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is as it was is read on where the last run stopped."""
    with pytest.raises(BrokenOffError):
        loading.load(stop=120)
    begun: list[int] = []

    def noting(split: Any, *arguments: Any, start: Any = None, **options: Any) -> Iterator[Document]:
        begun.append(split.begin if start is None else start.offset)
        return read_split(split, *arguments, start=start, **options)

    monkeypatch.setattr("hybrid_search.ingest.source.read_split", noting)
    report = loading.load()
    assert report.resumed >= 120
    assert report.documents == 300 - report.resumed
    assert len(begun) < 6  # of six or seven splits of 50 at least two were settled
    assert loading.verified().is_equal


def test_an_index_is_read_as_it_was_when_it_was_first_looked_at(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """What is written meanwhile is not seen: 120 documents, each once, with the contents of before."""
    index = index_name()
    make(connection, index)
    write(connection, index, {f"a{number}": article(number) for number in range(120)})
    source = source_of(connection, index)
    found = documents(source, DOCUMENTS, origin=origin)
    first = [next(found) for _ in range(10)]
    write(connection, index, {f"a{number}": article(number, body="Changed.") for number in range(0, 120, 2)})
    write(connection, index, {f"b{number}": article(number) for number in range(20)})
    delete(connection, index, ["a119"])
    read = [*first, *found]
    assert Counter(ids(read)) == Counter(f"a{number}" for number in range(120))
    assert not any("Changed" in document.text for document in read)


class LosingTransport:
    """A transport whose cluster forgets a point in time after so many pages: it is really closed there."""

    def __init__(self, connection: Connection, after: int) -> None:
        self._connection, self._after, self.pages = connection, after, 0
        self.where, self.lost = connection.where, 0
        self.between: Callable[[], None] = lambda: None

    def send(self, request: Request) -> Answer:
        answer = self._connection.transport.send(request)
        body = json.loads(request.body or b"{}")
        if request.path == "/_search" and body.get("size", 0) > 1:
            self.pages += 1
            if self.pages == self._after:
                self._forget(body["pit"]["id"])
        return answer

    def _forget(self, point: str) -> None:
        is_opensearch = self._connection.dialect.engine == "opensearch"
        path, ids = ("/_search/point_in_time", {"pit_id": [point]}) if is_opensearch else ("/_pit", {"id": point})
        self._connection.send(Request.json("DELETE", path, ids))
        self.lost += 1
        self.between()

    def close(self) -> None:
        """The connection is the tests'."""


def losing(loading: Loading, monkeypatch: pytest.MonkeyPatch, after: int) -> LosingTransport:
    """Lets the next load lose its point in time after so many pages."""
    transport = LosingTransport(loading.connection, after)
    monkeypatch.setattr(
        "hybrid_search.ingest.origin.connect", lambda _: Connection(transport, loading.connection.dialect)
    )
    return transport


def test_reading_goes_on_behind_a_lost_point_in_time(loading: Loading, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine may forget it: where the index is as it was another takes its place, and each document comes once."""
    monkeypatch.setattr("hybrid_search.read.indexed.FIRST_PAGE", 10)
    transport = losing(loading, monkeypatch, 12)
    report = loading.load()
    assert (transport.lost, report.indexed) == (1, 300)
    monkeypatch.undo()
    assert loading.verified().is_equal


def test_an_index_that_changed_behind_a_lost_point_in_time_is_read_by_the_next_run(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was changed has gone from its place: that is said, and the same command goes on with it."""
    monkeypatch.setattr("hybrid_search.read.indexed.FIRST_PAGE", 10)
    looked = losing(loading, monkeypatch, 1_000)
    loading.load()
    transport = losing(loading, monkeypatch, looked.pages - 5)  # the last split but one
    changed = {f"a{number}": article(number, body=f"Changed {number}.") for number in range(300)}
    transport.between = lambda: write(loading.connection, loading.index, changed)
    with pytest.raises(SourceChangedError, match="Run the same command again"):
        loading.load()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(loading.folder / "state"))
    report = loading.load()
    assert report.documents + report.resumed == 300
    assert loading.verified().is_equal


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("brand=Sony and year>=2010", 75),
        ('{"bool": {"must_not": [{"term": {"brand": "Sony"}}]}}', 150),
        ('{"query": {"term": {"year": 2003}}}', 15),
        ("headline=Headline 7 of many", 1),
        ("published<2024-01-03", 22),
    ],
)
def test_a_query_says_which_documents_are_read(loading: Loading, query: str, count: int) -> None:
    """A filter of ours on the owner's fields, or a query of the engine.

    Years go from 2000 to 2019, odd numbers are Sony: 300 / 20 of each year, 5 odd years of the last ten. Days go from
    1 to 28: numbers with remainder 0 or 1 by 28, of which 300 has 11 each.
    """
    what = SourceOptions(query=query)
    assert loading.load(what=what).indexed == count
    assert loading.verified(query=query).is_equal


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("brnd=Sony", "Did you mean 'brand'"),
        ("body=thing", "'body' is a text field"),
        ("comments.said=good", "nested object 'comments'"),
        ('{"term": ', "no valid JSON"),
        ('{"a": 1, "b": 2}', "no query of the engine"),
        (" ", "is empty"),
    ],
)
def test_a_query_that_is_none_is_refused(
    connection: Connection, index_name: Callable[[], str], origin: Origin, query: str, message: str
) -> None:
    """With what is wrong, before anything is read."""
    index = index_name()
    nested = {"type": "nested", "properties": {"said": {"type": "keyword"}}}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "comments": nested}})
    with pytest.raises(QueryError, match=message):
        list(documents(source_of(connection, index), DOCUMENTS, query=query, origin=origin))


def test_plan_and_outlook_of_an_index(loading: Loading) -> None:
    """A dry run counts, and changes nothing; a limit takes the first."""
    plan = plan_source(loading.source, loading.name, loading.target, loading.encoder, loading.settings)
    assert (plan.new, plan.documents) == (300, 300)
    with origin_of(loading.source, loading.settings) as origin:
        assert origin is not None
        assert origin.count(Asked(loading.source)) == 300
    assert loading.load(what=SourceOptions(limit=40)).indexed == 40


def test_sync_removes_what_the_index_has_lost(loading: Loading) -> None:
    """Of 300 documents ten are deleted by their owner."""
    loading.load()
    delete(loading.connection, loading.index, [f"a{number}" for number in range(10)])
    report = loading.load(what=SourceOptions(sync=True))
    assert (report.removed > 0, report.unchanged, report.indexed) == (True, 290, 0)
    assert loading.verified().is_equal


def test_a_source_of_the_same_name_in_another_cluster_is_another(
    loading: Loading, elasticsearch: Connection, opensearch: Connection
) -> None:
    """A sync would remove all documents of the first, unless its name is said."""
    loading.load()
    there = {"elasticsearch": elasticsearch, "opensearch": opensearch}[loading.connection.dialect.engine]
    elsewhere = there.where.replace("127.0.0.1", "localhost")
    loading.settings = Settings(
        documents=DOCUMENTS,
        chunking=loading.settings.chunking,
        engine=loading.settings.engine,
        source=SourceSettings(url=elsewhere),
    )
    with pytest.raises(SettingsError, match="was loaded from"):
        loading.load(what=SourceOptions(sync=True))
    assert loading.load(what=SourceOptions(sync=True, name=loading.source)).unchanged == 300


def test_several_indices_of_one_alias(connection: Connection, index_name: Callable[[], str], origin: Origin) -> None:
    """All are read; an id that two of them have comes again, which is refused or numbered as of any source."""
    first, second, alias = index_name(), index_name(), index_name()
    for name, begin in ((first, 0), (second, 25)):
        make(connection, name)
        write(connection, name, {f"a{number}": article(number) for number in range(begin, begin + 30)})
    actions = [{"add": {"index": name, "alias": alias}} for name in (first, second)]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    source = source_of(connection, alias)
    assert len(list(documents(source, DOCUMENTS, unique_ids=False, origin=origin))) == 60
    with pytest.raises(RecordError, match="was given before"):
        list(documents(source, DOCUMENTS, origin=origin))
    numbered = DocumentSettings(text=("body",), repeated_ids="number")
    assert len(set(ids(documents(source, numbered, origin=origin)))) == 60


def test_an_index_that_keeps_no_documents_is_refused(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """There is nothing to read."""
    index = index_name()
    make(connection, index, {"_source": {"enabled": False}, **MAPPINGS})
    with pytest.raises(SourceError, match=r"keeps no documents.*_source\.enabled"):
        list(documents(source_of(connection, index), DOCUMENTS, origin=origin))


def test_fields_that_an_index_leaves_out_are_said(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """It keeps its documents without the brand; they are loaded without."""
    index, notes = index_name(), []
    make(connection, index, {"_source": {"excludes": ["brand"]}, **MAPPINGS})
    write(connection, index, {"a": article(1)})
    (read,) = documents(source_of(connection, index), DOCUMENTS, origin=origin, on_note=notes.append)
    assert "brand" not in read.fields
    assert notes == [f"{index} keeps its documents without brand"]


def test_nested_objects_come_as_lists(connection: Connection, index_name: Callable[[], str], origin: Origin) -> None:
    """Their fields are filtered on as those of any list of objects; each document is read once."""
    index = index_name()
    nested = {"type": "nested", "properties": {"by": {"type": "keyword"}}}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "comments": nested}})
    comments = [{"by": "Ann"}, {"by": "Bob"}]
    write(connection, index, {"a": article(1, comments=comments), "b": article(2)})
    settings = DocumentSettings(text=("body",), keyword=("comments.by",))
    read = {one.id: one for one in documents(source_of(connection, index), settings, origin=origin)}
    assert sorted(read) == ["a", "b"]
    assert read["a"].fields["comments"] == comments


def vectors_of(connection: Connection) -> dict[str, Any]:
    if connection.dialect.engine == "opensearch":
        return {"type": "knn_vector", "dimension": 4, "method": {"name": "hnsw", "engine": "lucene"}}
    return {"type": "dense_vector", "dims": 4, "similarity": "cosine"}


def test_vectors_are_read_where_settings_name_them(
    connection: Connection, index_name: Callable[[], str], origin: Origin
) -> None:
    """Also where the engine hides them from ``_source``, or keeps them as text; else they stay where they are."""
    index, notes = index_name(), []
    settings = {"index.knn": True} if connection.dialect.engine == "opensearch" else {}
    make(connection, index, {"properties": {**MAPPINGS["properties"], "embedding": vectors_of(connection)}}, **settings)
    vector = [1.0, 2.0, 2.0, 4.0]
    write(connection, index, {"a": article(1, embedding=vector)})
    source = source_of(connection, index)
    (read,) = documents(source, DocumentSettings(text=("body",), dense="embedding"), origin=origin)
    assert read.dense is not None
    assert read.dense.tolist() == pytest.approx(vector)
    (read,) = documents(source, DocumentSettings(text=("body",)), origin=origin, on_note=notes.append)
    assert (read.dense, "embedding" in read.fields) == (None, False)
    assert "vectors in embedding are not read" in notes[0]


def test_vectors_in_base64_are_read_as_they_were_written(
    elasticsearch: Connection, new_names: Callable[[Connection], str]
) -> None:
    """Elasticsearch takes the big-endian bytes as text from 9.3 on."""
    if elasticsearch.dialect.version < (9, 3, 0):
        pytest.skip("this version takes no vectors as text")
    import base64

    import numpy as np

    index = new_names(elasticsearch)
    make(elasticsearch, index, {"properties": {"embedding": vectors_of(elasticsearch), "body": {"type": "text"}}})
    text = base64.b64encode(np.array([1, 2, 2, 4], ">f4").tobytes()).decode()
    write(elasticsearch, index, {"a": {"body": "words", "embedding": text}})
    with closing(Origin(connect(EngineSettings(url=elasticsearch.where)))) as origin:
        (read,) = documents(f"es:{index}", DocumentSettings(text=("body",), dense="embedding"), origin=origin)
    assert read.dense is not None
    assert read.dense.tolist() == pytest.approx([1, 2, 2, 4])


def test_derived_documents_are_read_and_said_to_be_so(
    opensearch: Connection, new_names: Callable[[Connection], str]
) -> None:
    """OpenSearch makes them of their fields where its owner has asked for that."""
    index, notes = new_names(opensearch), []
    mappings = {"properties": {"body": {"type": "text", "store": True}, "brand": {"type": "keyword"}}}
    try:
        make(opensearch, index, mappings, **{"index.derived_source.enabled": True})
    except UnsupportedError as error:
        pytest.skip(str(error))
    write(opensearch, index, {"a": {"body": "many words", "brand": "Sony"}})
    with closing(Origin(connect(EngineSettings(url=opensearch.where)))) as origin:
        settings = DocumentSettings(text=("body",), keyword=("brand",))
        (read,) = documents(f"os:{index}", settings, origin=origin, on_note=notes.append)
    assert (read.text, read.fields) == ("many words", {"brand": "Sony"})
    assert "makes them of their fields" in notes[0]


def test_an_index_that_is_not_there_or_of_the_other_engine(connection: Connection, origin: Origin) -> None:
    """Each error says what to write instead."""
    source = source_of(connection, "no-such-index-here")
    with pytest.raises(SourceError, match="no such index"):
        list(documents(source, DOCUMENTS, origin=origin))
    other = "os" if source.startswith("es") else "es"
    with pytest.raises(SourceError, match=f"Write {source[:2]}:articles"):
        list(documents(f"{other}:articles", DOCUMENTS, origin=origin))
    with pytest.raises(SourceError, match="names no index"):
        list(documents(source[:3], DOCUMENTS, origin=origin))


def test_an_index_of_ours_is_to_be_copied(loading: Loading, opensearch: Connection) -> None:
    """Its passages are no documents."""
    loading.load()
    with (
        closing(Origin(connect(EngineSettings(url=opensearch.where)))) as origin,
        pytest.raises(SourceError, match="hybrid-search copy"),
    ):
        list(documents(f"os:{loading.name}", DOCUMENTS, origin=origin))


def test_an_index_that_is_made_anew_under_its_name_is_read_from_the_beginning(loading: Loading) -> None:
    """Its parts are known by the index's uuid."""
    with pytest.raises(BrokenOffError):
        loading.load(stop=100)
    loading.connection.send(Request.json("DELETE", f"/{loading.index}"))
    make(loading.connection, loading.index)
    write(loading.connection, loading.index, {f"a{number}": article(number) for number in range(50)})
    report = loading.load(what=SourceOptions(sync=True, max_removed=Limit.parse("all")))
    assert report.documents == 50
    assert loading.verified().is_equal


def test_splits_of_several_readers_and_processes(loading: Loading) -> None:
    """Each is read once; a plan made twice is the same as long as the index is, and a split can be pickled."""
    import pickle

    assert loading.load(readers=3).indexed == 300
    assert loading.verified().is_equal
    plans = []
    for _ in range(2):
        with origin_of(loading.source, loading.settings) as origin:
            plans.append(plan_splits(loading.source, split_bytes=160_000, origin=origin))
    assert plans[0] == plans[1]
    assert sum(split.size for split in plans[0]) == 300
    assert pickle.loads(pickle.dumps(plans[0])) == plans[1]  # noqa: S301  # our own
