"""Blue/green on every engine: the alias moves in one step, only for the better, and back."""

from __future__ import annotations

import json
import socket

import msgspec
import psutil
import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.build import Stage, mark
from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import (
    IndexMismatchError,
    IndexMissingError,
    IngestError,
    ModelError,
    QueryError,
    SettingsError,
)
from hybrid_search.evaluate.measures import NDCG, Scores
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.source import SourceOptions
from hybrid_search.ingest.state.lease import leased
from hybrid_search.leftovers import notes
from hybrid_search.records import Query
from hybrid_search.reindex import Encoders, Judged, _verdict, live_index, reindex, rollback
from hybrid_search.settings import DocumentSettings, EngineSettings, SearchSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",)))
FEWER = SourceOptions(max_removed=Limit(most=5))
JUDGED = Judged([Query("w3x0 w3x1", id="q")], {"q": {"d3": 1}})


@pytest.fixture
def build(connection, index_name, tmp_path):
    """Reindexes documents ``first`` to 9 to one alias; every index is deleted afterwards."""
    alias, source, made = index_name(), tmp_path / "source.jsonl", []

    def build(first, encoder=None, settings=SETTINGS, **options):
        lines = [json.dumps({"_id": d.id, "text": d.text}) for d in documents(10 - first, first=first)]
        if not source.exists() or source.read_text() != "\n".join(lines):
            source.write_text("\n".join(lines))  # a file that is written anew is another source
        encoder = encoder or GeneratedEncoder(max_tokens=64)
        files = LoadFiles(tmp_path / f"journal-{len(made)}", tmp_path / "letters.jsonl")
        encoders = Encoders(encoder, encoder, SETTINGS)
        done = reindex(source, alias, connection, encoders, settings, files=files, **options)
        made.append(done.after)
        return done

    build.alias = alias
    yield build
    for number in range(1, 6):
        connection.transport.send(Request.json("DELETE", f"/{alias}-{number}"))


def test_the_alias_moves_to_an_index_that_is_not_worse_and_back(connection, build):
    """The first index makes the alias; the second takes its place; rollback returns to the first."""
    first = build(0, judged=JUDGED)
    assert (first.before, first.moved, first.scores) == (None, True, None)
    second = build(0, judged=JUDGED)
    assert (second.before, second.after, second.moved) == (f"{build.alias}-1", f"{build.alias}-2", True)
    assert second.scores == (1.0, 1.0), "the one relevant document is first in both"
    assert indices.aliased(connection, build.alias) == [second.after]
    assert rollback(connection, build.alias) == (second.after, first.after)
    assert indices.aliased(connection, build.alias) == [first.after]


def test_a_worse_index_does_not_take_the_place(connection, build):
    """Without the relevant document nDCG falls from 1 to 0: the alias stays, until it is forced."""
    build(0, judged=JUDGED)
    worse = build(5, judged=JUDGED, what=FEWER)
    assert (worse.moved, worse.scores) == (False, (1.0, 0.0))
    assert live_index(connection, build.alias) == f"{build.alias}-1"
    forced = build(5, judged=JUDGED, what=FEWER, force=True)
    assert (forced.after, forced.moved) == (worse.after, True)
    assert live_index(connection, build.alias) == worse.after


def test_an_index_of_that_name_is_not_replaced(connection, build):
    """An index cannot become an alias without a moment in which it is neither."""
    connection.send(Request.json("PUT", f"/{build.alias}"))
    with pytest.raises(IndexMismatchError, match="an index and no alias"):
        build(0)


def test_there_is_nothing_to_roll_back_to_before_the_second(connection, build):
    """Neither without an alias nor after the first index."""
    with pytest.raises(IndexMissingError, match="no such alias"):
        rollback(connection, build.alias)
    build(0)
    with pytest.raises(IndexMissingError, match="is not there"):
        rollback(connection, build.alias)


def test_a_cut_source_does_not_take_the_place_and_the_whole_one_begins_anew(connection, build):
    """2 of 10 documents: the alias stays. The unfinished index is thrown away when the source is another one.

    Without judgements nothing but counts and the comparison with the source can tell.
    """
    build(0)
    cut = build(8)
    assert (cut.moved, live_index(connection, build.alias)) == (False, f"{build.alias}-1")
    assert "has 2 documents" in cut.reason
    assert "8 fewer, more than 10%" in cut.reason
    again = build(1)
    assert (again.moved, again.after, again.load.documents) == (True, cut.after, 9)
    assert {document["doc_id"] for document in stored(connection, again.after)} == {f"d{n}" for n in range(1, 10)}


def stored(connection, index):
    body = {"size": 100, "query": {"exists": {"field": "doc_id"}}, "_source": ["doc_id"]}
    hits = connection.send(Request.json("POST", f"/{index}/_search", body))["hits"]["hits"]
    return [hit["_source"] for hit in hits]


def test_an_unfinished_index_of_other_settings_is_begun_anew(connection, build):
    """The load broke off after the index was made; then the analyzer is changed: its words are what was asked for."""
    build(0)
    with pytest.raises(ModelError):
        build(0, encoder=Failing(max_tokens=64))
    unfinished = f"{build.alias}-2"
    assert indices.open_index(connection, unfinished).schema.analyzer == "english"
    plain = msgspec.structs.replace(SETTINGS, engine=EngineSettings(analyzer="standard"))
    done = build(0, settings=plain)
    assert (done.after, done.moved) == (unfinished, True)
    assert indices.open_index(connection, unfinished).schema.analyzer == "standard"


