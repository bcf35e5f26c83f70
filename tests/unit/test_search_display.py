"""What people see of a result: snippets, tables, explanations, JSON."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.printed.console import Console
from hybrid_search.records import Hit, Leg, LegReport, LegScore, Query, RerankScore, SearchResult
from hybrid_search.search.as_json import result_json
from hybrid_search.search.explain import explain_panel, explain_text
from hybrid_search.search.snippet import snippet
from hybrid_search.search.table import result_view, title_of
from hybrid_search.search_warnings import SearchWarning, WarningCode

HIT = Hit(
    rank=1,
    id="d",
    score=0.75,
    fused=0.5,
    text="A title\nFirst sentence. Parsing [bold]dates[/bold] is hard.",
    passage_id="d#2",
    start=10,
    end=60,
    fields={"title": "A title"},
    legs={Leg.BM25: LegScore(1, 12.5, 0.3), Leg.DENSE: LegScore(3, 0.75, 0.2)},
    rerank=RerankScore(rank_before=2, score=4.5, combined=0.75),
)
RESULT = SearchResult(
    query=Query("parse a date", dense=np.ones(2, np.float32), id="7"),
    hits=[HIT, replace(HIT, rank=2, id="e", rerank=None, fields={})],
    legs={
        Leg.BM25: LegReport(100, 4.0),
        Leg.DENSE: LegReport(100, 5.0),
        Leg.SPARSE: LegReport(0, 0.0, failure="too slow"),
    },
    fusion="min-max",
    reranker="late",
    took_ms={"encode": 1.0, "retrieve": 9.0, "fuse": 0.1, "fetch": 3.0, "rerank": 20.0, "total": 33.25},
    warnings=["the sparse leg failed: too slow"],
)


def printed(renderable, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def test_only_what_was_reranked_says_how_long_that_took() -> None:
    """Without a reranker the step took no time, and is not one."""
    assert "rerank 20)" in printed(result_view(RESULT, width=140), 140)
    plain = replace(RESULT, reranker=None, took_ms={**RESULT.took_ms, "rerank": 0.001})
    assert "fetch 3)" in printed(result_view(plain, width=140), 140)


def test_a_snippet_is_the_sentence_with_most_words_of_the_query() -> None:
    """Offsets point into the passage, marks at the words."""
    passage = "Nothing here at all. A string is parsed as a date. Dates again."
    found = snippet(passage, "how do I parse a date from a string", width=30)
    assert found.text == "A string is parsed as a date."
    assert passage[found.start : found.end] == found.text
    assert [found.text[start:end] for start, end in found.marks] == ["string", "parsed", "date"]


def test_a_snippet_takes_neighbours_while_they_fit() -> None:
    """What follows first, then what comes before."""
    assert snippet("One. Two dates. Three. Four.", "date", width=18).text == "Two dates. Three."


def test_a_long_sentence_is_cut_around_the_words() -> None:
    """The part with the words of the query, cut between words."""
    found = snippet("filler " * 50 + "the date is here " + "filler " * 50, "date", width=40)
    assert "date" in found.text
    assert len(found.text) <= 40
    assert not found.text.endswith(("fill", "fille"))


@given(st.text(max_size=300), st.text(max_size=40), st.integers(1, 80))
def test_a_snippet_is_always_a_part_of_its_passage(passage, query, width) -> None:
    """No text, query or width breaks it, and its marks lie within it."""
    found = snippet(passage, query, width=width)
    assert passage[found.start : found.end] == found.text
    assert len(found.text) <= width
    assert all(0 <= start < end <= len(found.text) for start, end in found.marks)


@pytest.mark.parametrize("width", [140, 100, 79, 50])
def test_a_table_fits_its_terminal(width) -> None:
    """Nothing is wider, and the text of a passage is never taken for markup."""
    text = printed(result_view(RESULT, width=width), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "[bold]dates[/bold]" in " ".join(text.split())
    assert "warning: the sparse leg failed: too slow" in " ".join(text.split())


def test_a_wide_table_has_a_column_per_leg() -> None:
    """Rank over score; a leg that did not find the hit is a dash."""
    lines = printed(result_view(RESULT, width=120), 120).splitlines()
    header = next(line for line in lines if " bm25 " in line)
    row = next(line for line in lines if "A title" in line)
    assert header.split() == ["#", "found", "bm25", "dense", "sparse", "fused", "reranked"]
    assert row.split() == ["1", "A", "title", "d", "1", "3", "-", "0.5000", "0.7500"]


def test_a_result_without_hits_says_so() -> None:
    """An empty table would look like a fault."""
    assert "nothing found" in printed(result_view(replace(RESULT, hits=[]), width=100), 100)


def test_a_hit_is_named_by_its_title_or_id() -> None:
    """The field that the settings name, else the first that is called a title and has something to say."""
    assert title_of(HIT) == "A title"
    assert title_of(replace(HIT, fields={"title": "", "name": "n"})) == "n"
    assert title_of(replace(HIT, fields={})) == "d"
    assert title_of(replace(HIT, fields={"title": "t", "meta": {"label": " a\n b"}}), "meta.label") == "a b"
    assert title_of(replace(HIT, fields={"title": "t"}), "missing") == "t"
    for name in ("Product Title", "page_title", "productTitle", "TITLE", "headline"):
        assert title_of(replace(HIT, fields={"subtitles": "no", "brand": "no", name: "t"})) == "t"
    assert title_of(replace(HIT, fields={"title": ["a", "list"], "filename": "f"})) == "d"


def test_the_title_comes_first_and_the_id_second() -> None:
    """An id alone heads a result only where nothing names it."""
    lines = printed(result_view(RESULT, width=120, title_field="title"), 120).splitlines()
    assert [line.split()[:4] for line in lines if line.split()[:1] in (["1"], ["2"])] == [
        ["1", "A", "title", "d"],
        ["2", "e", "1", "3"],
    ]


def test_an_explanation_adds_up() -> None:
    """Each leg's rank, score and share, their sum, and what reranking did."""
    assert explain_text(replace(RESULT, hits=[HIT])) == (
        "1. d  0.7500\n"
        "   passage d#2, characters 10 to 60\n"
        "   bm25    rank   1  score   12.5000  contributes 0.3000\n"
        "   dense   rank   3  score    0.7500  contributes 0.2000\n"
        "   sparse  failed: too slow\n"
        "   fused by min-max: 0.3000 + 0.2000 = 0.5000\n"
        "   reranked by late: score 4.5000, combined 0.7500, rank 2 -> 1\n"
        "\n"
        "warning: the sparse leg failed: too slow"
    )


