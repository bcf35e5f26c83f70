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
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from hybrid_search.encode.backbone import Output
from hybrid_search.encode.backends.choice import Switched
from hybrid_search.encode.backends.network import Exportable
from hybrid_search.encode.folder import (
    configuration_digest,
    max_tokens_of,
    module_types,
    pooling_of,
    read_json,
    weights_digest,
)
from hybrid_search.encode.plain_bert_network import PlainBert
from hybrid_search.encode.reports import refuse_more_layers
from hybrid_search.encode.tokens import load_tokenizer
from hybrid_search.encode.vocabulary import check_sizes
from hybrid_search.errors import ModelError
from hybrid_search.settings import EncodeSettings

TORCH_ONLY = EncodeSettings(backend="torch")
STORED_LAYER = re.compile(r"^encoder\.layer\.(\d+)\.")


class BertBackbone:
    """Token states and pooled embeddings of a BERT model; safe to share between threads.

    Args:
        folder: a model for which :func:`~hybrid_search.encode.plain_bert.is_plain_bert` holds.
        device: as torch names it; None takes a GPU where there is one.
        max_tokens: cut texts here, in tokens, special ones included; None takes the model's own limit.
        encode: backend and precision.

    Raises:
        ModelError: weights are missing, left over or of another size, the tokenizer is of another model, or the backend
            does not give what torch gives.
        SettingsError: backend, precision and device do not go together.
    """

    reads_images = False

    def __init__(
        self,
        folder: Path,
        *,
        device: str | None = None,
        max_tokens: int | None = None,
        encode: EncodeSettings = TORCH_ONLY,
    ) -> None:
        config = read_json(folder / "config.json")
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dimension = int(config["hidden_size"])
        self.max_tokens = min(max_tokens or max_tokens_of(folder), int(config["max_position_embeddings"]))
        self.pooling = pooling_of(folder)
        self.normalized = "Normalize" in module_types(folder)
        self.tokenizer = load_tokenizer(folder)
        self._where = str(folder)
        self._pad = int(config.get("pad_token_id") or 0)
        module = self._load(folder, config)
        # Public: heads that score the vocabulary are tied to these, shape (vocabulary, hidden).
        self.word_embeddings: Tensor = module.words.data
        self.rows: int | None = len(self.word_embeddings)
        check_sizes(self.tokenizer, len(self.word_embeddings), self._where)
        network = Switched(self._exportable(folder, module), encode, self.device)
        network(network.exportable.feeds(1, 8))  # the first pass of a process is slow, and should be nobody's query
        self.networks: Sequence[Switched] = [network]

    def _load(self, folder: Path, config: Mapping[str, Any]) -> PlainBert:
        """The network, of weights that are there and no others."""
        stored = load_file(folder / "model.safetensors", device=str(self.device))
        weights = {name.removeprefix("bert."): tensor.float() for name, tensor in stored.items()}
        layers = int(config["num_hidden_layers"])
        refuse_more_layers(_beyond(weights, layers), self._where)

        def one(name: str) -> Tensor:
            if name not in weights:
                raise ModelError(
                    f"its files lack weights that its config.json speaks of ({name})",
                    where=self._where,
                    remedy="It is not complete: fetch it again",
                )
            return weights[name]

        module = PlainBert(
            one,
            layers=layers,
            heads=int(config["num_attention_heads"]),
            epsilon=float(config["layer_norm_eps"]),
            pooling=self.pooling,
            normalized=self.normalized,
        ).eval()
        for name, rows in (("word", config.get("vocab_size")), ("position", config["max_position_embeddings"])):
            _check_rows(weights[f"embeddings.{name}_embeddings.weight"], name, rows, self.dimension, self._where)
        return module

    def _exportable(self, folder: Path, module: PlainBert) -> Exportable:
        limit = len(module.positions)
        return Exportable(
            module=module,
            inputs=("ids", "mask"),
            outputs=("states", "embeddings"),
            identity=f"plain-bert in steps {weights_digest(folder)} {configuration_digest(folder)} {self.normalized}",
            name=self._where,
            limit=limit,
            rows=len(module.words),
            kept=(module.words,),
        )

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], ids: Sequence[Sequence[int]], *, prompt: str, query: bool) -> Output:
        """One forward pass over token ids; the texts are not looked at again."""
        del texts, prompt, query  # the ids say it all, and a plain BERT has one route
        padded, mask = padded_ids(ids, self._pad)
        states, embeddings = self.networks[0]({"ids": padded, "mask": mask})
        return Output(ids=padded.to(states.device), mask=mask.to(states.device), states=states, embeddings=embeddings)


def padded_ids(ids: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids padded at their ends (texts, tokens), int64, and what of them are tokens, boolean."""
    if len(ids) == 1:  # a query: nothing to pad
        row = torch.tensor([list(ids[0])], dtype=torch.long)
        return row, torch.ones_like(row, dtype=torch.bool)
    lengths = torch.tensor([len(row) for row in ids])
    padded = torch.full((len(ids), int(lengths.max())), pad)
    for place, numbers in enumerate(ids):
        padded[place, : len(numbers)] = torch.tensor(numbers)
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]


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
