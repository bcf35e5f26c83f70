"""The head of SPLADE models: the library's weights, without a logit for every token and entry of the vocabulary."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hybrid_search import load_encoder
from hybrid_search.encode.sparse import Pruning, SparseEncoder, load_sparse, sparse_rows, sparsity
from hybrid_search.encode.splade_head import VocabularyPooling, replace_heads
from hybrid_search.errors import SettingsError
from hybrid_search.settings import DenseSettings, Settings, SparseSettings

TEXTS = ["the weather is lovely today", "", "a", "so sunny outside " * 6, "he drove to the stadium"]
SIZE = len(tiny.VOCABULARY)
SIZES = {"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64, "hidden_size": 32}
DISTIL = {"n_layers": 1, "n_heads": 4, "dim": 32, "hidden_dim": 64}
NETWORKS = {
    "Bert": SIZES,
    "DistilBert": DISTIL,
    "Roberta": {**SIZES, "max_position_embeddings": 80, "pad_token_id": 0},
    "MPNet": {**SIZES, "max_position_embeddings": 80, "pad_token_id": 0},
    "Electra": {**SIZES, "embedding_size": 16},
    "ModernBert": {
        **SIZES,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    },
    "Albert": {**SIZES, "embedding_size": 16},
}


def save(folder, network="Bert", **pooling):
    """A SPLADE model of an architecture; embeddings wide enough for weights to differ between texts."""
    import transformers

    options = {"vocab_size": len(tiny.VOCABULARY), "initializer_range": 0.5, "max_position_embeddings": 64}
    torch.manual_seed(0)
    config = getattr(transformers, f"{network}Config")(**options | NETWORKS[network])
    model = getattr(transformers, f"{network}ForMaskedLM")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.eval().save_pretrained(folder)
    tiny.save_tokenizer(folder)
    tiny.write_modules(
        folder, [("MLMTransformer", ""), ("SpladePooling", "1")], "sentence_transformers.sparse_encoder.models"
    )
    tiny.write_json(folder / "1" / "config.json", {"pooling_strategy": "max", **pooling})
    tiny.write_json(folder / "config_sentence_transformers.json", {"model_type": "SparseEncoder"})
    return folder


def load(folder, **settings) -> SparseEncoder:
    encoder = load_sparse(SparseSettings(model=str(folder), device="cpu", **settings))
    assert isinstance(encoder, SparseEncoder)
    return encoder


def library(folder, **options):
    import sentence_transformers

    model = sentence_transformers.SparseEncoder(str(folder), device="cpu", **options)
    return model.encode_document(TEXTS, convert_to_sparse_tensor=False).numpy()


def arrays(vectors, size=SIZE):
    whole = np.zeros((len(vectors), size), np.float32)
    for row, vector in enumerate(vectors):
        for entry, weight in vector.items():
            whole[row, int(entry)] = weight
    return whole


def heads(encoder):
    return [part for part in encoder._model.modules() if isinstance(part, VocabularyPooling)]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_head_of_every_architecture_gives_the_librarys_weights(tmp_path, network):
    """Within 1e-5, an empty text and a cut one among them."""
    folder = save(tmp_path, network)
    encoder = load(folder)
    expected = library(folder)
    assert len(heads(encoder)) == 1
    assert 0 < (expected > 0).mean() < 1
    np.testing.assert_allclose(arrays(encoder.encode_documents(TEXTS)), expected, atol=1e-5)


@pytest.mark.parametrize("strategy", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_both_strategies_and_both_activations_are_the_librarys(tmp_path, strategy, activation):
    """The sum needs the logarithm of each logit; ``log1p_relu`` takes it twice."""
    folder = save(tmp_path, pooling_strategy=strategy, activation_function=activation)
    encoder = load(folder)
    assert len(heads(encoder)) == 1
    np.testing.assert_allclose(arrays(encoder.encode_documents(TEXTS)), library(folder), atol=1e-5)


def test_a_head_that_does_not_agree_is_left_as_it_was(tmp_path, monkeypatch):
    """The library's weights, the slow way."""
    folder = save(tmp_path)
    monkeypatch.setattr(VocabularyPooling, "_saturate", lambda _, logits: logits * 2)
    encoder = load(folder)
    assert heads(encoder) == []
    np.testing.assert_allclose(arrays(encoder.encode_documents(TEXTS)), library(folder), atol=1e-6)


def test_a_head_without_a_matrix_is_left_as_it_was():
    """Only a plain linear layer is known."""
    assert replace_heads(nn.Sequential(nn.Linear(2, 2)), ["a"]) is False


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    chunk=st.integers(1, 12),
    strategy=st.sampled_from(["max", "sum"]),
    twice=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_chunks_and_lengths_do_not_show(*, lengths, chunk, strategy, twice, bias, seed):
    """The definition, written out: every logit, masked, then the maximum or the sum over tokens."""
    torch.manual_seed(seed)
    decoder = nn.Linear(4, 11, bias=bias)
    states = torch.randn(len(lengths), max([*lengths, 1]), 4)
    mask = torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]
    weights = torch.log1p(torch.relu(decoder(states)))
    weights = (torch.log1p(weights) if twice else weights) * mask[:, :, None]
    expected = weights.amax(dim=1) if strategy == "max" else weights.sum(dim=1)
    with torch.inference_mode():
        head = VocabularyPooling(decoder, strategy=strategy, twice=twice, chunk=chunk)
        given_ = head({"token_embeddings": states, "attention_mask": mask.long()})["sentence_embedding"]
    torch.testing.assert_close(given_, expected.detach(), atol=1e-5, rtol=0)


