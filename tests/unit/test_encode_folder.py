from __future__ import annotations

import shutil

import pytest
from tiny_models import change_json, save_bi_encoder, save_transformer, write_json, write_modules

from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.folder import (
    UNLIMITED,
    Prompts,
    check_code,
    check_weights,
    is_model,
    max_tokens_of,
    module_types,
    pooling_of,
    read_json,
    read_prompts,
    tokenizer_overrides,
    vocabulary_digest,
)
from hybrid_search.errors import ModelError
from hybrid_search.settings import DenseSettings


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A bi-encoder to copy; never changed."""
    return save_bi_encoder(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def fingerprint(folder, **settings):
    return load_dense(DenseSettings(model=str(folder), **settings)).fingerprint


def test_a_model_has_the_same_fingerprint_wherever_it_lies(saved, folder):
    """Only the name, which is for people, may differ."""
    assert fingerprint(saved).difference(fingerprint(folder)) == []


def test_a_changed_weight_byte_changes_the_fingerprint(saved, folder):
    """The last byte of the safetensors file is part of a weight."""
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    changed = [line.split(":")[0] for line in fingerprint(saved).difference(fingerprint(folder))]
    assert changed == ["weights"]


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"query_prompt": "query: "}, "query_prompt"),
        ({"document_prompt": "passage: "}, "document_prompt"),
        ({"max_tokens": 16}, "max_tokens"),
    ],
)
def test_prompts_and_length_of_the_settings_change_the_fingerprint(saved, settings, changed):
    """Each shows up as itself and as nothing else."""
    difference = fingerprint(saved).difference(fingerprint(saved, **settings))
    assert [line.split(":")[0] for line in difference] == [changed]


def test_pooling_and_normalisation_change_the_fingerprint(saved, folder):
    """Both live in the model's own files."""
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": 32, "pooling_mode": "cls"})
    write_modules(folder, [("Transformer", ""), ("Pooling", "1_Pooling")])
    difference = fingerprint(saved).difference(fingerprint(folder))
    assert "pooling: 'mean' / 'cls'" in difference
    assert "normalized: True / False" in difference


def test_how_a_model_was_saved_does_not_change_the_fingerprint(saved, folder):
    """The version of transformers is written into config.json at every save."""
    config = dict(read_json(folder / "config.json"))
    write_json(folder / "config.json", {**config, "transformers_version": "0.0.1", "_name_or_path": "elsewhere"})
    assert fingerprint(saved).difference(fingerprint(folder)) == []


def test_another_tokenizer_changes_the_fingerprint(saved, folder):
    """One that keeps capitals splits texts otherwise."""
    text = (folder / "tokenizer.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text(text.replace('"lowercase": true', '"lowercase": false'), "utf-8")
    assert any(line.startswith("vocabulary:") for line in fingerprint(saved).difference(fingerprint(folder)))


@pytest.mark.parametrize(
    ("changes", "overrides"),
    [
        ({"strip_accents": False}, {"strip_accents": False}),
        ({"do_lower_case": False}, {"do_lower_case": False}),
        ({"tokenize_chinese_chars": False}, {"tokenize_chinese_chars": False}),
        ({"truncation_side": "left"}, {"truncation_side": "left"}),
        ({"do_lower_case": True, "strip_accents": None, "truncation_side": "right", "model_max_length": 9}, {}),
    ],
)
def test_settings_that_override_the_tokenizer_change_the_fingerprint(saved, folder, changes, overrides):
    """They change the vectors; those that only repeat what tokenizer.json says leave old fingerprints as they were."""
    change_json(folder / "tokenizer_config.json", **changes)
    assert tokenizer_overrides(folder) == overrides
    changed = fingerprint(folder, max_tokens=32).extra.get("tokenizer")
    assert changed == (overrides or None)
    assert "tokenizer" not in fingerprint(saved).extra


def test_saved_cutting_and_padding_do_not_change_the_fingerprint(saved, folder):
    """The encoder sets both itself, so that a copy saved after use is the same model."""
    tokenizer = dict(read_json(folder / "tokenizer.json"))
    write_json(folder / "tokenizer.json", {**tokenizer, "truncation": {"max_length": 7}})
    assert vocabulary_digest(saved) == vocabulary_digest(folder)


def test_prompts_come_from_the_models_files_unless_given(tmp_path):
    """An empty prompt of the settings switches the model's own off."""
    write_json(tmp_path / "config_sentence_transformers.json", {"prompts": {"query": "q: ", "document": "d: "}})
    assert read_prompts(tmp_path, query=None, document=None) == Prompts("q: ", "d: ")
    assert read_prompts(tmp_path, query="", document="mine: ") == Prompts("", "mine: ")


@pytest.mark.parametrize("name", ["passage", "corpus"])
def test_a_passage_or_corpus_prompt_is_a_document_prompt(tmp_path, name):
    """Models save the prompt of what is indexed under three names."""
    prompts = {"query": "q: ", "document": "", name: "p: "}
    write_json(tmp_path / "config_sentence_transformers.json", {"prompts": prompts})
    assert read_prompts(tmp_path, query=None, document=None).document == "p: "


def test_without_prompts_nothing_is_put_before_texts(tmp_path):
    """A model without the file has no prompts."""
    assert read_prompts(tmp_path, query=None, document=None) == Prompts()


def test_pickled_weights_are_refused_with_the_remedy(tmp_path):
    """Unpickling runs code."""
    write_json(tmp_path / "config.json", {})
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin: .*pickled.*allow_pickle"):
        check_weights(tmp_path, allow_pickle=False)
    check_weights(tmp_path, allow_pickle=True)


def test_pickled_weights_of_an_inner_module_are_refused(folder):
    """A Dense layer keeps its own weights in its own folder."""
    write_json(folder / "2_Dense" / "config.json", {})
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="2_Dense"):
        check_weights(folder, allow_pickle=False)


