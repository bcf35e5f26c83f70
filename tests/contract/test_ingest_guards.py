"""What people do every day, on every engine: wrong paths, cut sources, second sources, interrupted rebuilds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loading import GeneratedEncoder, documents, record_line

from hybrid_search import demo
from hybrid_search.engine import indices
from hybrid_search.engine.layout import DOC_ID
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IngestError, ModelError, RecordError, SettingsError, SourceError
from hybrid_search.ingest import LoadOptions, index_documents, left_out
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import EVERYTHING, Limit
from hybrid_search.ingest.patience import RetryPolicy
from hybrid_search.ingest.source import SourceOptions, index_source, plan_source
from hybrid_search.ingest.state.indexed import document_count
from hybrid_search.ingest.state.lease import leased
from hybrid_search.recreate import recreate
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",), number=("place",)), chunking=ChunkingSettings(overlap=2))
OPTIONS = LoadOptions(retry=RetryPolicy(first=0.05, patience=30.0))


@pytest.fixture
def source(connection, index_name, tmp_path):
    """A file of documents and an index: ``write`` writes the file, ``load`` loads it, ``rebuild`` makes it anew."""

    class Source:
        index = index_name()
        path = tmp_path / "source.jsonl"
        files = LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")

        def write(self, count, *, first=0, path=None):
            lines = (record_line(document) for document in documents(count, first=first))
            (path or self.path).write_text("".join(lines))

        def load(self, path=None, encoder=None, files=None, **what):
            return index_source(
                path or self.path,
                self.index,
                connection,
                encoder or GeneratedEncoder(),
                SETTINGS,
                files=files or self.files,
                what=SourceOptions(**what),
                options=OPTIONS,
            )

        def rebuild(self, path=None, encoder=None, confirm=None, **what):
            return recreate(
                path or self.path,
                self.index,
                connection,
                encoder or GeneratedEncoder(),
                SETTINGS,
                files=LoadFiles(tmp_path / "journal-2", tmp_path / "letters-2.jsonl"),
                what=SourceOptions(**what),
                confirm=confirm,
                options=OPTIONS,
            )

        def ids(self):
            indices.refresh(connection, self.index)
            return document_count(connection, self.index)

    made = Source()
    yield made
    for number in range(1, 5):
        connection.transport.send(Request.json("DELETE", f"/{made.index}-{number}"))


class Unloadable(GeneratedEncoder):
    """A model that fails at the first text."""

    def encode_documents(self, texts):  # noqa: ARG002  # the protocol's
        raise ModelError("the weights are cut short", where="model")


def test_a_mistyped_path_leaves_neither_an_empty_index_nor_a_deleted_one(connection, source, tmp_path):
    """No such file: no index is made; with recreate the one that is there goes on serving."""
    with pytest.raises(SourceError, match="no such file"):
        source.load(tmp_path / "typo.jsonl")
    assert not indices.exists(connection, source.index)
    source.write(30)
    source.load()
    with pytest.raises(SourceError, match="no such file"):
        source.rebuild(tmp_path / "typo.jsonl")
    assert source.ids() == 30


@pytest.mark.parametrize(
    ("first_line", "encoder", "error"),
    [("{broken\n", GeneratedEncoder(), RecordError), ("", Unloadable(), ModelError)],
    ids=["unreadable first record", "unloadable model"],
)
def test_what_fails_before_the_first_document_leaves_the_index_as_it_was(source, first_line, encoder, error):
    """A new index is not begun, and the old one not touched."""
    source.write(30)
    source.load()
    source.path.write_text(first_line + source.path.read_text())
    with pytest.raises(error):
        source.rebuild(encoder=encoder)
    assert source.ids() == 30


def test_recreate_takes_the_place_in_one_step_and_needs_all_documents(connection, source):
    """30 documents, then a source cut to 2: the old index serves on; with all of them an alias takes its place."""
    source.write(30)
    source.load()
    source.write(2)
    with pytest.raises(IngestError, match=r"has 2 documents, .* has 30: 28 fewer"):
        source.rebuild()
    assert source.ids() == 30
    source.write(31)
    source.rebuild()
    assert source.ids() == 31
    assert len(indices.aliased(connection, source.index)) == 1
    source.write(29)
    source.rebuild()
    assert source.ids() == 29
    assert source.load().unchanged == 29


def test_an_index_that_others_made_is_replaced_only_when_its_name_is_repeated(connection, source):
    """Its one document is there until then."""
    connection.send(Request.json("PUT", f"/{source.index}/_doc/1", {"any": 1}, refresh="true"))
    source.write(3)
    with pytest.raises(IndexMismatchError, match="was not made by hybrid-search"):
        source.rebuild()
    with pytest.raises(SettingsError, match="--confirm"):
        source.rebuild(confirm="another")
    assert indices.count(connection, source.index, {"match_all": {}}) == 1
    source.rebuild(confirm=source.index)
    assert source.ids() == 3


def test_sync_removes_a_tenth_at_most_unless_more_is_allowed(source):
    """Of 50 documents 5 may go; a source cut to 1 loses none and says how to go on; 45 left are synced."""
    source.write(50)
    source.load()
    source.write(1)
    report = source.load(sync=True)
    assert "49 of 50 documents" in report.withheld
    assert source.ids() == 50
    source.write(45)
    report = source.load(sync=True)
    assert (report.withheld, report.removed, source.ids()) == (None, 5, 45)
    source.write(1)
    assert source.load(sync=True, max_removed=Limit.parse("44")).withheld is None
    assert source.ids() == 1


def test_a_program_that_syncs_nothing_removes_nothing(connection, source):
    """An empty iterable is an accident until it is said otherwise."""
    arguments = (source.index, connection, GeneratedEncoder(), SETTINGS)
    index_documents(documents(20), *arguments)
    with pytest.raises(IngestError, match="20 of 20 documents"):
        index_documents([], *arguments, sync=True)
    assert source.ids() == 20
    index_documents([], *arguments, sync=True, max_removed=EVERYTHING)
    assert source.ids() == 0


def test_sync_from_a_pipe_needs_the_number_of_documents(source):
    """The end of a pipe says nothing about its producer."""
    with pytest.raises(SettingsError, match="--expect N"):
        source.load("-", sync=True)


def test_a_source_with_fewer_documents_than_expected_removes_nothing(source):
    """30 are expected, 28 come."""
    source.write(30)
    source.load()
    source.write(28)
    report = source.load(sync=True, expected=30)
    assert "28 documents, 30 were expected" in report.withheld
    assert source.ids() == 30


def test_sync_leaves_alone_what_another_source_has_put_there(connection, source, tmp_path):
    """Two files in one index: each removes only what it had itself."""
    other = tmp_path / "other.jsonl"
    source.write(20)
    source.write(20, first=100, path=other)
    source.load()
    source.load(other, files=LoadFiles(tmp_path / "j2", tmp_path / "l2"))
    source.write(19, first=101, path=other)
    report = source.load(other, files=LoadFiles(tmp_path / "j2", tmp_path / "l2"), sync=True)
    assert (report.source, report.removed) == ("other.jsonl", 1)
    assert source.ids() == 39
    assert document_count(connection, source.index, "source.jsonl") == 20


def test_an_id_of_another_source_is_not_overwritten(source, tmp_path):
    """d0 to d9 belong to the first file; the second may take them over only when it says so."""
    other = tmp_path / "other.jsonl"
    source.write(10)
    source.write(10, path=other)
    source.load()
    files = LoadFiles(tmp_path / "j2", tmp_path / "l2")
    with pytest.raises(IngestError, match=r"belong to the source 'source\.jsonl'"):
        source.load(other, files=files)
    assert source.load(other, files=files, take_over=True).indexed == 10
    assert source.load(other, files=files).unchanged == 10


def test_a_source_that_was_elsewhere_does_not_sync_under_the_same_name(source, tmp_path):
    """Another folder's source.jsonl is another source, until its name is said."""
    source.write(10)
    source.load()
    moved = tmp_path / "elsewhere" / "source.jsonl"
    moved.parent.mkdir()
    source.write(9, path=moved)
    with pytest.raises(SettingsError, match="was loaded from"):
        source.load(moved, sync=True)
    assert source.load(moved, sync=True, name="source.jsonl").removed == 1


