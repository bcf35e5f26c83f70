from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import VOCABULARY, save_tokenizer

from hybrid_search.encode import load_encoder
from hybrid_search.encode.idf import IdfEncoder, load_idf
from hybrid_search.encode.tokens import load_tokenizer
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings, Settings, SparseSettings


def number(piece):
    return str(VOCABULARY.index(piece))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def idf(tokenizer):
    """Every piece's weight is its id over 10; [PAD], with 0, is no content anyway."""
    return IdfEncoder(tokenizer, np.arange(len(VOCABULARY), dtype=np.float32) / 10, name="tiny", vocabulary="v")


@pytest.fixture(scope="module")
def shipped():
    return load_idf()


def test_a_passage_weighs_by_saturated_term_frequency(idf):
    """tf 1.9 / (tf + 0.9 (0.6 + 0.4 length / 200)), with a length of three pieces."""
    norm = 0.9 * (0.6 + 0.4 * 3 / 200)
    (vector,) = idf.encode_documents(["sunny sunny, today!"])
    assert vector == pytest.approx({number("sunny"): 2 * 1.9 / (2 + norm), number("today"): 1 * 1.9 / (1 + norm)})


def test_a_query_weighs_by_term_frequency_times_idf(idf):
    """Said twice, asked for twice."""
    (vector,) = idf.encode_queries(["sunny today sunny"])
    sunny, today = VOCABULARY.index("sunny"), VOCABULARY.index("today")
    assert vector == pytest.approx({str(sunny): 2 * sunny / 10, str(today): today / 10})


def test_the_dot_product_is_bm25(idf):
    """k1 0.9, b 0.4, an average length of 200: the textbook's formula, from the text's own counts."""
    passage, query = "he drove to the stadium, to the stadium", "stadium to"
    (left,), (right,) = idf.encode_documents([passage]), idf.encode_queries([query])
    terms = {"stadium": 2, "to": 2}
    expected = sum(
        VOCABULARY.index(term) / 10 * tf * 1.9 / (tf + 0.9 * (1 - 0.4 + 0.4 * 8 / 200)) for term, tf in terms.items()
    )
    assert sum(weight * right.get(piece, 0.0) for piece, weight in left.items()) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "?!", " . , "])
def test_a_text_without_words_has_no_terms(idf, text):
    """Punctuation is no content."""
    assert idf.encode_documents([text]) == [{}]
    assert idf.encode_queries([text]) == [{}]


def test_the_heaviest_pieces_are_kept(tokenizer):
    """The most frequent first; among equally frequent ones the rarer in general."""
    table = np.arange(len(VOCABULARY), dtype=np.float32)
    idf = IdfEncoder(tokenizer, table, name="tiny", vocabulary="v", max_terms=2)
    (vector,) = idf.encode_documents(["the the weather sunny"])
    assert list(vector) == [number("the"), number("sunny")]
    assert len(idf.encode_queries(["the the weather sunny"])[0]) == 3


def test_a_table_of_another_vocabulary_is_refused(tokenizer):
    """Its entries would be other words."""
    with pytest.raises(ModelError, match="idf table has 7 entries"):
        IdfEncoder(tokenizer, np.ones(7, np.float32), name="tiny", vocabulary="v")


def test_a_table_can_be_read_from_a_folder(tmp_path):
    """idf.json maps tokens to weights; a token that the tokenizer lacks is passed over."""
    save_tokenizer(tmp_path)
    (tmp_path / "idf.json").write_text(json.dumps({"sunny": 3.5, "today": 0.5, "unheard": 9.0}), "utf-8")
    settings = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model=str(tmp_path)))
    encoder = load_encoder(settings)
    assert encoder.encode_queries(["sunny today weather"]).sparse == [{number("sunny"): 3.5, number("today"): 0.5}]


def test_a_folder_without_a_table_is_refused(tmp_path):
    """With the place and the remedy."""
    save_tokenizer(tmp_path)
    with pytest.raises(ModelError, match=r"idf\.json: no idf table"):
        load_idf(tmp_path)


def test_the_shipped_table_knows_common_from_rare_words(shipped):
    """No hand-picked weights: only the order that any English text gives."""
    (vector,) = shipped.encode_queries(["the protein"])
    the, protein = vector.values()
    assert 0 < the < 1 < protein


def test_the_shipped_encoder_has_a_weight_for_every_piece(shipped):
    """A piece never seen counts as rarest, so that no query word is lost."""
    assert all(
        weight > 0 for weight in shipped.encode_queries(["antidisestablishmentarianism 東京 ελλάδα"])[0].values()
    )


def test_the_fingerprint_names_table_and_formula(shipped):
    """Another pruning is another encoder; loading again is not."""
    assert shipped.fingerprint.kind == "idf"
    assert shipped.fingerprint.extra["k1"] == 0.9
    assert load_idf(max_terms=64).fingerprint.difference(shipped.fingerprint) != []
    assert load_idf().fingerprint.difference(shipped.fingerprint) == []


@given(st.text(max_size=200))
def test_any_text_gives_positive_finite_weights(shipped, text):
    """What the engines take, whatever people write."""
    for vector in (*shipped.encode_documents([text]), *shipped.encode_queries([text])):
        assert all(weight > 0 and math.isfinite(weight) for weight in vector.values())


@given(st.lists(st.text(alphabet="abc ,", max_size=20), max_size=6))
def test_a_texts_vector_does_not_depend_on_the_others(shipped, texts):
    """Nothing is fitted to the batch or the corpus."""
    assert shipped.encode_documents(texts) == [shipped.encode_documents([text])[0] for text in texts]
