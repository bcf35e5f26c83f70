"""Request bodies of the legs, compared whole."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.engine.elasticsearch import ElasticsearchDialect
from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.search import legs
from hybrid_search.search.words import first_words

FILTER = {"term": {"fields.kind": "class"}}
VECTOR = np.array([0.5, -0.25], dtype=np.float32)


def test_bm25_matches_any_word() -> None:
    """One match query, words joined by or."""
    assert legs.bm25("parse a date") == {"query": {"match": {"text": {"query": "parse a date", "operator": "or"}}}}


def test_bm25_is_filtered_without_changing_scores() -> None:
    """The filter goes beside the scoring query, not into it."""
    assert legs.bm25("date", filter=FILTER) == {
        "query": {
            "bool": {"must": [{"match": {"text": {"query": "date", "operator": "or"}}}], "filter": [FILTER]},
        }
    }


def test_sparse_is_a_dot_product() -> None:
    """One linear clause per term, its weight as boost; at least one must match, with a filter too."""
    clauses = [
        {"rank_feature": {"field": "sparse.1055", "linear": {}, "boost": 1.5}},
        {"rank_feature": {"field": "sparse.7", "linear": {}, "boost": 0.25}},
    ]
    assert legs.sparse({"1055": 1.5, "7": 0.25}) == {
        "query": {"bool": {"should": clauses, "minimum_should_match": 1}},
    }
    assert legs.sparse({"1055": 1.5, "7": 0.25}, filter=FILTER) == {
        "query": {"bool": {"should": clauses, "minimum_should_match": 1, "filter": [FILTER]}},
    }


def test_a_sparse_vector_field_is_asked_not_to_prune() -> None:
    """One query for all terms; the filter beside it."""
    clause = {"sparse_vector": {"field": "sparse", "query_vector": {"1055": 1.5, "a%2Eb": 2.0}, "prune": False}}
    found = legs.sparse({"1055": 1.5, "a.b": 2.0}, field_type="sparse_vector")
    assert found == {"query": clause}
    filtered = legs.sparse({"1055": 1.5, "a.b": 2.0}, field_type="sparse_vector", filter=FILTER)
    assert filtered == {"query": {"bool": {"must": [clause], "filter": [FILTER]}}}


def test_a_term_with_a_dot_is_escaped() -> None:
    """A dot would be a path, which OpenSearch silently matches with nothing."""
    assert legs.sparse({"node.js": 1.0})["query"]["bool"]["should"][0]["rank_feature"]["field"] == "sparse.node%2Ejs"


@pytest.mark.parametrize("dialect", [OpenSearchDialect((3, 6, 0)), ElasticsearchDialect((9, 5, 3))])
def test_dense_searches_at_least_as_wide_as_it_answers(dialect) -> None:
    """The graph search is never narrower than the hits that are asked for."""
    body = legs.dense(VECTOR, dialect, size=20, candidates=10, filter=FILTER)
    assert body == dialect.dense_search(VECTOR, size=20, candidates=20, filter=FILTER)


def test_the_heaviest_terms_are_kept() -> None:
    """Beyond the limit the lightest go; ties by term."""
    assert list(legs.heaviest({"c": 1.0, "a": 1.0, "b": 2.0}, limit=2).items()) == [("b", 2.0), ("a", 1.0)]


def test_weights_of_numpy_become_plain_floats() -> None:
    """Encoders give float32; JSON takes floats."""
    assert type(legs.heaviest({"a": np.float32(0.5)})["a"]) is float


def test_a_long_text_is_cut_at_a_word() -> None:
    """Words beyond the clause limit are left out, the others stay as they were."""
    assert first_words("one, two; three four", 3) == "one, two; three"
    assert first_words("one two ", 3) == "one two "


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("\u732b\u304c\u5ead\u3067\u9b5a", 3, "\u732b\u304c\u5ead"),
        ("boat \u732b\u732b\u732b boat", 3, "boat \u732b\u732b"),
        ("\u0e1b\u0e25\u0e32\u0e01\u0e34\u0e19", 2, "\u0e1b\u0e25"),
        ("\U0001f431\U0001f41f\U0001f6a4 cat", 3, "\U0001f431\U0001f41f\U0001f6a4"),
        ("\uace0\uc591\uc774 \ubb3c \ubc30", 2, "\uace0\uc591\uc774 \ubb3c"),
        ("\u092e\u0947\u0902 \u0928\u0940 \u0932", 2, "\u092e\u0947\u0902 \u0928\u0940"),
        ("x" * 1000, 3, "x" * 765),
    ],
)
def test_a_word_is_what_an_analyzer_makes_of_a_script(text, limit, kept) -> None:
    """A character where there are no blanks or there is a picture; a word elsewhere; 255 characters of a longer one."""
    assert first_words(text, limit) == kept


@given(st.text(max_size=300), st.integers(1, 50))
def test_what_is_cut_is_the_beginning(text, limit) -> None:
    """Nothing is changed, and cutting again cuts nothing more."""
    kept = first_words(text, limit)
    assert text.startswith(kept)
    assert first_words(kept, limit) == kept
    assert first_words(text, len(text) + 1) == text


def test_a_leg_answers_with_ids_and_scores_alone() -> None:
    """No stored field is loaded and no total is counted."""
    assert legs.passage_search({"query": {"match_all": {}}}, size=200, timeout=1.5) == {
        "query": {"match_all": {}},
        "size": 200,
        "stored_fields": "_none_",
        "_source": False,
        "track_total_hits": False,
        "timeout": "1500ms",
        "sort": [{"_score": "desc"}, {"doc_id": "asc"}, {"passage": "asc"}],
    }


@pytest.mark.parametrize(
    ("hit", "id_"),
    [
        ({"_id": "a#1"}, "a#1"),
        ({"sort": [0.5, "a#b", 12]}, "a#b#12"),
        ({"fields": {"doc_id": ["a"], "passage": [2]}}, "a#2"),
        ({"sort": [0.5, None, 2**63 - 1]}, f"#{2**63 - 1}"),
        ({"fields": {"passage": [2]}}, "#2"),
    ],
    ids=["by the engine", "by what it is sorted by", "by doc values", "of another program", "of another, fused"],
)
def test_a_passage_is_named_by_its_doc_values(hit, id_) -> None:
    """Document and number, which stored fields would tell at the cost of reading the source."""
    assert legs.passage_id(hit) == id_


def test_a_header_names_the_copies_and_how_terms_are_counted() -> None:
    """One per search: BM25's asks for the frequencies of all shards."""
    assert legs.search_header(preference=None, dfs=False) == {}
    header = legs.search_header(preference="me", dfs=True)
    assert header == {"search_type": "dfs_query_then_fetch", "preference": "me"}
    request = legs.multi_search("i", [{"size": 1}, {"size": 2}], timeout=1.0, headers=[header, {}])
    assert [orjson.loads(line) for line in request.body.splitlines()] == [header, {"size": 1}, {}, {"size": 2}]


def test_passages_are_fetched_without_their_vectors() -> None:
    """Everything that a hit shows, by id."""
    assert legs.passage_fetch(["a#0", "b#2"], timeout=10) == {
        "query": {"ids": {"values": ["a#0", "b#2"]}},
        "size": 2,
        "_source": {"includes": ["doc_id", "passage", "start", "end", "text", "fields", "state.shown"]},
        "track_total_hits": False,
        "timeout": "10000ms",
    }


def test_a_multi_search_is_lines_of_json() -> None:
    """An empty header and a body per search; the index, quoted, in the path."""
    request = legs.multi_search("my/index", [{"size": 1}, {"size": 2}], timeout=3.0)
    assert (request.method, request.path, request.timeout) == ("POST", "/my%2Findex/_msearch", 3.0)
    assert request.content_type == "application/x-ndjson"
    assert request.body is not None
    assert [orjson.loads(line) for line in request.body.splitlines()] == [{}, {"size": 1}, {}, {"size": 2}]
    assert request.body.endswith(b"\n")