class Failing(GeneratedEncoder):
    """A model that answers the first look, and no more."""

    def encode_documents(self, texts):
        if self.texts:
            raise ModelError("out of memory", where="model")
        return super().encode_documents(texts)


def test_the_very_same_build_is_continued(connection, build):
    """Broken off by the model, then run again as it was: the same index, and the alias moves to it."""
    with pytest.raises(ModelError):
        build(0, encoder=Failing(max_tokens=64))
    uuid = indices.read_settings(connection, f"{build.alias}-1")["index.uuid"]
    done = build(0)
    assert (done.after, done.moved) == (f"{build.alias}-1", True)
    assert indices.read_settings(connection, done.after)["index.uuid"] == uuid


def test_older_indices_are_listed_and_removed_but_so_many(connection, build):
    """Three builds leave two older ones; with one to keep, the oldest goes and the way back stays."""
    for _ in range(2):
        build(0)
    third = build(0)
    assert third.left == (f"{build.alias}-1", f"{build.alias}-2")
    fourth = build(0, keep=1)
    assert (fourth.removed, fourth.left) == ((f"{build.alias}-1", f"{build.alias}-2"), (f"{build.alias}-3",))
    assert rollback(connection, build.alias) == (fourth.after, third.after)


@pytest.mark.parametrize(
    ("judged", "search", "error"),
    [
        (JUDGED, SearchSettings(window=50), SettingsError),
        (Judged([Query("w3x0", id="other")], {"q": {"d3": 1}}), SearchSettings(), QueryError),
    ],
    ids=["a window that is too small", "no judged query"],
)
def test_what_cannot_be_compared_is_said_before_the_load(connection, build, judged, search, error):
    """Hours of encoding are not spent first."""
    build(0)
    with pytest.raises(error):
        build(0, judged=judged, settings=msgspec.structs.replace(SETTINGS, search=search))
    assert not indices.exists(connection, f"{build.alias}-2")


@pytest.mark.parametrize(
    ("before", "after", "is_good"),
    [
        ([0.5] * 10, [0.5] * 10, True),
        ([0.5] * 10, [0.499] * 10, False),  # each a little worse: p = 2 / 2**10
        ([0.9, 0.5, 0.5, 0.5], [0.85, 0.5, 0.5, 0.51], True),  # -.01 on the mean, and chance may be why
        ([0.9, 0.5], [0.5, 0.5], False),  # -.2: more than the tolerance, however few queries
        ([0.5, 0.5], [0.9, 0.9], True),
    ],
)
def test_worse_is_what_is_significant_or_beyond_the_tolerance(before, after, is_good):
    """A bare comparison of two means would refuse half of all indices that are just as good."""
    scores = [Scores({NDCG: sum(s) / len(s)}, {NDCG: dict(enumerate(map(float, s)))}) for s in (before, after)]
    assert _verdict(tuple(scores))[0] is is_good


def test_only_what_was_built_for_the_alias_is_ever_removed(connection, build):
    """An index of such a name that was loaded by itself stays, and so does an older one that another alias serves."""
    by_itself, other = f"{build.alias}-4", f"{build.alias}-others"
    index_documents(documents(3), by_itself, connection, GeneratedEncoder(max_tokens=64), SETTINGS)
    first = build(0)
    indices.point_alias(connection, other, first.after)
    second = build(0, keep=0)
    assert (second.removed, second.left) == ((), ())
    assert indices.aliased(connection, other) == [first.after]
    assert indices.count(connection, by_itself) == 3


def test_a_build_that_another_process_works_on_is_left_alone(connection, build):
    """It is verified or measured: no load is running, and it is not there to be thrown away."""
    with pytest.raises(ModelError):
        build(0, encoder=Failing(max_tokens=64))
    parent = psutil.Process().parent()
    owner = {"host": socket.gethostname(), "pid": parent.pid, "born": parent.create_time()}
    mark(connection, f"{build.alias}-1", Stage.VERIFIED, owner=owner)
    for source in (0, 1):
        with pytest.raises(IngestError, match="being built at this moment"):
            build(source)
    assert indices.read_meta(connection, f"{build.alias}-1")["build"]["owner"] == owner


def test_an_alias_whose_filter_would_find_nothing_is_refused_before_the_load(connection, build):
    """It filters as on an index of release 0.1: a new index would look empty through it."""
    first = build(0)
    add = {"index": first.after, "alias": build.alias, "filter": {"term": {"fields.kind": "lamp"}}}
    connection.send(Request.json("POST", "/_aliases", {"actions": [{"add": add}]}))
    with pytest.raises(IndexMismatchError, match=r"has a filter on fields\.\*"):
        build(0)
    assert not indices.exists(connection, f"{build.alias}-2")


def test_an_alias_does_not_move_away_from_an_index_that_is_being_loaded(connection, build):
    """What that load writes would be left behind; the alias stays until it has ended."""
    first = build(0)
    with leased(connection, connection, first.after, "another", exclusive=True):
        refused = build(0)
        assert (refused.moved, "is being loaded" in refused.reason) == (False, True)
    assert build(0).moved


def test_an_interrupted_rebuild_is_named_and_a_running_one_is_not(connection, build):
    """What broke off is worth a sentence; what is being loaded, and what is live, is not."""
    with pytest.raises(ModelError):
        build(0, encoder=Failing(max_tokens=64))
    name = f"{build.alias}-1"

    def said():
        return [note for note in notes(connection) if note.startswith(f"{name}:")]

    assert said() == [f"{name}: a rebuild ended when it was building; run it again to continue, or begin anew"]
    with leased(connection, connection, name, "s", exclusive=True):
        assert said() == []
    build(0)
    assert said() == []
