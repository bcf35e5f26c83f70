"""Which bi-encoders the fast path computes exactly as sentence-transformers does: all that is known to be equal.

The fast path reads ``tokenizer.json``; transformers makes a BERT's tokenizer anew from ``tokenizer_config.json`` and
the vocabulary. A model takes the fast path where both are the same tokenizer; a setting that is not known here sends it
the slow way, through sentence-transformers itself, which is never wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid_search.encode.folder import module_paths, module_types, pooling_of, read_json

LAYOUTS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
REQUIRED = {"model_type": "bert", "hidden_act": "gelu"}
ASSUMED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
READ = ("num_attention_heads", "layer_norm_eps", "hidden_size", "max_position_embeddings", "num_hidden_layers")
"""Keys of config.json whose defaults are the library's own."""

OTHER_WAYS = ("adapter_config.json", "added_tokens.json", "chat_template.jinja")
"""Files that change what is computed, in ways that the fast path does not know."""

# Of sentence_bert_config.json: None is any value.
SENTENCE_KEYS: dict[str, Any] = {
    "max_seq_length": None,
    "do_lower_case": None,  # compared with the tokenizer's own
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}

SPECIAL = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}

EMPTY = ("additional_special_tokens", "extra_special_tokens")

# Of tokenizer_config.json: what BertTokenizer takes for granted where the file is silent.
DEFAULTS: dict[str, Any] = {
    "do_lower_case": True,
    "strip_accents": None,
    "tokenize_chinese_chars": True,
    "do_basic_tokenize": True,
    "never_split": None,
    "truncation_side": "right",
    "padding_side": "right",
    "split_special_tokens": False,
    **dict.fromkeys(EMPTY),
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    **SPECIAL,
}
COMPARED = {"do_lower_case", "strip_accents", "tokenize_chinese_chars"}
"""With the normaliser of tokenizer.json; all others must have their default."""

CLASSES = (None, "BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend")

# These say how the tokenizer was saved or last used; they split no text otherwise.
HOUSEKEEPING = frozenset(
    {
        "added_tokens_decoder",  # looked at by itself
        "backend",
        "clean_up_tokenization_spaces",
        "is_local",
        "local_files_only",
        "max_length",
        "model_max_length",
        "name_or_path",
        "pad_to_multiple_of",
        "pad_token_type_id",
        "processor_class",
        "special_tokens_map_file",
        "stride",
        "tokenizer_class",
        "tokenizer_file",
        "truncation_strategy",
    }
)


def is_plain_bert(folder: Path) -> bool:
    """Whether the fast path (:mod:`hybrid_search.encode.bert`) computes what sentence-transformers would."""
    config = read_json(folder / "config.json")
    return (
        module_types(folder) in LAYOUTS
        and module_paths(folder)[0] == ""
        and all(config.get(key) == value for key, value in REQUIRED.items())
        and all(config.get(key, value) == value for key, value in ASSUMED.items())
        and all(key in config for key in READ)
        and "quantization_config" not in config
        and pooling_of(folder) in ("mean", "cls")
        and (folder / "model.safetensors").is_file()
        and not any((folder / name).exists() for name in OTHER_WAYS)
        and _tokenizer_is_plain(folder)
    )


def _tokenizer_is_plain(folder: Path) -> bool:
    """Whether ``tokenizer.json`` is the tokenizer that the other files describe."""
    whole = read_json(folder / "tokenizer.json")
    saved = read_json(folder / "tokenizer_config.json")
    sentence = read_json(folder / "sentence_bert_config.json")
    lowercase = (whole.get("normalizer") or {}).get("lowercase")
    return (
        bool(whole)
        and _splits_as_bert(whole, saved)
        and _known(saved, whole)
        and _has_only_special_tokens(read_json(folder / "special_tokens_map.json"))
        and all(key in SENTENCE_KEYS and SENTENCE_KEYS[key] in (None, value) for key, value in sentence.items())
        and bool(lowercase or not sentence.get("do_lower_case", False))
    )


def _splits_as_bert(whole: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether each part of ``tokenizer.json`` is the one that BertTokenizer makes from its settings."""
    model = whole.get("model") or {}
    settings = {key: saved.get(key, DEFAULTS[key]) for key in COMPARED}
    return (
        whole.get("normalizer")
        == {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": settings["tokenize_chinese_chars"],
            "strip_accents": settings["strip_accents"],
            "lowercase": settings["do_lower_case"],
        }
        and whole.get("pre_tokenizer") == {"type": "BertPreTokenizer"}
        and _frames(whole.get("post_processor") or {})
        and model.get("type", "WordPiece") == "WordPiece"
        and model.get("unk_token") == SPECIAL["unk_token"]
        and model.get("continuing_subword_prefix") == "##"
        and model.get("max_input_chars_per_word") == 100
        and (whole.get("truncation") or {}).get("direction", "Right") == "Right"
        and (whole.get("padding") or {}).get("direction", "Right") == "Right"
    )


def _frames(processor: Mapping[str, Any]) -> bool:
    """Whether a text is put between [CLS] and [SEP]."""
    cls, sep = SPECIAL["cls_token"], SPECIAL["sep_token"]
    if processor.get("type") == "BertProcessing":
        return bool(processor["cls"][0] == cls and processor["sep"][0] == sep)
    if processor.get("type") != "TemplateProcessing":
        return False
    parts = [next(iter(part.values())) for part in processor.get("single", ())]
    return [(part.get("id"), part.get("type_id")) for part in parts] == [(cls, 0), ("A", 0), (sep, 0)]


def _known(saved: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether no setting of ``tokenizer_config.json`` makes another tokenizer."""
    added = [*whole.get("added_tokens", ()), *(saved.get("added_tokens_decoder") or {}).values()]
    return (
        saved.get("tokenizer_class") in CLASSES
        and all(map(_is_plain_special, added))
        and all(key in HOUSEKEEPING or key in COMPARED or _is_default(key, value) for key, value in saved.items())
    )


def _is_default(key: str, value: Any) -> bool:
    if key not in DEFAULTS:
        return False
    return _text(value) == DEFAULTS[key] or (key in EMPTY and not value)


def _is_plain_special(token: Mapping[str, Any]) -> bool:
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return token["content"] in SPECIAL.values() and token["special"] and not any(token[flag] for flag in flags)


def _has_only_special_tokens(mapping: Mapping[str, Any]) -> bool:
    return all(SPECIAL.get(name) == _text(value) for name, value in mapping.items())


def _text(value: Any) -> Any:
    """The text of a special token, which is saved bare or with its flags; anything else as it is."""
    return value["content"] if isinstance(value, dict) and "content" in value else value
