"""What a model is, is read from its own files; in the wrong section of the settings it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search import load_encoder, load_reranker
from hybrid_search.encode.kinds import TAKES, kind_of
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

ROLES = ("dense", "sparse", "rerank")


def save_pylate(folder: Path) -> Path:
    """A ColBERT in PyLate's layout, its class names those of sentence-transformers."""
    tiny.save_bi_encoder(folder)
    tiny.change_json(folder / "config_sentence_transformers.json", model_type="MultiVectorEncoder")
    return folder


def save_colbert(folder: Path) -> Path:
    """A ColBERT as its authors save it."""
    tiny.save_transformer(folder, "BertModel")
    tiny.change_json(folder / "config.json", architectures=["HF_ColBERT"])
    return folder


def save_saved_cross(folder: Path) -> Path:
    """A cross-encoder as sentence-transformers saves it."""
    tiny.save_cross_encoder(folder)
    tiny.write_modules(folder, [("Transformer", "")])
    tiny.write_json(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder"})
    tiny.write_json(folder / "sentence_bert_config.json", {"transformer_task": "sequence-classification"})
    return folder


def save_untold_splade(folder: Path) -> Path:
    """A SPLADE model whose files say so by their modules alone."""
    tiny.save_splade(folder)
    (folder / "config_sentence_transformers.json").unlink()
    return folder


SAVED = {
    "bi-encoder": (tiny.save_bi_encoder, "a bi-encoder", "dense"),
    "encoder": (lambda folder: tiny.save_transformer(folder, "BertModel"), "a text encoder without a head", "dense"),
    "splade": (tiny.save_splade, "a sparse encoder", "sparse"),
    "untold splade": (save_untold_splade, "a sparse encoder", "sparse"),
    "fill-mask": (lambda folder: tiny.save_transformer(folder, "BertForMaskedLM"), "a masked language model", "sparse"),
    "cross-encoder": (tiny.save_cross_encoder, "a cross-encoder", "rerank"),
    "saved cross-encoder": (save_saved_cross, "a cross-encoder", "rerank"),
    "classifier": (
        lambda folder: tiny.save_transformer(folder, "BertForSequenceClassification", num_labels=3),
        "a model that classifies into 3 labels",
        None,
    ),
    "decoder": (tiny.save_decoder, "a text generator", None),
    "colbert": (save_colbert, "a late interaction model", None),
    "pylate": (save_pylate, "a late interaction model", None),
    "tagger": (lambda folder: tiny.save_transformer(folder, "BertForTokenClassification"), "a classifier of", None),
    "reader": (lambda folder: tiny.save_transformer(folder, "BertForQuestionAnswering"), "a model that marks", None),
    "next": (lambda folder: tiny.save_transformer(folder, "BertForNextSentencePrediction"), "another task", None),
    "pre-training": (lambda folder: tiny.save_transformer(folder, "BertForPreTraining"), "further training", None),
}
WRONG = [(role, name) for name, (_, _, fits) in SAVED.items() for role in ROLES if role != fits]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("kinds")
    return {name: save(root / name.replace(" ", "-")) for name, (save, _, _) in SAVED.items()}


def load(role: str, folder: Path | str) -> object:
    """As the pipelines do, by the names of the settings."""
    off = {"dense": DenseSettings(model="none"), "sparse": SparseSettings(model="none")}
    kinds = {"dense": DenseSettings, "sparse": SparseSettings, "rerank": RerankSettings}
    settings = Settings(**{**off, role: kinds[role](model=str(folder), device="cpu")})
    return load_reranker(settings) if role == "rerank" else load_encoder(settings)


@pytest.mark.parametrize(("role", "name"), WRONG, ids=lambda part: part.replace(" ", "-"))
def test_a_model_in_the_wrong_section_is_refused_with_what_it_is_and_where_it_fits(folders, role, name):
    """Before it is loaded: the library would complete it with random weights, or read it otherwise than trained."""
    _, what, fits = SAVED[name]
    with pytest.raises(ModelError) as refused:
        load(role, folders[name])
    assert what in str(refused.value)
    assert f"{role}.model" in str(refused.value.where)
    assert refused.value.remedy == (
        (f"Set {fits}.model to it" if fits else "No setting takes it") + f"; {role}.model takes {TAKES[role]}"
    )


@pytest.mark.parametrize("name", [name for name, (_, _, fits) in SAVED.items() if fits and name != "untold splade"])
def test_a_model_in_its_section_is_loaded(folders, name):
    """The other side of the table above."""
    assert load(SAVED[name][2], folders[name]) is not None


@pytest.mark.parametrize("name", ["encoder", "fill-mask", "cross-encoder", "classifier", "decoder"])
def test_where_the_files_name_no_class_the_stored_weights_tell(tmp_path, name):
    """Old models were saved without ``architectures``."""
    SAVED[name][0](tmp_path)
    tiny.change_json(tmp_path / "config.json", architectures=None)
    if name == "decoder":  # its matrix is tied, so that nothing of the head is stored
        import torch

        tiny.change_weights(tmp_path, add={"lm_head.weight": torch.zeros(2, 2)})
    assert kind_of(tmp_path).role == SAVED[name][2]


@given(st.from_regex(r"[A-Z][a-z]{1,8}For[A-Z][A-Za-z]{2,20}", fullmatch=True))
def test_no_head_is_taken_for_a_plain_encoder(architecture):
    """Whatever transformers will name its next head."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        tiny.write_json(Path(name) / "config.json", {"architectures": [architecture]})
        assert kind_of(Path(name)).role != "dense"


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("dense", "starter"),
        ("dense", "idf"),
        ("dense", "late"),
        ("sparse", "late"),
        ("rerank", "starter"),
        ("rerank", "idf"),
        ("rerank", "precomputed"),
    ],
)
def test_a_name_of_this_package_is_refused_where_it_does_not_belong(section, name):
    """It is no model's name, so that no hub need be asked."""
    with pytest.raises(SettingsError, match=rf"{section}\.model: does not take '{name}'\. It is for "):
        load(section, name)


@pytest.mark.parametrize("role", ["dense", "rerank"])
def test_an_idf_table_is_named_as_what_it_is(tmp_path, role):
    """It has a tokenizer and no weights, and fits ``sparse.model``."""
    tiny.save_tokenizer(tmp_path)
    tiny.write_json(tmp_path / "idf.json", {"sunny": 2.5})
    with pytest.raises(ModelError, match=r"idf table.*Set sparse\.model"):
        load(role, tmp_path)
    assert load("sparse", tmp_path) is not None
