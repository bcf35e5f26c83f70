"""Blue/green on every engine: the alias moves in one step, only for the better, and back."""

from __future__ import annotations

import json

import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.engine import indices
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, IndexMissingError
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.remove import Limit
from hybrid_search.ingest.source import SourceOptions
from hybrid_search.records import Query
from hybrid_search.reindex import Encoders, Judged, live_index, reindex, rollback
from hybrid_search.settings import DocumentSettings, Settings

SETTINGS = Settings(documents=DocumentSettings(text=("text",)))
FEWER = SourceOptions(max_removed=Limit(most=5))
JUDGED = Judged([Query("w3x0 w3x1", id="q")], {"q": {"d3": 1}})


@pytest.fixture
def build(connection, index_name, tmp_path):
    """Reindexes documents ``first`` to 9 to one alias; every index is deleted afterwards."""
    alias, source, made = index_name(), tmp_path / "source.jsonl", []

    def build(first, **options):
        lines = [json.dumps({"_id": d.id, "text": d.text}) for d in documents(10 - first, first=first)]
        source.write_text("\n".join(lines))
        encoder = GeneratedEncoder(max_tokens=64)
        files = LoadFiles(tmp_path / f"journal-{len(made)}", tmp_path / "letters.jsonl")
        done = reindex(
            source, alias, connection, Encoders(encoder, encoder, SETTINGS), SETTINGS, files=files, **options
        )
        made.append(done.after)
        return done

    build.alias = alias
    yield build
    for name in set(made):
        connection.transport.send(Request.json("DELETE", f"/{name}"))


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
