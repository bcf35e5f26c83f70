from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tiny_models import save_bi_encoder, save_transformer

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.idf import IdfEncoder
from hybrid_search.encode.pair import PairEncoder, Precomputed
from hybrid_search.errors import SettingsError
from hybrid_search.records import Fingerprint
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

IDF = SparseSettings(model="idf")


class Half:
    """Gives its name and the texts back, so that it shows who was asked what."""

    def __init__(self, name, max_tokens):
        self.fingerprint = Fingerprint(kind=name, name=name, weights=name)
        self.tokenizer = name
        self.max_tokens = max_tokens

    def encode_documents(self, texts):
        return [f"{self.fingerprint.name} document {text}" for text in texts]

    def encode_queries(self, texts):
        return [f"{self.fingerprint.name} query {text}" for text in texts]


def test_each_half_gives_its_leg():
    """Documents as documents, queries as queries."""
    pair = PairEncoder(Half("dense", 100), Half("sparse", 200))
    documents, queries = pair.encode_documents(["a"]), pair.encode_queries(["b"])
    assert (documents.dense, documents.sparse) == (["dense document a"], ["sparse document a"])
    assert (queries.dense, queries.sparse) == (["dense query b"], ["sparse query b"])
    assert (pair.dense.kind, pair.sparse.kind) == ("dense", "sparse")


@pytest.mark.parametrize(("dense", "sparse", "tightest"), [(100, 200, "dense"), (200, 100, "sparse"), (9, 9, "dense")])
def test_passages_are_measured_by_the_model_that_reads_less(dense, sparse, tightest):
    """Its own tokens count, or the other's limit would be compared with foreign tokens."""
    pair = PairEncoder(Half("dense", dense), Half("sparse", sparse))
    assert pair.tokenizer == tightest
    assert pair.max_tokens == min(dense, sparse)


def test_a_leg_that_is_off_gives_none():
    """Neither vectors nor an identity."""
    dense_only, sparse_only = PairEncoder(Half("dense", 1), None), PairEncoder(None, Half("sparse", 1))
    assert (dense_only.sparse, dense_only.encode_documents(["a"]).sparse) == (None, None)
    assert (sparse_only.dense, sparse_only.encode_queries(["a"]).dense) == (None, None)


def test_both_legs_off_is_an_error_of_the_settings():
    """BM25 alone needs no encoder."""
    with pytest.raises(SettingsError, match=r"dense\.model and sparse\.model"):
        load_encoder(Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model="none")))


def test_precomputed_vectors_have_an_identity_and_are_left_to_the_caller():
    """The dimension is all that can be compared."""
    settings = Settings(
        dense=DenseSettings(model="precomputed", dimension=12), sparse=SparseSettings(model="precomputed")
    )
    encoder = load_encoder(settings)
    assert (encoder.dense.kind, encoder.dense.dimension) == ("precomputed", 12)
    assert encoder.sparse.kind == "precomputed"
    encoded = encoder.encode_documents(["a", "b"])
    assert (encoded.dense, encoded.sparse) == (None, None)
    assert encoder.tokenizer.spans(["one  two"]) == [[(0, 3), (5, 8)]]
    assert Precomputed(12).fingerprint.difference(Precomputed(13).fingerprint) == ["dimension: 12 / 13"]


def test_the_settings_name_both_models(tmp_path):
    """A bi-encoder by its path beside the lexical idf encoder, which reads texts of any length."""
    folder = save_bi_encoder(tmp_path, max_tokens=32)
    encoder = load_encoder(Settings(dense=DenseSettings(model=str(folder), device="cpu"), sparse=IDF))
    encoded = encoder.encode_documents(["the weather is lovely today", "he drove"])
    assert encoded.dense.shape == (2, 32)
    assert [len(vector) for vector in encoded.sparse] == [5, 2]
    assert encoder.max_tokens == 30
    assert encoder.bi_encoder is not None
    spans = encoder.tokenizer.spans(["Sunny, today"])
    assert spans == [[(0, 5), (5, 6), (7, 12)]]