def test_no_tensor_is_larger_than_the_output_and_a_chunk():
    """Texts x vocabulary is 8 x 20,000, tokens x chunk 512 x 1,024; tokens x vocabulary would be 20 times as much."""
    sizes: list[int] = []

    class Sizes(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), options=None):
            result = function(*arguments, **(options or {}))
            if isinstance(result, torch.Tensor) and result._base is None:
                sizes.append(result.numel())
            return result

    decoder = nn.Linear(16, 20_000)
    features = {"token_embeddings": torch.randn(8, 64, 16), "attention_mask": torch.ones(8, 64)}
    with torch.inference_mode(), Sizes():
        VocabularyPooling(decoder, chunk=1024)(features)
    assert max(sizes) == max(8 * 20_000, 512 * 1024)


def test_an_inference_free_model_has_its_documents_head_replaced(tmp_path):
    """The route for queries is a table, and stays one."""
    import sentence_transformers
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SparseStaticEmbedding, SpladePooling

    network = MLMTransformer(str(save(tmp_path / "network")))
    table = SparseStaticEmbedding(network.tokenizer, weight=torch.arange(1.0, len(tiny.VOCABULARY) + 1), frozen=True)
    router = Router.for_query_document(query_modules=[table], document_modules=[network, SpladePooling("max")])
    sentence_transformers.SparseEncoder(modules=[router]).save(str(tmp_path / "router"))
    encoder = load(tmp_path / "router")
    assert len(heads(encoder)) == 1
    np.testing.assert_allclose(arrays(encoder.encode_documents(TEXTS)), library(tmp_path / "router"), atol=1e-5)
    sunny = tiny.VOCABULARY.index("sunny")
    assert encoder.encode_queries(["sunny"]) == [{str(sunny): sunny + 1.0}]


def test_queries_are_pruned_by_their_own_limit(tmp_path):
    """``max_active_dims`` of the library, for each side."""
    folder = save(tmp_path)
    encoder = load(folder, max_terms=5, max_query_terms=2)
    assert [len(vector) for vector in encoder.encode_documents(TEXTS[:1])] == [5]
    assert [len(vector) for vector in encoder.encode_queries(TEXTS[:1])] == [2]
    assert encoder.fingerprint.difference(load(folder, max_terms=5).fingerprint) == []


def test_the_models_own_limit_counts_and_is_part_of_the_fingerprint(tmp_path):
    """``max_active_dims`` of its configuration; the settings go before it."""
    folder = save(tmp_path)
    without = load(folder)
    tiny.change_json(folder / "config_sentence_transformers.json", max_active_dims=4)
    encoder = load(folder)
    np.testing.assert_allclose(arrays(encoder.encode_documents(TEXTS)), library(folder), atol=1e-5)
    assert [line.partition(":")[0] for line in encoder.fingerprint.difference(without.fingerprint)] == ["extra"]
    assert len(load(folder, max_terms=6).encode_documents(TEXTS[:1])[0]) == 6


def test_a_share_of_the_heaviest_prunes_passages_and_is_part_of_the_fingerprint(tmp_path):
    """Half of the heaviest weight and more, by hand."""
    folder = save(tmp_path)
    (whole,), pruned = load(folder).encode_documents(TEXTS[:1]), load(folder, min_share=0.5)
    least = max(whole.values()) / 2
    assert pruned.encode_documents(TEXTS[:1]) == [{term: weight for term, weight in whole.items() if weight >= least}]
    assert pruned.encode_queries(TEXTS[:1]) == [pytest.approx(whole)]
    assert pruned.fingerprint.extra["min_share"] == 0.5
    assert "min_share" not in load(folder).fingerprint.extra


@given(
    rows=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]), min_size=6, max_size=6), max_size=5),
    most=st.none() | st.integers(1, 6),
    share=st.none() | st.sampled_from([0.1, 0.25, 0.5, 0.9]),
)
def test_pruning_is_a_sort_and_a_comparison(rows, most, share):
    """In plain Python: the heaviest first, ties to the smaller id, then the share."""
    expected = []
    for row in rows:
        heaviest = sorted(((-weight, number) for number, weight in enumerate(row) if weight > 0))[:most]
        least = (share or 0) * -heaviest[0][0] if heaviest else 0
        expected.append({str(number): -weight for weight, number in heaviest if -weight >= least})
    assert sparse_rows(torch.tensor(rows).reshape(len(rows), 6), Pruning(most, share)) == expected


def test_sparsity_is_what_sentence_transformers_prints():
    """Two entries and one of four: 1.5 of 4 are active."""
    import sentence_transformers

    vectors = [{"0": 1.0, "3": 2.0}, {"1": 0.5}]
    expected = sentence_transformers.SparseEncoder.sparsity(torch.from_numpy(arrays(vectors, 4)))
    assert sparsity(vectors, 4) == pytest.approx(expected) == {"active_dims": 1.5, "sparsity_ratio": 1 - 1.5 / 4}


@pytest.mark.parametrize("model", ["starter", "idf"])
@pytest.mark.parametrize("setting", [{"min_share": 0.1}, {"max_query_terms": 5}])
def test_pruning_that_would_have_no_effect_is_refused(model, setting):
    """The starter and the idf table choose their own terms."""
    settings = Settings(dense=DenseSettings(), sparse=SparseSettings(model=model, **setting))
    with pytest.raises(SettingsError, match=rf"sparse\.{next(iter(setting))}: prunes what a SPLADE model gives"):
        load_encoder(settings)
