"""A BERT bi-encoder straight from its safetensors, in plain torch.

The forward pass is that of arXiv:1810.04805, the pooling that of SBERT (arXiv:1908.10084). Most small and
middle-sized bi-encoders have this architecture (all-MiniLM, multi-qa-MiniLM, bge, e5, gte, arctic-embed).
sentence-transformers takes about three times as long to import as torch, and every search from the command line would
wait for it. The results equal those of sentence-transformers to 1e-5, by test. Anything else than a plain BERT with
mean or [CLS] pooling, and with a tokenizer that is known to be the same (:mod:`hybrid_search.encode.plain_bert`), is
loaded by :mod:`hybrid_search.encode.sentence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from hybrid_search.encode.backbone import Output
from hybrid_search.encode.folder import max_tokens_of, module_types, pooling_of, read_json
from hybrid_search.encode.reports import refuse_more_layers
from hybrid_search.encode.tokens import load_tokenizer
from hybrid_search.encode.vocabulary import check_sizes
from hybrid_search.errors import ModelError

STORED_LAYER = re.compile(r"^encoder\.layer\.(\d+)\.")


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
        folder: a model for which :func:`~hybrid_search.encode.plain_bert.is_plain_bert` holds.
        device: as torch names it; None takes a GPU where there is one.
        max_tokens: cut texts here, in tokens, special ones included; None takes the model's own limit.

    Raises:
        ModelError: weights are missing, left over or of another size, or the tokenizer is of another model.
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
        self._where = str(folder)
        self._pad = int(config.get("pad_token_id") or 0)
        stored = load_file(folder / "model.safetensors", device=str(self.device))
        weights = {name.removeprefix("bert."): tensor.float() for name, tensor in stored.items()}
        layers = int(config["num_hidden_layers"])
        refuse_more_layers(_beyond(weights, layers), self._where)
        self._load(weights, layers)
        for name, rows in (("word", config.get("vocab_size")), ("position", config["max_position_embeddings"])):
            _check_rows(weights[f"embeddings.{name}_embeddings.weight"], name, rows, self.dimension, self._where)
        self.rows: int | None = len(self.word_embeddings)
        check_sizes(self.tokenizer, len(self.word_embeddings), self._where)

    def _load(self, weights: Mapping[str, Tensor], layers: int) -> None:
        def one(name: str) -> Tensor:
            if name not in weights:
                raise ModelError(
                    f"its files lack weights that its config.json speaks of ({name})",
                    where=self._where,
                    remedy="It is not complete: fetch it again",
                )
            return weights[name]

        def pair(name: str) -> tuple[Tensor, Tensor]:
            return one(f"{name}.weight"), one(f"{name}.bias")

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
        self.word_embeddings = one("embeddings.word_embeddings.weight")
        # One text is one segment, so that segment 0's embedding can be added to the positions once.
        segment = one("embeddings.token_type_embeddings.weight")[0]
        self._positions = one("embeddings.position_embeddings.weight") + segment
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


def _beyond(names: Mapping[str, Tensor], layers: int) -> Iterator[str]:
    """Names of weights in layers that the configuration does not have."""
    for name in names:
        found = STORED_LAYER.match(name)
        if found and int(found[1]) >= layers:
            yield name


def _check_rows(stored: Tensor, name: str, rows: int | None, width: int, where: str) -> None:
    expected = (len(stored) if rows is None else int(rows), width)
    if tuple(stored.shape) != expected:
        raise ModelError(
            f"its {name} embeddings are {len(stored):,} x {stored.shape[1]:,}, its config.json says "
            f"{expected[0]:,} x {expected[1]:,}",
            where=where,
            remedy="Fetch the model again: these are the weights of one model and the configuration of another",
        )
