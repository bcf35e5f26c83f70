"""What a notebook shows of a result, and the result as a frame and as a run."""

from __future__ import annotations

import copy
import pickle
import sys
from dataclasses import replace
from html.parser import HTMLParser

import ir_measures
import pandas as pd
import pytest
from ranx import Run

from hybrid_search.errors import MissingExtraError, QueryError, RecordError
from hybrid_search.evaluate import rankings_of, read_run, run_of, write_run
from hybrid_search.found import FacetCounts, FacetValue
from hybrid_search.records import Hit, LegReport, LegScore, Query, RerankScore, SearchResult
from hybrid_search.search.notebook import OWN, Shown
from hybrid_search.search_warnings import SearchWarning, WarningCode

HOSTILE = '<script>alert("x")</script>\x1b[31m'


def hit(rank: int, **changes: object) -> Hit:
    """A hit whose legs contributed 3/4 and 1/4 of its fused score."""
    legs = {"bm25": LegScore(rank, 12.5, 0.03), "dense": LegScore(rank + 1, 0.5, 0.01)}
    plain = Hit(rank, f"d{rank}", 0.04 / rank, 0.04 / rank, "A lamp. Warm.", f"d{rank}#0", 0, 13, {"price": rank}, legs)
    return replace(plain, **changes)


def result(*hits: Hit, **changes: object) -> SearchResult:
    reports = {"bm25": LegReport(2, 1.0), "dense": LegReport(2, 1.0)}
    took = {"total": 5.0, "retrieve": 4.0}
    plain = SearchResult(Query("warm lamp"), hits, reports, "rrf", None, took, shown=Shown("name"))
    return replace(plain, **changes)


class Tags(HTMLParser):
    """The tags of a page, in order, each closed where it must be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_notebook_shows_the_table_of_the_command_line():
    """A row for each hit, its legs with rank and score, the words of the query marked, and how it was made."""
    page = Tags(result(hit(1, fields={"name": "Lumo"}), hit(2))._repr_html_())
    assert page.open == []
    for said in ("warm lamp", "Lumo", "d2", "12.500", "0.0400", "rrf of bm25 + dense", "5 ms"):
        assert said in page.text
    assert [tag for tag, _ in page.tags].count("tr") == 3
    assert [tag for tag, _ in page.tags].count("mark") == 4


def test_a_bar_is_what_each_leg_contributed():
    """90 pixels for the best hit: 3/4 of them BM25's; the second hit has half as many."""
    page = Tags(result(hit(1), hit(2, legs={"dense": LegScore(1, 0.5, 0.02)}))._repr_html_())
    styles = [attributes["style"] for tag, attributes in page.tags if tag == "span" and "title" in attributes]
    widths = [style.partition("width:")[2].partition("px")[0] for style in styles]
    assert widths == ["67.5", "22.5", "45.0"]


def test_whatever_documents_say_is_escaped():
    """Ids, texts, fields, legs, queries, facets, warnings: no tag of theirs is one, no control character is left."""
    one = hit(1, id=HOSTILE, text=HOSTILE, fields={"name": HOSTILE}, legs={HOSTILE: LegScore(1, 1.0, 0.04)})
    counts = FacetCounts("kind", "terms", "filter", 3, 0, (FacetValue(HOSTILE, 3, "kind=x"),))
    hostile = result(
        one,
        query=Query(HOSTILE),
        legs={HOSTILE: LegReport(1, 1.0)},
        fusion=HOSTILE,
        facets={HOSTILE: counts},
        warnings=[SearchWarning(HOSTILE, WarningCode.NOTHING_FOUND)],
    )
    page = hostile._repr_html_()
    assert "script" not in {tag for tag, _ in Tags(page).tags}
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;") >= 7


def test_an_empty_page_says_so():
    """With the warning that says why."""
    page = Tags(
        result(warnings=[SearchWarning("nothing found: no such word", WarningCode.NOTHING_FOUND)])._repr_html_()
    )
    assert "nothing found: no such word" in page.text
    assert "table" not in {tag for tag, _ in page.tags}


def test_a_result_is_a_frame():
    """A row for each hit; a field of a taken name is told apart, a leg that did not find the hit has no rank."""
    reranked = RerankScore(score=7.0, combined=0.9, rank_before=2)
    first = hit(1, fields={"price": 3, "score": "high"}, rerank=reranked)
    frame = result(first, hit(2, legs={}), reranker="cross").to_pandas()
    assert list(frame["rank"]) == [1, 2]
    assert list(frame.columns[: len(OWN)]) == OWN
    assert list(frame["bm25.rank"].isna()) == [False, True]
    assert (frame["bm25.score"][0], frame["dense.contribution"][0], frame["reranked"][0]) == (12.5, 0.01, 7.0)
    assert (frame["fields.score"][0], list(frame["price"])) == ("high", [3, 2])
    assert list(result().to_pandas().columns) == OWN
    assert isinstance(frame, pd.DataFrame)


def test_without_pandas_the_extra_is_named(monkeypatch):
    """And a result of a program's own has no frame."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"hybrid-search\[frames\]"):
        result(hit(1)).to_pandas()
    with pytest.raises(QueryError, match="only what a search found"):
        result(hit(1), shown=None).to_pandas()
    assert result(hit(1), shown=None)._repr_html_() is None


def test_a_result_is_still_copied_and_pickled():
    """What shows it goes with it."""
    given = result(hit(1))
    assert copy.deepcopy(given)._repr_html_() == given._repr_html_()
    assert pickle.loads(pickle.dumps(given))._repr_html_() == given._repr_html_()  # noqa: S301 our own


def test_a_run_is_read_by_other_programs_as_it_is(tmp_path):
    """Three hits of one score: the second is relevant, so MRR is 1/2 in ranx, ir_measures and a TREC file alike."""
    tied = [hit(rank, score=0.5) for rank in (1, 2, 3)]
    results = [result(*tied, query=Query("warm", id="q1")), result(*tied[:1])]
    run = run_of(results)
    assert list(run) == ["q1", "2"]
    assert [*Run(run).to_dict()["q1"]] == ["d1", "d2", "d3"]
    qrels = {"q1": {"d2": 1}}
    assert ir_measures.calc_aggregate([ir_measures.RR], qrels, {"q1": run["q1"]}) == {ir_measures.RR: 0.5}
    write_run(tmp_path / "a.run", rankings_of(results), "test")
    assert [id_ for id_, _ in read_run(tmp_path / "a.run")["q1"]] == ["d1", "d2", "d3"]
    with pytest.raises(RecordError, match="two queries have the id 'q1'"):
        run_of([results[0], results[0]])