def test_a_dry_run_counts_and_changes_nothing(connection, source):
    """Of 20 documents 2 are gone, 1 is new, 1 has changed and 17 are as they were."""
    source.write(20)
    source.load()
    changed = replace(next(documents(1, first=2)), text="another text")
    lines = [record_line(changed), *(record_line(document) for document in documents(18, first=3))]
    source.path.write_text("".join(lines))
    plan = plan_source(
        source.path, source.index, connection, GeneratedEncoder(), SETTINGS, what=SourceOptions(sync=True)
    )
    assert (plan.new, plan.changed, plan.unchanged, plan.missing.count) == (1, 1, 17, 2)
    assert plan.missing.first == ("d0", "d1")
    assert source.ids() == 20


def test_a_load_after_a_removal_does_not_trust_the_journal(connection, source, monkeypatch):
    """40 documents are settled and the load broken off; 10 are deleted; the next run brings them back."""
    from hybrid_search.ingest.maintain.remove import delete_documents

    monkeypatch.setattr(left_out, "SAMPLED", 8)  # the broken line is behind what is looked through
    source.write(40)
    source.path.write_text(source.path.read_text() + "{broken\n")
    with pytest.raises(RecordError):
        source.load()
    assert source.ids() == 40
    delete_documents(connection, source.index, [f"d{number}" for number in range(10)])
    source.write(40)
    assert source.load().indexed == 10
    assert source.ids() == 40


