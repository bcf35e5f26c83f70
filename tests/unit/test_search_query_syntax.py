"""What people type, read as they mean it; whatever it is, it can be read."""

from __future__ import annotations

import time
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA as PLAIN
from search_fakes import engine
from test_search_procedure import RUNS, Asked

from hybrid_search.errors import QueryError
from hybrid_search.search.query_syntax import SIGNS, read_query

SCHEMA = replace(PLAIN, keyword_fields=("kind",), number_fields=("price",))


def words(text):
    return {"match": {"text": {"query": text, "operator": "and"}}}


def phrase(text, without_words="none"):
    return {"match_phrase": {"text": {"query": text, "zero_terms_query": without_words}}}


def read(text):
    return read_query(text, SCHEMA)


def test_quotes_hold_words_together_in_every_hit() -> None:
    """They score in BM25, and every passage of every leg must have them; models read them without the quotes."""
    one = read('quiet "mechanical keyboard" cheap')
    assert (one.text, one.words) == ("quiet mechanical keyboard cheap", "quiet cheap")
    assert one.scored == (phrase("mechanical keyboard"),)
    assert one.filter == {"bool": {"filter": [phrase("mechanical keyboard", "all")]}}


def test_a_dash_leaves_out() -> None:
    """A word, words in quotes, or a value of a field; models do not read them."""
    one = read('keyboard -loud -"rubber dome" -kind:toy')
    assert (one.text, one.words, one.scored) == ("keyboard", "keyboard", ())
    left_out = [words("loud"), phrase("rubber dome"), {"term": {"filter.kind": {"value": "toy"}}}]
    assert one.filter == {"bool": {"must_not": left_out}}


def test_a_field_filters_on_what_the_index_can_filter_on() -> None:
    """Keyword and number; what is no field, or no value of one, is text."""
    one = read('lamp kind:"desk lamp" price:20')
    assert one.text == "lamp"
    assert one.required == (
        {"term": {"filter.kind": {"value": "desk lamp"}}},
        {"term": {"filter.price": {"value": 20}}},
    )
    for text in ("http://example.org/a", "see: this", "price:cheap", "12:30", "colour:red", ":x", "kind:"):
        assert (read(text).text, read(text).filter) == (text, None)


def test_beginnings_and_bounds_are_filters_too() -> None:
    """Of a label and of a number; a text that says nothing else is searched for by their values."""
    one = read("lamp kind:de* price:<20 -price:>=30")
    assert one.required == (
        {"prefix": {"filter.kind": {"value": "de"}}},
        {"range": {"filter.price": {"lt": 20.0}}},
    )
    assert one.excluded == ({"range": {"filter.price": {"gte": 30.0}}},)
    assert read("kind:de* price:<20").text == "de 20"
    for text in ("price:<cheap", "price:<", "kind:*x price:*"):
        assert "price" in read(text).text


def test_stars_and_waves() -> None:
    """The beginning of a word, and words that are like one; models read the letters."""
    one = read("Prog* kyeboard~ it~ a* b*c")
    assert (one.text, one.words) == ("Prog kyeboard it~ a* b*c", "it~ a* b*c")
    assert one.scored == (
        {"prefix": {"text": {"value": "prog"}}},
        {"match": {"text": {"query": "kyeboard", "fuzziness": "AUTO", "prefix_length": 1}}},
    )


NO_SIGNS = ['5" pipe', 'say "hello', "well-known - fact", "--", '""', 'a"b"c', "-", "rock'n'roll"]


@pytest.mark.parametrize("text", NO_SIGNS)
def test_what_is_no_sign_is_text(text) -> None:
    """A quote without its partner, a dash in a word or alone."""
    one = read(text)
    assert (one.text, one.words, one.filter) == (text, text, None)


@pytest.mark.parametrize(
    ("text", "searched"),
    [("-loud", " loud"), ('-"a b" -c', "  a b   c"), ("kind:rice", "rice"), ("-kind:rice", " kind rice")],
)
def test_a_text_that_only_leaves_out_is_searched_for(text, searched) -> None:
    """There must be something to search for: values of fields, or the words without their signs."""
    assert read(text).text == searched


@given(st.text() | st.text(alphabet='ab -":*~\\\n'))
def test_every_text_can_be_read(text) -> None:
    """And what was read is JSON; few enough clauses come of it, however many signs there are."""
    one = read(text)
    assert orjson.dumps([one.words, one.scored, one.filter])
    assert one.text.strip() or not any(letter.isalnum() for letter in text)
    assert len(one.scored) + len(one.required) + len(one.excluded) <= 2 * SIGNS


@given(st.lists(st.text(alphabet="abcxyz0123'.,!?", min_size=1), min_size=1))
def test_words_without_signs_are_searched_for_as_they_are(some) -> None:
    """The syntax changes nothing for who does not use it."""
    one = read(" ".join(some))
    assert one.words == one.text == " ".join(some)
    assert (one.scored, one.filter) == ((), None)


def test_a_search_reads_the_signs_where_it_is_told_to() -> None:
    """Every leg has the filter, the encoder reads plain words; the result shows what was typed."""
    asked = Asked(engine(RUNS))
    result = asked.search('lamp "on desk" -toy', syntax="simple")
    assert asked.encoder.texts == [["lamp on desk"]]
    bm25, dense, sparse = (str(body) for body in asked.sent[0])
    for body in (bm25, dense, sparse):
        assert "'must_not': [{'match': {'text': {'query': 'toy'" in body
        assert "'filter': [{'match_phrase': {'text': {'query': 'on desk'" in body
    assert "'should': [{'match': {'text': {'query': 'lamp', 'operator': 'or'}}}, {'match_phrase'" in bm25
    assert result.query.text == 'lamp "on desk" -toy'
    asked.search('lamp "on desk" -toy')
    assert asked.encoder.texts[-1] == ['lamp "on desk" -toy']
    with pytest.raises(QueryError, match="unknown syntax 'lucene'"):
        asked.search("q", syntax="lucene")


def test_a_quote_that_is_never_closed_is_read_in_time() -> None:
    """Processor time grows with the text, not with its square."""
    begin = time.process_time()
    assert read('"' + "a" * 30_000).filter is None
    assert time.process_time() - begin < 1
