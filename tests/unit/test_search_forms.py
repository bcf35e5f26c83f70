"""Results for programs and pages: JSON, TSV, TREC runs, ids, Markdown; and what none of them lets through."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from io import BytesIO, TextIOWrapper

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_search.cli import results
from hybrid_search.cli.results import FORMS, Naming, form_of
from hybrid_search.cli.search import show_result
from hybrid_search.errors import QueryError, RecordError
from hybrid_search.evaluate import read_run
from hybrid_search.records import Hit, Leg, LegReport, LegScore, Query, SearchResult

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
PIECES = (
    "\x1b[31m",
    "\x1b]52;c;aGk=\x07",
    "\x9b",
    "\r",
    "\n",
    "\t",
    "[/]",
    "[draft]/plan.md",
    "`",
    "a",
    "é",
    "#",
    "\\",
)
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1).map("".join)
IDS = st.text(st.characters(codec="utf-8"), min_size=1) | HOSTILE
HIT = Hit(
    1, "d 1", 0.75, 0.5, "A title\nText.", "d 1#2", 0, 13, {"title": "A title"}, {Leg.BM25: LegScore(1, 2.0, 0.5)}
)
DOCUMENTS = Naming()
RESULT = SearchResult(
    query=Query("what is it"),
    hits=[HIT, replace(HIT, rank=2, id="d2", passage_id="d2#0", fields={}, score=0.75)],
    legs={Leg.BM25: LegReport(2, 1.0)},
    fusion="min-max",
    reranker=None,
    took_ms={"total": 1.0},
)


@pytest.fixture
def written(monkeypatch):
    """What a form writes to standard output."""

    def run(form: str, result: SearchResult = RESULT, query_id: str = "7", naming: Naming = DOCUMENTS) -> str:
        raw = BytesIO()
        monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="ascii"))
        results.write(result, form, query_id, naming)
        sys.stdout.flush()
        return raw.getvalue().decode()

    return run


def test_the_forms_of_a_result(written) -> None:
    """The same two hits as each of them."""
    assert written("ids") == "d 1\nd2\n"
    assert written("ids", naming=Naming(passages=True)) == "d 1#2\nd2#0\n"
    assert written("tsv") == (
        "what is it\t1\td 1\t0.750000\tA title\tA title Text.\n"  # the title, then the whole passage
        "what is it\t2\td2\t0.750000\td2\tA title Text.\n"
    )
    assert written("md") == (
        "## what is it\n\n1. **A title** `d 1`\\\n   Text.\n2. **d2** `d2`\\\n   A title Text.\n\n"
    )
    assert [hit["id"] for hit in orjson.loads(written("json"))["hits"]] == ["d 1", "d2"]


def test_a_run_is_read_back_as_the_ranking(written, tmp_path) -> None:
    """Scores fall from line to line, the query is called as it is; an id with a blank cannot be said."""
    hits = [replace(HIT, id="d1"), replace(HIT, rank=2, id="dé")]
    path = tmp_path / "run"
    path.write_text(written("trec", replace(RESULT, hits=hits)), encoding="utf-8")
    ((id_, first), (other, second)) = read_run(path)["7"]
    assert (id_, other) == ("d1", "dé")
    assert first > second
    with pytest.raises(RecordError, match=r"the id 'd 1' holds white space\. Use --format tsv"):
        written("trec")


def test_no_hit_is_no_line(written) -> None:
    """For programs; on a page it is said."""
    empty = replace(RESULT, hits=[])
    assert [written(form, empty) for form in ("ids", "tsv", "trec")] == ["", "", ""]
    assert "Nothing found." in written("md", empty)


@settings(max_examples=40)
@given(IDS, HOSTILE)
def test_no_form_lets_a_control_through(id_, text) -> None:
    """Tabs stand between the cells of TSV alone, one line is one hit, and JSON is the same JSON."""
    hit = replace(HIT, id=id_, text=text, fields={"title": text})
    result = replace(RESULT, query=Query(text), hits=[hit, replace(hit, rank=2)])
    for form in FORMS:
        with pytest.MonkeyPatch.context() as patch:
            raw = BytesIO()
            patch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="utf-8"))
            try:
                results.write(result, form, "1", Naming("title"))
            except RecordError:
                assert form == "trec"
            sys.stdout.flush()
            shown = raw.getvalue().decode()
        lines = shown.split("\n")[:-1]
        assert not CONTROLS.search(shown.replace("\t", "") if form == "tsv" else shown), form
        if form == "tsv":
            assert [len(line.split("\t")) for line in lines] == [6, 6]
        elif form == "ids":
            assert len(lines) == 2
        elif form == "json":
            assert orjson.loads(shown)["hits"][0]["id"] == id_


@settings(max_examples=40)
@given(HOSTILE | st.text(st.characters()))
def test_neither_table_nor_explanation_lets_a_control_through(text) -> None:
    """Ids, titles, texts, the query, warnings and reasons; square brackets are no markup."""
    hit = replace(HIT, id=text, text=text, passage_id=text, fields={"title": text})
    failed = LegReport(0, 0.0, failure=text)
    result = replace(RESULT, query=Query(text), hits=[hit], legs={Leg.BM25: failed}, fusion=text, warnings=[text])
    with pytest.MonkeyPatch.context() as patch:
        raw = BytesIO()
        patch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="utf-8"))
        show_result(result, "1", form="table", naming=Naming(), explain=True)
        sys.stdout.flush()
        assert not CONTROLS.search(raw.getvalue().decode())


def test_markup_in_an_id_is_part_of_its_name(capsys) -> None:
    """An id of square brackets is shown whole, and closes nothing."""
    for id_ in ("[/]", "[draft]/plan.md", ":tada:", "[bold]x"):
        hit = replace(HIT, id=id_, passage_id=f"{id_}#0", fields={})
        show_result(replace(RESULT, hits=[hit]), "1", form="table", naming=Naming(), explain=True)
        shown = capsys.readouterr().out
        assert f"1. {id_}  0.7500" in shown
        assert f"passage {id_}#0" in shown
        assert f" 1   {id_} " in shown


def test_a_form_is_named_once_and_right() -> None:
    """The nearest one is named for a slip."""
    assert form_of(None, as_json=False, usual="table") == "table"
    assert form_of(None, as_json=True, usual="table") == form_of("json", as_json=True, usual="table") == "json"
    with pytest.raises(QueryError, match=r"--format: unknown format 'tvs'\. Did you mean tsv\?"):
        form_of("tvs", as_json=False, usual="table")
    with pytest.raises(QueryError, match="--json and --format ids are both given"):
        form_of("ids", as_json=True, usual="table")
