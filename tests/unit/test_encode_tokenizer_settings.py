"""Settings of a tokenizer that change how texts are split: whichever path is taken, the vectors are the library's."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tiny_models as tiny

from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.plain_bert import is_plain_bert
from hybrid_search.settings import DenseSettings

TEXTS = [
    "The Weather is lovely today",
    "Café crème à l'été, naïve Zoë",
    "sunny 東京 outside 今天天氣",
    "he drove to the stadium " * 12,
    "\x00 so\u00adsunny\u2028outside\ttoday ",
    "<tag> so [SEP] sunny [MASK] . today <tag>",
    "",
]

BERT = {"tokenizer_class": "BertTokenizer", "backend": None}
"""The class that reads its own settings; the tiny models are saved with the one that reads tokenizer.json."""


def added(content="<tag>", number=4, **flags):
    standard = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {str(number): {"content": content, **standard, **flags}}


# tokenizer_config.json, and whether the fast path may be taken.
SETTINGS = {
    "nothing": ({}, True),
    "bert": (BERT, True),
    "bert-fast": ({**BERT, "tokenizer_class": "BertTokenizerFast"}, True),
    "all-said": ({**BERT, "do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}, True),
    "keeps-accents": ({**BERT, "strip_accents": False}, False),
    "strips-accents": ({**BERT, "strip_accents": True}, False),
    "keeps-case": ({**BERT, "do_lower_case": False}, False),
    "keeps-chinese": ({**BERT, "tokenize_chinese_chars": False}, False),
    "cuts-left": ({**BERT, "truncation_side": "left"}, False),
    "pads-left": ({**BERT, "padding_side": "left"}, False),
    "ends-otherwise": ({**BERT, "sep_token": "[MASK]"}, False),
    "begins-otherwise": ({**BERT, "cls_token": "[MASK]"}, False),
    "splits-special": ({**BERT, "split_special_tokens": True}, False),
    "more-special": ({**BERT, "additional_special_tokens": ["today"]}, False),
    "extra-special": ({**BERT, "extra_special_tokens": {"tag_token": "sunny"}}, False),
    "strips-mask": ({**BERT, "added_tokens_decoder": added("[MASK]", lstrip=True)}, False),
    "shorter": ({**BERT, "model_max_length": 16}, True),
    "unknown": ({**BERT, "splits_umlauts": True}, False),
    "other-class": ({"tokenizer_class": "DistilBertTokenizer", "backend": None}, False),
    "cuts-left-plain": ({"truncation_side": "left"}, False),
}


def write_tokenizer(folder, **parts):
    tiny.change_json(folder / "tokenizer.json", **parts)


NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
# Parts of tokenizer.json that differ from what BERT's class makes.
PARTS = {
    "accents": {"normalizer": {**NORMALIZER, "strip_accents": False}},
    "case": {"normalizer": {**NORMALIZER, "lowercase": False}},
    "control-characters": {"normalizer": {**NORMALIZER, "clean_text": False}},
    "chinese": {"normalizer": {**NORMALIZER, "handle_chinese_chars": False}},
    "sequence": {"normalizer": {"type": "Sequence", "normalizers": [NORMALIZER]}},
    "lowercase-only": {"normalizer": {"type": "Lowercase"}},
    "white-space": {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    "cut-left": {"truncation": {"direction": "Left", "max_length": 32, "strategy": "LongestFirst", "stride": 0}},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny.save_bi_encoder(tmp_path_factory.mktemp("saved") / "model", normalize=False)


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def check_same_vectors(folder):
    """Within 1e-5 of sentence-transformers; says which path was taken."""
    from sentence_transformers import SentenceTransformer

    encoder = load_dense(DenseSettings(model=str(folder), device="cpu"))
    expected = SentenceTransformer(str(folder), device="cpu").encode_document(TEXTS)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)
    return isinstance(encoder.backbone, BertBackbone)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.filterwarnings("ignore")  # the library's own about odd settings
def test_the_settings_of_a_tokenizer_are_obeyed(folder, name):
    """Accents, case, Chinese, side of cutting, special tokens: cosine .84 and less where they are not."""
    changes, fast = SETTINGS[name]
    tiny.change_json(folder / "tokenizer_config.json", **changes)
    assert check_same_vectors(folder) == fast


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("settings", ["plain", "bert"])
@pytest.mark.filterwarnings("ignore")
def test_the_parts_of_a_tokenizer_are_obeyed_or_replaced_as_the_library_does(folder, name, settings):
    """One of its classes reads them from tokenizer.json, the other makes them anew."""
    write_tokenizer(folder, **PARTS[name])
    if settings == "bert":
        tiny.change_json(folder / "tokenizer_config.json", **BERT)
    assert not check_same_vectors(folder)


@pytest.mark.parametrize("settings", ["plain", "bert"])
@pytest.mark.filterwarnings("ignore")
def test_tokens_added_to_the_vocabulary_are_obeyed(folder, settings):
    """A word of the vocabulary that is also an added token is found inside other words."""
    token = {"id": tiny.VOCABULARY.index("sunny"), **added("sunny")["4"]}
    content = dict(tiny.read_json(folder / "tokenizer.json"))
    write_tokenizer(folder, added_tokens=[*content["added_tokens"], token])
    if settings == "bert":
        tiny.change_json(folder / "tokenizer_config.json", **BERT)
    assert not check_same_vectors(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("adapter_config.json", {"peft_type": "LORA"}),
        ("added_tokens.json", {"<tag>": 5}),
        ("special_tokens_map.json", {"sep_token": "[MASK]"}),
        ("sentence_bert_config.json", {"max_seq_length": 32, "module_output_name": "sentence_embedding"}),
        ("sentence_bert_config.json", {"max_seq_length": 32, "tokenizer_args": {"strip_accents": False}}),
    ],
)
def test_files_that_the_fast_path_does_not_read_send_a_model_the_slow_way(folder, file, content):
    """They may change anything."""
    assert is_plain_bert(folder)
    tiny.write_json(folder / file, content)
    assert not is_plain_bert(folder)


def test_a_network_in_a_folder_of_its_own_is_not_taken_for_another_beside_it(folder):
    """The root may hold the weights of something else."""
    tiny.write_modules(folder, [("Transformer", "0_Transformer"), ("Pooling", "1_Pooling")])
    assert not is_plain_bert(folder)


def test_what_sentence_transformers_saves_takes_the_fast_path(folder, tmp_path):
    """Its current layout writes more keys than its first one."""
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(folder), device="cpu").save(str(tmp_path / "again"))
    assert check_same_vectors(tmp_path / "again")


def test_the_default_model_takes_the_fast_path():
    """Every search from the command line would wait seconds for the other."""
    from hybrid_search.encode.sources import find_model
    from hybrid_search.settings import DENSE_MODEL

    assert is_plain_bert(find_model(DENSE_MODEL))
