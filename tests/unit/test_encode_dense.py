from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_models import save_bi_encoder, write_json, write_modules

from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import DenseEncoder, load_dense
from hybrid_search.encode.plain_bert import is_plain_bert
from hybrid_search.encode.sentence import SentenceBackbone
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings

TEXTS = [
    "the weather is lovely today",
    "",
    "he drove to the stadium " * 5,
    "so sunny",
    "how many people live in berlin?",
    "a",
]
PROMPTS = {"query": "query: ", "document": "passage: "}


def reference(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def load(folder, **settings) -> DenseEncoder:
    return load_dense(DenseSettings(model=str(folder), device="cpu", **settings))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Mean pooling, normalised, prompts for both sides."""
    return save_bi_encoder(tmp_path_factory.mktemp("plain"), prompts=PROMPTS)


@pytest.fixture(scope="module")
def with_max_pooling(tmp_path_factory):
    """Not a layout that the plain forward pass knows."""
    return save_bi_encoder(tmp_path_factory.mktemp("max"), pooling="max", normalize=False, prompts=PROMPTS)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_plain_forward_pass_equals_sentence_transformers(tmp_path, pooling, normalize):
    """On mixed lengths, an empty text and a cut one among them, for queries and for passages."""
    folder = save_bi_encoder(tmp_path, pooling=pooling, normalize=normalize, prompts=PROMPTS)
    encoder, model = load(folder), reference(folder)
    assert isinstance(encoder.backbone, BertBackbone)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), model.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), model.encode_document(TEXTS), atol=1e-5)


def test_any_other_model_goes_through_sentence_transformers(with_max_pooling):
    """The same call, the same vectors as the library's own."""
    encoder, model = load(with_max_pooling), reference(with_max_pooling)
    assert isinstance(encoder.backbone, SentenceBackbone)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), model.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), model.encode_document(TEXTS), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_the_batch_size_does_not_change_the_vectors(plain, batch_size):
    """Padding must be invisible: a text alone and in company has one vector."""
    whole, alone = load(plain, batch_size=batch_size).encode_documents(TEXTS), load(plain)
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(whole[row], alone.encode_documents([text])[0], atol=1e-6)


def test_vectors_are_float32_rows_in_order(plain):
    """Shape (n, dimension), also for no texts at all."""
    encoder = load(plain)
    assert encoder.encode_documents(TEXTS).shape == (len(TEXTS), 32)
    assert encoder.encode_documents(TEXTS).dtype == np.float32
    assert encoder.encode_documents([]).shape == (0, 32)


@pytest.mark.parametrize("kind", ["plain", "with_max_pooling"])
def test_prompts_are_put_before_texts(kind, request):
    """A prompt of the model's files does what writing it into the text does."""
    folder = request.getfixturevalue(kind)
    bare = load(folder, query_prompt="", document_prompt="")
    np.testing.assert_allclose(
        load(folder).encode_queries(["so sunny"]), bare.encode_queries(["query: so sunny"]), atol=1e-6
    )
    np.testing.assert_allclose(
        load(folder).encode_documents(["so sunny"]), bare.encode_documents(["passage: so sunny"]), atol=1e-6
    )


def test_a_passage_prompt_is_used_where_sentence_transformers_leaves_it_out(tmp_path):
    """On purpose: the library's own ``document`` prompt is empty, and hides the one that the model was trained with."""
    folder = save_bi_encoder(tmp_path, prompts={"query": "query: ", "passage": "passage: "})
    model = reference(folder)
    np.testing.assert_allclose(model.encode_document(["so sunny"]), model.encode(["so sunny"], prompt=""), atol=1e-6)
    ours = load(folder).encode_documents(["so sunny"])
    np.testing.assert_allclose(ours, model.encode(["so sunny"], prompt="passage: "), atol=1e-5)


def test_prompts_of_the_settings_replace_those_of_the_model(plain):
    """The fingerprint names the prompts that are used."""
    encoder = load(plain, query_prompt="search ", document_prompt="")
    np.testing.assert_allclose(
        encoder.encode_queries(["so sunny"]), encoder.encode_documents(["search so sunny"]), atol=1e-6
    )
    assert (encoder.fingerprint.query_prompt, encoder.fingerprint.document_prompt) == ("search ", "")


@pytest.mark.parametrize("kind", ["plain", "with_max_pooling"])
def test_room_for_a_passage_leaves_out_special_tokens_and_the_prompt(kind, request):
    """32 tokens, less [CLS] and [SEP], less "passage" and ":"."""
    encoder = load(request.getfixturevalue(kind))
    assert encoder.fingerprint.max_tokens == 32
    assert encoder.max_tokens == 32 - 2 - 2


