"""A BERT bi-encoder straight from its safetensors, in plain torch.

The forward pass is that of arXiv:1810.04805, the pooling that of SBERT (arXiv:1908.10084). Most small and
middle-sized bi-encoders have this architecture (all-MiniLM, multi-qa-MiniLM, bge, e5, gte, arctic-embed).
sentence-transformers takes about three times as long to import as torch, and every search from the command line would
wait for it. The results equal those of sentence-transformers to 1e-5, by test. Anything else than a plain BERT with
mean or [CLS] pooling is loaded by :mod:`hybrid_search.encode.sentence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from hybrid_search.encode.backbone import Output
from hybrid_search.encode.folder import max_tokens_of, module_types, pooling_of, read_json
from hybrid_search.encode.tokens import load_tokenizer

LAYOUTS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
REQUIRED = {"model_type": "bert", "hidden_act": "gelu"}
ASSUMED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}


def is_plain_bert(folder: Path) -> bool:
    """Whether :class:`BertBackbone` computes exactly what sentence-transformers would for this model."""
    config = read_json(folder / "config.json")
    return (
        module_types(folder) in LAYOUTS
        and all(config.get(key) == value for key, value in REQUIRED.items())
        and all(config.get(key, value) == value for key, value in ASSUMED.items())
        and pooling_of(folder) in ("mean", "cls")
        and (folder / "model.safetensors").is_file()
        and _tokenizer_is_plain(folder)
    )


def _tokenizer_is_plain(folder: Path) -> bool:
    """Whether ``tokenizer.json`` alone says how texts are split, no other file overriding its casing."""
    normalizer = read_json(folder / "tokenizer.json").get("normalizer") or {}
    lowercase = normalizer.get("lowercase")
    saved = read_json(folder / "tokenizer_config.json").get("do_lower_case", lowercase)
    added = read_json(folder / "sentence_bert_config.json").get("do_lower_case", False)
    return normalizer.get("type") == "BertNormalizer" and saved == lowercase and (lowercase or not added)


class BertLayer(NamedTuple):
    """Weights of one layer; query, key and value are one matrix of shape (3 x hidden, hidden)."""

    qkv: tuple[Tensor, Tensor]
    attention: tuple[Tensor, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    norm: tuple[Tensor, Tensor]


class BertBackbone:
    """Token states and pooled embeddings of a BERT model; no state after loading, so safe to share between threads.

    Args:
        folder: a model for which :func:`is_plain_bert` holds.
        device: as torch names it; None takes a GPU where there is one.
        max_tokens: cut texts here, in tokens, special ones included; None takes the model's own limit.
    """

    def __init__(self, folder: Path, *, device: str | None = None, max_tokens: int | None = None) -> None:
        config = read_json(folder / "config.json")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.heads = int(config["num_attention_heads"])
        self.epsilon = float(config["layer_norm_eps"])
        self.dimension = int(config["hidden_size"])
        self.max_tokens = min(max_tokens or max_tokens_of(folder), int(config["max_position_embeddings"]))
        self.pooling = pooling_of(folder)
        self.normalized = "Normalize" in module_types(folder)
        self.tokenizer = load_tokenizer(folder)
        self._pad = int(config.get("pad_token_id") or 0)
        self._load(folder, int(config["num_hidden_layers"]))

    def _load(self, folder: Path, layers: int) -> None:
        stored = load_file(folder / "model.safetensors", device=str(self.device))
        weights = {name.removeprefix("bert."): tensor.float() for name, tensor in stored.items()}

        def pair(name: str) -> tuple[Tensor, Tensor]:
            return weights[f"{name}.weight"], weights[f"{name}.bias"]

        def layer(number: int) -> BertLayer:
            name = f"encoder.layer.{number}"
            parts = [pair(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
            return BertLayer(
                qkv=(torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
                attention=pair(f"{name}.attention.output.dense"),
                attention_norm=pair(f"{name}.attention.output.LayerNorm"),
                up=pair(f"{name}.intermediate.dense"),
                down=pair(f"{name}.output.dense"),
                norm=pair(f"{name}.output.LayerNorm"),
            )

        # Public: heads that score the vocabulary are tied to these, shape (vocabulary, hidden).
        self.word_embeddings = weights["embeddings.word_embeddings.weight"]
        # One text is one segment, so that segment 0's embedding can be added to the positions once.
        segment = weights["embeddings.token_type_embeddings.weight"][0]
        self._positions = weights["embeddings.position_embeddings.weight"] + segment
        self._embedding_norm = pair("embeddings.LayerNorm")
        self._layers = [layer(number) for number in range(layers)]

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], ids: Sequence[Sequence[int]], *, prompt: str, query: bool) -> Output:
        """One forward pass over token ids; the texts are not looked at again."""
        del texts, prompt, query  # the ids say it all, and a plain BERT has one route
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.full((len(ids), int(lengths.max())), self._pad)
        for row, numbers in enumerate(ids):
            padded[row, : len(numbers)] = torch.tensor(numbers)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).to(self.device)
        padded = padded.to(self.device)
        states = self._states(padded, mask)
        return Output(ids=padded, mask=mask, states=states, embeddings=self._pool(states, mask))

    def _states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states, float32 of shape (texts, tokens, hidden)."""
        visible = None if bool(mask.all()) else mask[:, None, None, :]
        states = self._norm(self.word_embeddings[ids] + self._positions[: ids.shape[1]], self._embedding_norm)
        for layer in self._layers:
            attended = functional.linear(self._attend(states, layer.qkv, visible), *layer.attention)
            states = self._norm(states + attended, layer.attention_norm)
            inner = functional.gelu(functional.linear(states, *layer.up))
            states = self._norm(states + functional.linear(inner, *layer.down), layer.norm)
        return states

    def _attend(self, states: Tensor, qkv: tuple[Tensor, Tensor], visible: Tensor | None) -> Tensor:
        texts, tokens, hidden = states.shape
        # (texts, tokens, 3 x hidden) -> three of (texts, heads, tokens, hidden / heads)
        split = functional.linear(states, *qkv).view(texts, tokens, 3, self.heads, hidden // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        return mixed.transpose(1, 2).reshape(texts, tokens, hidden)

    def _norm(self, states: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
        return functional.layer_norm(states, (self.dimension,), *weights, eps=self.epsilon)

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return functional.normalize(pooled, dim=1) if self.normalized else pooled
