"""Judgements by click: a BEIR folder that evaluate reads, never somebody else's data, never half a file."""

from __future__ import annotations

import pytest

from hybrid_search import read
from hybrid_search.errors import QueryError, RecordError, SourceError
from hybrid_search.records import Query
from hybrid_search.serve.judgements import Judgements, checked_folder

GIVEN = [Query("green tea", id="1"), Query("rice", id="2")]
QRELS = {"1": {"sencha": 2}, "2": {"pilaf": 1}}


def test_a_judgement_is_on_disk_at_once(tmp_path) -> None:
    """In the layout that evaluate reads; ids with blanks too. A query that is new gets an id."""
    made = Judgements(tmp_path / "j", GIVEN, QRELS)
    assert not (tmp_path / "j").exists()
    assert made.judge("green tea", "gyokuro no 1", 3) is None
    assert made.judge("what is new", "pilaf", 0) is None
    asked = {query.text: query.id for query in read.queries(tmp_path / "j")}
    assert asked.keys() == {"green tea", "what is new"}
    assert asked["green tea"] == "1"
    assert read.qrels(tmp_path / "j") == {"1": {"gyokuro no 1": 3}, asked["what is new"]: {"pilaf": 0}}
    assert made.qrels == {"1": {"sencha": 2, "gyokuro no 1": 3}, "2": {"pilaf": 1}, asked["what is new"]: {"pilaf": 0}}


def test_a_judgement_is_taken_back(tmp_path) -> None:
    """Then what was given counts again; where nothing is left the query is gone from the folder."""
    made = Judgements(tmp_path, GIVEN, QRELS)
    assert made.judge("green tea", "sencha", 0) == 2
    assert made.of("green tea") == {"sencha": 0}
    assert made.judge("green tea", "sencha", None) == 0
    assert made.of("green tea") == {"sencha": 2}
    assert (tmp_path / "qrels" / "test.tsv").read_text(encoding="utf-8") == "query-id\tcorpus-id\tscore\n"
    assert (tmp_path / "queries.jsonl").read_text(encoding="utf-8") == ""


def test_the_next_start_goes_on(tmp_path) -> None:
    """What was judged before is there, and wins over what is given; also where all was taken back."""
    Judgements(tmp_path, GIVEN, QRELS).judge("green tea", "sencha", 1)
    again = Judgements(tmp_path, GIVEN, QRELS)
    assert again.of(" green  tea ") == {"sencha": 1}
    again.judge("green tea", "sencha", None)
    assert Judgements(tmp_path, GIVEN, QRELS).of("green tea") == {"sencha": 2}
    assert [query.id for query in again.queries] == ["1", "2"]


def test_nothing_is_judged_that_cannot_be_kept(tmp_path) -> None:
    """The error says so and the state is as before."""
    file = tmp_path / "file"
    file.write_text("not a folder", encoding="utf-8")
    made = Judgements(file / "j", GIVEN, QRELS)
    with pytest.raises(SourceError, match="the judgement is not kept"):
        made.judge("green tea", "sencha", 3)
    assert made.of("green tea") == {"sencha": 2}
    with pytest.raises(QueryError, match="nothing can be judged"):
        Judgements(None, GIVEN, QRELS).judge("green tea", "sencha", 3)


def test_a_data_set_is_not_written_to(tmp_path) -> None:
    """A folder with a corpus is somebody's; a folder of ours is taken."""
    assert checked_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "corpus.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(RecordError, match="holds a data set"):
        checked_folder(tmp_path)


def test_files_are_for_their_owner(tmp_path) -> None:
    """Queries are somebody's words."""
    Judgements(tmp_path / "j").judge("private", "doc", 1)
    assert (tmp_path / "j" / "queries.jsonl").stat().st_mode & 0o077 == 0
    assert not list((tmp_path / "j").glob(".*"))
