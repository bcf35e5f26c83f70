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


def save_matryoshka(folder: Path, keep: int, **options: Any) -> Path:
    """A bi-encoder whose own configuration keeps the first ``keep`` components."""
    save_bi_encoder(folder, **options)
    change_json(folder / "config_sentence_transformers.json", truncate_dim=keep)
    return folder


def save_splade(folder: Path, **config: Any) -> Path:
    """A SPLADE model in the layout of sentence-transformers."""
    save_transformer(folder, "BertForMaskedLM", **config)
    modules = [("MLMTransformer", ""), ("SpladePooling", "1_SpladePooling")]
    write_modules(folder, modules, "sentence_transformers.sparse_encoder.models")
    write_json(folder / "1_SpladePooling" / "config.json", {"pooling_strategy": "max"})
    write_json(folder / "config_sentence_transformers.json", {"model_type": "SparseEncoder"})
    return folder


def save_cross_encoder(folder: Path, *, activation: str | None = None, **config: Any) -> Path:
    """A cross-encoder with one label; the activation where such models keep it."""
    save_transformer(
        folder, "BertForSequenceClassification", id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0}, **config
    )
    if activation:
        change_json(folder / "config.json", sentence_transformers={"activation_fn": activation})
    return folder


def save_clip(folder: Path, *, seed: int = 0, plain: bool = False) -> Path:
    """A CLIP of images of 32 x 32 pixels, as sentence-transformers saves it, or ``plain`` as transformers does."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    letters = [*LETTERS, *"0123456789"]
    tokens = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    begin, end = len(tokens) - 2, len(tokens) - 1
    ids = {"vocab_size": len(tokens), "bos_token_id": begin, "eos_token_id": end, "pad_token_id": end}
    torch.manual_seed(seed)
    config = transformers.CLIPConfig(
        text_config={**tower, **ids, "max_position_embeddings": 64},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
        initializer_factor=4.0,
    )
    place = folder if plain else folder.with_name(f"{folder.name}-plain")
    transformers.CLIPModel(config).eval().save_pretrained(place)
    transformers.CLIPProcessor(
        image_processor=transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        tokenizer=transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=64),
    ).save_pretrained(place)
    if not plain:
        SentenceTransformer(modules=[Transformer(str(place))], device="cpu").save(str(folder))
    return folder


def save_decoder(folder: Path) -> Path:
    """A text generator."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(VOCABULARY), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    transformers.GPT2LMHeadModel(config).eval().save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def change_json(path: Path, **entries: Any) -> None:
    """Set entries of an object in a file; None takes one out."""
    content = {**read_json(path), **entries}
    write_json(path, {key: value for key, value in content.items() if value is not None})


def change_weights(folder: Path, *, drop: str = "", add: dict[str, Any] | None = None) -> None:
    """Take the weights out whose names hold ``drop``, and put others in."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if not drop or drop not in name}
    save_file({**kept, **(add or {})}, path, metadata={"format": "pt"})


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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a saved model."""
    return read_json(folder / "config.json")