@pytest.mark.parametrize("kind", ["plain", "with_max_pooling"])
def test_a_shorter_length_of_the_settings_cuts_texts(kind, request):
    """Six tokens read [CLS] passage : so sunny [SEP]; what follows has no effect."""
    encoder = load(request.getfixturevalue(kind), max_tokens=6)
    short, long = encoder.encode_documents(["so sunny", "so sunny outside today"])
    np.testing.assert_allclose(short, long, atol=1e-6)


def test_a_length_above_the_models_own_is_not_believed(plain):
    """The model has 64 positions; asking for 1000 tokens must not crash on the 65th."""
    encoder = load(plain, max_tokens=1000)
    assert encoder.fingerprint.max_tokens == 64
    assert encoder.encode_documents(["a " * 200]).shape == (1, 32)


def test_a_prompt_that_fills_the_input_is_refused(plain):
    """Nothing of a passage would be read."""
    with pytest.raises(ModelError, match="prompt fills"):
        load(plain, max_tokens=4)


def test_cutting_is_said_once(plain, caplog):
    """A service that gets long queries all day must not fill its log."""
    encoder = load(plain)
    with caplog.at_level(logging.WARNING):
        encoder.encode_queries(["so sunny"])
        assert not caplog.messages
        encoder.encode_queries(["so sunny " * 100])
        encoder.encode_queries(["so sunny " * 100])
    assert len(caplog.messages) == 1
    assert "32 tokens" in caplog.messages[0]


@pytest.mark.parametrize("kind", ["plain", "with_max_pooling"])
def test_token_states_are_the_last_hidden_states(kind, request):
    """One row per token, [CLS], prompt and [SEP] included: [CLS] query : so sunny [SEP]."""
    folder = request.getfixturevalue(kind)
    states = load(folder).token_states(["so sunny", "a"], query=True)
    assert [row.shape for row in states] == [(6, 32), (5, 32)]
    expected = reference(folder).encode_query(["so sunny"], output_value="token_embeddings")[0]
    np.testing.assert_allclose(states[0], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "with_max_pooling"])
def test_many_threads_get_what_one_thread_gets(kind, request):
    """A service shares one encoder."""
    encoder = load(request.getfixturevalue(kind))
    texts = [" ".join(TEXTS[row % 6].split()[: 1 + row % 5]) or "a" for row in range(24)]
    alone = [encoder.encode_queries([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: encoder.encode_queries([text])[0], texts))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_static_embeddings_encode_and_have_no_token_states(tmp_path):
    """A model without attention has nothing for late interaction, and says so."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    saved = save_bi_encoder(tmp_path / "source")
    tokenizer = Tokenizer.from_file(str(saved / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(tmp_path / "static"))
    encoder = load(tmp_path / "static")
    expected = reference(tmp_path / "static").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)
    with pytest.raises(ModelError, match="no token states"):
        encoder.token_states(["a"], query=True)


def test_a_router_takes_its_route_for_queries_and_for_documents(tmp_path):
    """Asymmetric models read queries with one network and documents with another."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    def route(name, seed):
        save_bi_encoder(tmp_path / name, seed=seed)
        return [Transformer(str(tmp_path / name)), Pooling(32, "mean")]

    router = Router.for_query_document(query_modules=route("q", 1), document_modules=route("d", 2))
    SentenceTransformer(modules=[router]).save(str(tmp_path / "router"))
    encoder, model = load(tmp_path / "router"), reference(tmp_path / "router")
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), model.encode_query(TEXTS), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), model.encode_document(TEXTS), atol=1e-5)
    assert not np.allclose(encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS), atol=1e-2)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"model_type": "roberta"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("1_Pooling/config.json", {"pooling_mode": "max"}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        ("tokenizer_config.json", {"do_lower_case": False}),
    ],
)
def test_only_what_the_plain_forward_pass_knows_goes_through_it(tmp_path, file, changes):
    """Any deviation in the files sends the model to sentence-transformers."""
    from hybrid_search.encode.folder import read_json

    folder = save_bi_encoder(tmp_path)
    assert is_plain_bert(folder)
    write_json(folder / file, {**read_json(folder / file), **changes})
    assert not is_plain_bert(folder)


def test_a_layer_on_top_of_the_pooling_is_not_left_out(tmp_path):
    """Dense layers change dimension and values."""
    folder = save_bi_encoder(tmp_path)
    write_modules(folder, [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")])
    assert not is_plain_bert(folder)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_files_that_make_no_model_are_an_error_of_the_package(tmp_path, pooling):
    """Damaged weights are named with their place, on both ways of loading."""
    folder = save_bi_encoder(tmp_path, pooling=pooling)
    (folder / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)