def test_the_demo_deletes_only_what_it_made(connection, index_name, monkeypatch):
    """An index of its name that somebody else made is refused; one of other models is the demo's own, and made anew."""
    name = index_name()
    monkeypatch.setattr(demo, "INDEX", name)
    monkeypatch.setattr(demo.stdlib, "documents", lambda: documents(3))
    connection.send(Request.json("PUT", f"/{name}/_doc/1", {"any": 1}, refresh="true"))
    with pytest.raises(IndexMismatchError, match="was not made by hybrid-search"):
        demo._load(connection, GeneratedEncoder())
    assert indices.count(connection, name, {"match_all": {}}) == 1
    indices.delete_index(connection, name)
    other = replace(GeneratedEncoder().dense, weights="f" * 16)
    demo._load(connection, GeneratedEncoder(dense=other))
    assert demo._load(connection, GeneratedEncoder()).indexed == 3


def test_a_rebuild_of_one_source_does_not_lose_another(source, tmp_path):
    """One document in thirty-one is of another file: no share allows that, only "all" does."""
    other = tmp_path / "other.jsonl"
    source.write(30)
    source.write(1, first=100, path=other)
    source.load()
    source.load(other, files=LoadFiles(tmp_path / "j2", tmp_path / "l2"))
    with pytest.raises(IngestError, match=r"documents of 2 sources \(source\.jsonl, other\.jsonl\)"):
        source.rebuild()
    assert source.ids() == 31
    source.rebuild(max_removed=EVERYTHING)
    assert source.ids() == 30


def test_a_document_that_has_gone_bad_is_not_taken_for_gone(connection, index_name):
    """Its number is infinite now: it is set aside, and what was loaded of it before stays through a sync."""
    index, bad = index_name(), []
    arguments = (index, connection, GeneratedEncoder(), SETTINGS)
    index_documents(documents(20), *arguments)
    broken = [replace(next(documents(1)), fields={"place": float("inf")}), *documents(19, first=1)]
    report = index_documents(broken, *arguments, sync=True, on_bad=lambda error, _: bad.append(error))
    assert (report.skipped, report.removed, len(bad)) == (1, 0, 1)
    assert document_count(connection, index) == 20


@pytest.mark.parametrize("is_alias", [False, True], ids=["an index", "an alias"])
def test_a_recreated_index_keeps_all_of_its_aliases(connection, source, is_alias):
    """A tenant searches it through an alias with a filter: it stands for the new index, with the filter."""
    source.write(20)
    source.load()
    if is_alias:
        source.rebuild()
    tenant = f"{source.index}-tenant"
    below_five = {"range": {"filter.place": {"lt": 5}}}
    live = indices.aliased(connection, source.index) or [source.index]
    actions = [{"add": {"index": live[0], "alias": tenant, "filter": below_five}}]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    source.rebuild()
    assert indices.aliased(connection, tenant) == indices.aliased(connection, source.index) != live
    assert indices.count(connection, tenant, {"match_all": {}}) == 5


def test_an_index_that_is_recreated_through_an_alias_keeps_its_own_name(connection, source, index_name):
    """Others search it by that name, which is an alias of the new index then; the alias keeps its filter."""
    source.write(20)
    source.load()
    below_five = {"range": {"filter.place": {"lt": 5}}}
    own, source.index = source.index, index_name()
    actions = [{"add": {"index": own, "alias": source.index, "filter": below_five}}]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    source.rebuild()
    assert indices.aliased(connection, own) == indices.aliased(connection, source.index) == [f"{source.index}-1"]
    assert indices.count(connection, own, {"range": {"filter.place": {"gte": 0}}}) == 20
    assert indices.count(connection, source.index, {"range": {"filter.place": {"gte": 0}}}) == 5


def test_an_index_that_is_being_loaded_is_not_replaced(connection, source):
    """What that load writes would be in neither: refused, and the old index serves on."""
    source.write(20)
    source.load()
    another = leased(connection, connection, source.index, "another", exclusive=True)
    with another, pytest.raises(IngestError, match="is being loaded"):
        source.rebuild()
    assert source.ids() == 20


def test_a_sync_through_an_alias_with_a_filter_is_refused(connection, source):
    """It shows 5 of 30 documents; one is left in the source, and the 29 others stay, by either call."""
    source.write(30)
    source.load()
    shown = {"terms": {DOC_ID: [f"d{number}" for number in range(5)]}}
    actions = [{"add": {"index": source.index, "alias": f"{source.index}-tenant", "filter": shown}}]
    connection.send(Request.json("POST", "/_aliases", {"actions": actions}))
    source.write(1)
    index, source.index = source.index, f"{source.index}-tenant"
    with pytest.raises(SettingsError, match="an alias with a filter shows a part of its index"):
        source.load(sync=True, max_removed=EVERYTHING)
    with pytest.raises(SettingsError, match="an alias with a filter shows a part of its index"):
        index_documents(
            documents(1), source.index, connection, GeneratedEncoder(), SETTINGS, sync=True, max_removed=EVERYTHING
        )
    source.index = index
    assert source.ids() == 30
