"""Small models with random weights and the real architectures, saved the way that real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = (
    "the weather is lovely today it s so sunny outside he drove to stadium how many people live in berlin "
    "query passage search document instruct retrieve a an of and"
)
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = list(
    dict.fromkeys(
        [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            *WORDS.split(),
            *LETTERS,
            *(f"##{c}" for c in LETTERS),
            *".,:?!'",
        ]
    )
)


def save_tokenizer(folder: Path, *, max_length: int = 64) -> None:
    """A WordPiece tokenizer over :data:`VOCABULARY`, lower case."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token, no secret
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, **special)
    fast.save_pretrained(folder)


def save_transformer(folder: Path, kind: str, *, seed: int = 0, **config: Any) -> Path:
    """A transformers model of a class, its weights wide enough for its outputs to differ between texts."""
    import torch
    import transformers

    settings = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,
        **config,
    }
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(transformers.BertConfig(**settings))
    model.eval().save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_bi_encoder(
    folder: Path,
    *,
    pooling: str = "mean",
    normalize: bool = True,
    max_tokens: int = 32,
    prompts: dict[str, str] | None = None,
    **config: Any,
) -> Path:
    """A BERT bi-encoder in the layout of sentence-transformers."""
    save_transformer(folder, "BertModel", **config)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Normalize", "2_Normalize")] if normalize else [])]
    write_modules(folder, modules)
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": 32, "pooling_mode": pooling})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts or {}})
    return folder


def write_modules(folder: Path, modules: list[tuple[str, str]], package: str = "sentence_transformers.models") -> None:
    """``modules.json`` of classes and their folders."""
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": f"{package}.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    write_json(folder / "modules.json", rows)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a saved model."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config