def test_a_pickle_beside_safetensors_is_left_alone(folder):
    """It is not loaded, so it can do no harm."""
    (folder / "pytorch_model.bin").write_bytes(b"")
    check_weights(folder, allow_pickle=False)


def test_modules_with_code_of_their_own_are_refused_with_the_remedy(folder):
    """Only classes of sentence-transformers itself are loaded unasked."""
    write_modules(folder, [("Transformer", "")], package="custom_st")
    with pytest.raises(ModelError, match=r"custom_st\.Transformer.*trust_remote_code"):
        check_code(folder, trust_remote_code=False)
    check_code(folder, trust_remote_code=True)


def test_a_broken_configuration_names_its_file(tmp_path):
    """A download that was cut off leaves such files."""
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match=r"config\.json: not JSON"):
        read_json(tmp_path / "config.json")


def test_a_configuration_that_is_a_list_is_refused(tmp_path):
    """Every configuration file but modules.json is an object."""
    (tmp_path / "config.json").write_text("[]", "utf-8")
    with pytest.raises(ModelError, match="expected a JSON object"):
        read_json(tmp_path / "config.json")


def test_pooling_is_read_in_the_old_and_the_new_form(folder):
    """Before version 5.3 of sentence-transformers, one flag per mode was saved."""
    assert pooling_of(folder) == "mean"
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True})
    assert pooling_of(folder) == "cls+mean"


def test_a_plain_transformers_model_is_pooled_by_the_mean(tmp_path):
    """That is what sentence-transformers puts on top of it."""
    folder = save_transformer(tmp_path, "BertModel")
    assert module_types(folder) == []
    assert pooling_of(folder) == "mean"


def test_the_length_is_the_models_own_else_the_smaller_of_tokenizer_and_positions(tmp_path):
    """A tokenizer without a limit is saved with the sentinel 1e30."""
    assert max_tokens_of(tmp_path) == UNLIMITED
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 10**30})
    assert max_tokens_of(tmp_path) == UNLIMITED
    write_json(tmp_path / "config.json", {"max_position_embeddings": 128})
    assert max_tokens_of(tmp_path) == 128
    write_json(tmp_path / "sentence_bert_config.json", {"max_seq_length": 48})
    assert max_tokens_of(tmp_path) == 48


def test_a_folder_is_a_model_when_it_has_a_configuration_and_weights(tmp_path):
    """An interrupted download leaves a configuration alone."""
    assert not is_model(tmp_path)
    write_json(tmp_path / "config.json", {})
    assert not is_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert is_model(tmp_path)