def test_what_the_server_fused_has_no_reasons() -> None:
    """No leg is named, and none is said not to have found it."""
    fused = replace(RESULT, fusion="server", legs={}, hits=[replace(HIT, legs={})])
    assert "fused by server: 0.5000, the engine does not say which leg found it" in explain_text(fused)
    assert "server, reranked by late in 33 ms" in printed(result_view(fused, width=120), 120)


def test_a_hit_below_the_rerank_window_says_so() -> None:
    """Its rank owes nothing to the reranker."""
    assert "below the window that late reranked" in printed(explain_panel(RESULT.hits[1], RESULT), 100)


def test_json_has_everything_but_vectors() -> None:
    """Plain types with the records' own names."""
    result = orjson.loads(orjson.dumps(result_json(RESULT)))
    assert (result["id"], result["query"], result["took_ms"]["total"]) == ("7", "parse a date", 33.25)
    assert result["hits"][0]["legs"]["bm25"] == {"rank": 1, "score": 12.5, "contribution": 0.3}
    assert result["hits"][0]["rerank"] == {"rank_before": 2, "score": 4.5, "combined": 0.75}
    assert result["legs"]["sparse"] == {"hits": 0, "took_ms": 0.0, "failure": "too slow", "timed_out": False}
    assert "dense" not in result


def test_json_has_codes_for_programs() -> None:
    """The texts as they are, a code for each, and what the answer lacks."""
    warnings = [
        SearchWarning("the bm25 leg searched for the first 1,000 words of the query", WarningCode.QUERY_CUT, "bm25"),
        SearchWarning("not reranked: late", WarningCode.RERANK_LATE, "rerank"),
    ]
    result = orjson.loads(orjson.dumps(result_json(replace(RESULT, warnings=warnings))))
    assert (result["warnings"], result["codes"]) == ([str(one) for one in warnings], ["query-cut", "rerank-late"])
    assert result["degraded"] == {"rerank": "rerank-late"}


def test_json_has_the_names_of_legs_that_failed() -> None:
    """As plain texts: a member of an enumeration is no key of JSON."""
    failed = SearchWarning("the sparse leg failed: too slow", WarningCode.LEG_FAILED, Leg.SPARSE)
    result = orjson.loads(orjson.dumps(result_json(replace(RESULT, warnings=[failed]))))
    assert result["degraded"] == {"sparse": "leg-failed"}
