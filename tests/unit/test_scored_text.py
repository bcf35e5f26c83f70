"""Whole bodies of BM25 over several texts, by what the engine has; and what is refused before anything is sent."""

from __future__ import annotations

import msgspec
import pytest

from hybrid_search.engine.layout import TextPath, text_paths, word_key
from hybrid_search.errors import QueryError
from hybrid_search.records import IndexSchema, Query, TextField
from hybrid_search.search import TextScoring, legs
from hybrid_search.search.asking import Target
from hybrid_search.search.leg import Asking
from hybrid_search.search.scored_text import ScoredText, scored_text, words_query
from hybrid_search.search.standard_legs import BM25
from hybrid_search.settings import SearchSettings, TextFieldSettings

TEXT = TextPath("text", "text", "english")
TITLE = TextPath("title", "words.title", "english", 2.0)
CODE = TextPath("code", "words.code", "keyword", 3.0)
SCHEMA = IndexSchema(None, None, text_fields=(TextField("title", "english", 2.0), TextField("code", "keyword", 3.0)))


def test_texts_of_one_analyzer_are_one() -> None:
    """BM25F where the engine has it; the older OpenSearch makes frequencies equal and takes the best field."""
    asked = {"query": "a b", "fields": ["text", "words.title^2.0"], "operator": "or"}
    scored = ScoredText((TEXT, TITLE))
    assert words_query("a b", scored, combined=True) == {"combined_fields": asked}
    assert words_query("a b", scored, combined=False) == {"multi_match": {**asked, "type": "cross_fields"}}


def test_of_texts_of_several_analyzers_the_best_counts() -> None:
    """Each group by its least weight: 3 times the least of all; word by word."""
    assert words_query("a", ScoredText((TEXT, CODE, TITLE)), combined=True) == {
        "dis_max": {
            "queries": [
                {"combined_fields": {"query": "a", "fields": ["text", "words.title^2.0"], "operator": "or"}},
                {"match": {"words.code": {"query": "a", "operator": "or", "boost": 3.0}}},
            ]
        }
    }


def test_words_count_one_by_one_where_analyzers_differ() -> None:
    """What is between blanks is left to the analyzers."""
    scored = ScoredText((TEXT, CODE))
    assert words_query(" a-1  b ", scored, combined=True) == {
        "bool": {
            "should": [words_query("a-1", scored, combined=True), words_query("b", scored, combined=True)],
            "minimum_should_match": 1,
        }
    }


def test_only_ratios_of_weights_count() -> None:
    """combined_fields takes no weight below 1."""
    halves = [TextPath("text", "text", "english", 0.25), TextPath("title", "words.title", "english", 0.5)]
    assert words_query("a", ScoredText(tuple(halves)), combined=True) == words_query(
        "a", ScoredText((TEXT, TITLE)), combined=True
    )


def test_one_text_is_asked_as_ever() -> None:
    """Whatever it weighs: a leg's scores are its own."""
    plain = {"query": {"match": {"text": {"query": "a b", "operator": "or"}}}}
    assert legs.bm25("a b") == plain
    only = ScoredText((TextPath("text", "text", "english", 5.0),))
    assert legs.bm25("a b", scored=only) == plain


def test_words_together_are_asked_beside_the_words() -> None:
    """As a phrase, and near each other; neither finds a passage by itself."""
    scored = ScoredText((TEXT, TITLE), phrase=0.5, proximity=0.25, slop=8)
    phrase = {"query": "a b", "type": "phrase", "fields": ["text", "words.title^2.0"]}
    assert legs.bm25("a b", scored=scored)["query"] == {
        "bool": {
            "must": [words_query("a b", scored, combined=True)],
            "should": [
                {"multi_match": {**phrase, "slop": 0, "boost": 0.5}},
                {"multi_match": {**phrase, "slop": 8, "boost": 0.25}},
            ],
        }
    }


@pytest.mark.parametrize("query", ["one", "word " * 33], ids=["one", "many"])
def test_one_word_and_very_many_are_no_phrase(query) -> None:
    """They would only cost time."""
    scored = ScoredText((TEXT,), phrase=1.0)
    asking = Asking(Target("i", _Dialect(), SCHEMA), text=scored)
    assert "bool" not in BM25.ask(Query(query), asking).body(10)["query"]


class _Dialect:
    """The newest of both."""

    class capabilities:  # noqa: N801  # an attribute
        combined_fields = True


def test_a_word_is_a_clause_of_each_text() -> None:
    """Both engines count them: 1,000 words of one text are 333 of three."""
    asking = Asking(Target("i", _Dialect(), SCHEMA))
    words = " ".join(f"w{number}" for number in range(400))
    asked = BM25.ask(Query(words), asking)
    assert asked.cut == "searched for the first 333 words of the query"


def test_the_search_is_asked_before_the_settings_and_they_before_the_index() -> None:
    """One weight of each."""
    fields = {"title": TextFieldSettings(weight=5), "code": TextFieldSettings(weight=6)}
    found = scored_text(SCHEMA, fields, SearchSettings(phrase=0.5), TextScoring({"code": 7}, proximity=0.25))
    assert [(path.name, path.weight) for path in found.paths] == [("text", 1), ("title", 5), ("code", 7)]
    assert (found.phrase, found.proximity, found.slop) == (0.5, 0.25, 8)


def test_a_field_without_weight_is_not_searched() -> None:
    """0 leaves it out."""
    found = scored_text(SCHEMA, {}, SearchSettings(), TextScoring({"title": 0}))
    assert [path.name for path in found.paths] == ["text", "code"]


@pytest.mark.parametrize(
    ("scoring", "what"),
    [
        ({"weights": {"title": -1}}, "the weight -1 of the text field 'title'"),
        ({"weights": {"title": float("nan")}}, "the weight nan of the text field 'title'"),
        ({"weights": {"title": 1e9}}, "the weight 1000000000.0 of the text field 'title'"),
        ({"phrase": -0.5}, "phrase must be from 0 to 1000.0, got -0.5"),
        ({"proximity": float("inf")}, "proximity must be from 0 to 1000.0, got inf"),
    ],
    ids=["negative", "nan", "large", "phrase", "proximity"],
)
def test_numbers_out_of_range_are_refused(scoring, what) -> None:
    """Before anything is sent."""
    with pytest.raises(QueryError, match=what):
        TextScoring(**scoring)


def test_scorings_are_values() -> None:
    """Equal ones have one hash, in whatever order weights are given."""
    one, other = TextScoring({"a": 1, "b": 2}, 0.5), TextScoring({"b": 2, "a": 1}, 0.5)
    assert (one, hash(one)) == (other, hash(other))


def test_every_text_of_an_index_has_a_path() -> None:
    """The whole text first; signs that queries over several fields read are written otherwise."""
    assert [path.path for path in text_paths(SCHEMA)] == ["text", "words.title", "words.code"]
    assert word_key("a.b^2*") == "a%2Eb%5E2%2A"


def test_fields_of_an_index_are_kept_in_it() -> None:
    """As its ``_meta`` writes and reads them."""
    assert msgspec.convert(msgspec.to_builtins(SCHEMA), IndexSchema) == SCHEMA