def test_a_sparse_model_by_path(tmp_path):
    """Anything that is not a registered name is looked for as a model."""
    folder = save_transformer(tmp_path, "BertForMaskedLM")
    settings = Settings(dense=DenseSettings(model="none"), sparse=SparseSettings(model=str(folder), device="cpu"))
    encoder = load_encoder(settings)
    assert encoder.sparse.kind == "sparse"
    assert encoder.bi_encoder is None
    assert encoder.encode_queries(["so sunny"]).sparse[0]


def test_the_lexical_encoder_needs_no_dense_model():
    """Sparse alone, from what the package brings."""
    encoder = load_encoder(Settings(dense=DenseSettings(model="none"), sparse=IDF))
    assert encoder.sparse.kind == "idf"
    assert isinstance(encoder._sparse, IdfEncoder)


def test_rerankers_are_off_or_found_by_name(tmp_path):
    """None is no reranker; a path is a cross-encoder."""
    assert load_reranker(Settings()) is None
    folder = save_transformer(
        tmp_path, "BertForSequenceClassification", id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0}
    )
    reranker = load_reranker(Settings(rerank=RerankSettings(model=str(folder), device="cpu")))
    assert reranker.name == str(folder)
    assert reranker.score("so sunny", ["a", "today"]).shape == (2,)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_importing_the_package_imports_no_torch():
    """The query client and --help must start at once."""
    heavy = "{'torch', 'transformers', 'sentence_transformers', 'tokenizers', 'huggingface_hub'}"
    assert run(f"import sys, hybrid_search.encode; print({heavy} & set(sys.modules))").stdout == "set()\n"


def test_the_default_models_load_without_transformers():
    """Which would take longer than everything else of a search from the command line."""
    code = (
        "import sys; from hybrid_search.encode import load_encoder; from hybrid_search.settings import Settings\n"
        "load_encoder(Settings()).encode_queries(['so sunny'])\n"
        "print({'transformers', 'sentence_transformers', 'sklearn'} & set(sys.modules))"
    )
    assert run(code).stdout == "set()\n"


def test_loading_and_encoding_are_silent(tmp_path):
    """No bars, warnings or log lines of the libraries on a user's terminal, on exit neither."""
    save_bi_encoder(tmp_path / "dense", pooling="max")
    save_transformer(tmp_path / "sparse", "BertForMaskedLM")
    code = (
        "from hybrid_search.encode import load_encoder\n"
        "from hybrid_search.settings import DenseSettings, Settings, SparseSettings\n"
        f"dense, sparse = DenseSettings(model={str(tmp_path / 'dense')!r}), "
        f"SparseSettings(model={str(tmp_path / 'sparse')!r})\n"
        "load_encoder(Settings(dense=dense, sparse=sparse)).encode_documents(['so sunny', 'a'])\n"
    )
    done = run(code)
    assert (done.stdout, done.stderr) == ("", "")


def test_progress_bars_and_log_levels_are_put_back(tmp_path):
    """What the user's program had set for the libraries stays set."""
    import logging

    from transformers.utils import logging as transformers_logging

    logging.getLogger("sentence_transformers").setLevel(logging.INFO)
    transformers_logging.enable_progress_bar()
    folder = save_bi_encoder(tmp_path, pooling="max")
    load_encoder(Settings(dense=DenseSettings(model=str(folder), device="cpu"), sparse=IDF))
    assert logging.getLogger("sentence_transformers").level == logging.INFO
    assert transformers_logging.is_progress_bar_enabled()
    logging.getLogger("sentence_transformers").setLevel(logging.NOTSET)


def test_vectors_are_those_of_each_encoder_alone(tmp_path):
    """Side by side changes nothing."""
    folder = save_bi_encoder(tmp_path)
    both = load_encoder(Settings(dense=DenseSettings(model=str(folder), device="cpu"), sparse=IDF))
    alone = load_encoder(
        Settings(dense=DenseSettings(model=str(folder), device="cpu"), sparse=SparseSettings(model="none"))
    )
    texts = ["so sunny", "he drove to the stadium"]
    np.testing.assert_array_equal(both.encode_documents(texts).dense, alone.encode_documents(texts).dense)
