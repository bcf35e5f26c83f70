"""A cross-encoder's last layer computes one token, and its scores are the library's."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny

pytest.importorskip("torch")

import torch

from hybrid_search.encode.cross import load_cross
from hybrid_search.encode.first_token import FirstTokenLayer, only_first_token
from hybrid_search.settings import EncodeSettings, RerankSettings

PAIRS = [("so sunny", "the weather is lovely " * count) for count in (0, 1, 3, 9, 40)]


COMMON = {"vocab_size": len(tiny.VOCABULARY), "pad_token_id": 0, "initializer_range": 0.5, "num_labels": 1}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
KINDS = {
    "Bert": {**SIZES, "max_position_embeddings": 64},
    "Roberta": {**SIZES, "max_position_embeddings": 70, "type_vocab_size": 2},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64},
}


def saved(folder, kind):
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**COMMON, **KINDS[kind])
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    model.eval().save_pretrained(folder)
    tiny.save_tokenizer(folder)
    return str(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_librarys(tmp_path, kind):
    """Of BERT and its like the last of two layers is exchanged; an architecture of other parts stays what it is."""
    from sentence_transformers import CrossEncoder

    folder = saved(tmp_path, kind)
    reranker = load_cross(RerankSettings(model=folder, device="cpu"), EncodeSettings(backend="torch"))
    exchanged = [isinstance(module, FirstTokenLayer) for module in reranker._model.modules()]
    assert sum(exchanged) == (0 if kind == "DistilBert" else 1)
    library = CrossEncoder(folder, device="cpu").predict(PAIRS)
    np.testing.assert_allclose(reranker.score_pairs(PAIRS), library, atol=1e-5)


def test_where_scores_would_change_the_layer_stays(tmp_path):
    """Another model may read other tokens: what it gives decides."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(tiny.save_cross_encoder(tmp_path, num_hidden_layers=1)), device="cpu")
    given = iter([np.zeros(2, np.float32), np.ones(2, np.float32)])
    assert not only_first_token(model, lambda: next(given))
    assert not any(isinstance(module, FirstTokenLayer) for module in model.modules())
