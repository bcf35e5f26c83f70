"""The vectors of every layout of bi-encoders by torch are sentence-transformers', for texts however strange."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models as tiny

pytest.importorskip("torch")

import torch

from hybrid_search.encode.dense import load_dense
from hybrid_search.settings import DenseSettings

LENGTHS = ["so " * count for count in (0, 1, 2, 29, 30, 31, 63, 64, 65, 200)]
STRANGE = [
    "\U0001f31e\U0001f468\u200d\U0001f469",
    "a\x00b",
    "\u0645\u0631\u062d\u0628\u0627 so sunny",
    "x" * 100_000,
    " ",
]


def modern(folder):
    import transformers

    torch.manual_seed(0)
    tokens = {
        f"{name}_token_id": number for name, number in (("pad", 0), ("bos", 2), ("eos", 3), ("cls", 2), ("sep", 3))
    }
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = transformers.ModernBertConfig(
        vocab_size=len(tiny.VOCABULARY), max_position_embeddings=64, initializer_range=0.5, **sizes, **tokens
    )
    transformers.ModernBertModel(config).eval().save_pretrained(folder)
    tiny.save_tokenizer(folder)
    return folder


def left_padded(folder):
    tiny.save_bi_encoder(folder, pooling="lasttoken")
    tiny.change_json(folder / "tokenizer_config.json", padding_side="left")
    return folder


def with_dense(folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    tiny.save_bi_encoder(folder.parent / "source")
    torch.manual_seed(1)
    modules = [Transformer(str(folder.parent / "source")), Pooling(32, "mean"), Dense(32, 16), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def static(folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
    from tokenizers import Tokenizer

    tiny.save_bi_encoder(folder.parent / "words")
    torch.manual_seed(2)
    tokenizer = Tokenizer.from_file(str(folder.parent / "words" / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16), Normalize()]).save(str(folder))
    return folder


LAYOUTS = {
    "mean": tiny.save_bi_encoder,
    "cls": lambda folder: tiny.save_bi_encoder(folder, pooling="cls", normalize=False),
    "prompts": lambda folder: tiny.save_bi_encoder(folder, prompts={"query": "query: ", "document": "passage: "}),
    "last token, padded at the left": left_padded,
    "ModernBERT": modern,
    "Dense on top": with_dense,
    "static": static,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_texts_of_every_length_and_script(tmp_path, layout):
    """From nothing to beyond the limit, in one call as they come; queries and passages."""
    from sentence_transformers import SentenceTransformer

    folder = LAYOUTS[layout](tmp_path / "model")
    encoder, library = load_dense(DenseSettings(model=str(folder), device="cpu")), SentenceTransformer(str(folder))
    texts = [*LENGTHS, *STRANGE]
    np.testing.assert_allclose(encoder.encode_queries(texts), library.encode_query(texts), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_documents(texts), library.encode_document(texts), atol=1e-5)
