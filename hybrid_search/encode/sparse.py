"""The learned sparse encoder: SPLADE (arXiv:2107.05720, 2109.10086) and its inference-free kin (arXiv:2411.04403)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.batching import CPU_SIZES, GPU_SIZES, TOKENIZED, USUAL, TokenBudget, ahead, once, packed
from hybrid_search.encode.folder import (
    UNLIMITED,
    identity_of,
    named_precision,
    read_prompts,
    vocabulary_digest,
    weights_digest,
)
from hybrid_search.encode.idf import IdfEncoder, load_idf
from hybrid_search.encode.loading import NOT_FINITE, fast_tokenizer, find_trusted, load_model, probe
from hybrid_search.encode.protocols import QueryLimit
from hybrid_search.encode.tokens import Cutter, TokenSpans
from hybrid_search.encode.vocabulary import rows_of
from hybrid_search.errors import ModelError
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import EncodeSettings, SparseSettings
from hybrid_search.settings.models import AUTO

if TYPE_CHECKING:
    from torch import Tensor, device

    from hybrid_search.encode.own_tokens import OwnTokens

CPU_TOKENS, GPU_TOKENS = 64, 512
"""Tokens in one pass for each text of ``batch_size``: activations that stay in the cache, or fill the device."""

PROBES = ["a", "a probe of the head, longer than the other one"]


@dataclass(frozen=True, slots=True)
class Pruning:
    """Which entries of a vector are kept; None keeps all.

    The ``max_terms`` heaviest, and of them those that weigh at least ``min_share`` of the heaviest (``max_ratio`` of
    OpenSearch's ``prune_type``).
    """

    max_terms: int | None = None
    min_share: float | None = None

    def keep(
        self, ids: NDArray[np.int64], weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The entries that are left, in the order of their ids; ties at the limit go to the smaller id."""
        kept = np.arange(len(ids))
        if self.max_terms is not None and len(ids) > self.max_terms:
            kept = np.sort(np.argsort(-weights, kind="stable")[: self.max_terms])
        if self.min_share is not None and len(ids):
            kept = kept[weights[kept] >= self.min_share * weights.max()]
        return ids[kept], weights[kept]

    def named(self) -> dict[str, float | None]:
        """For the fingerprint; without ``min_share`` where it is not used, as it always was."""
        share = {} if self.min_share is None else {"min_share": self.min_share}
        return {"max_terms": self.max_terms, **share}


class SparseEncoder:
    """Sparse vectors by a ``sentence_transformers.SparseEncoder``: vocabulary id in decimal to a positive weight.

    Prompts, length and pooling come from the model's own files; a model with a Router takes its route for queries
    and for documents, so that inference-free ones look queries up in their table. Texts are tokenized once, by us where
    the library would make the same input of them; else calls take turns, because it changes its tokenizer's settings
    from call to call.

    Args:
        folder: a model that may be loaded.
        settings: device, pruning and batch size (texts of 64 tokens in one pass on a CPU, of 512 on a GPU).
        encode: backend and precision.
    """

    def __init__(self, folder: Path, settings: SparseSettings, encode: EncodeSettings) -> None:
        from hybrid_search.encode.backends.graft import graft
        from hybrid_search.encode.onednn import use_onednn
        from hybrid_search.encode.splade_head import kept_weights, replace_heads

        self._model = load_model("SparseEncoder", folder, settings, "sparse")
        self._turn = threading.Lock()
        own = self._model.max_active_dims  # of the model's configuration; the library would prune before we do
        self._model.max_active_dims = None
        self._pruning = Pruning(own if settings.max_terms is None else settings.max_terms, settings.min_share)
        self._query_pruning = Pruning(own if settings.max_query_terms is None else settings.max_query_terms)
        replace_heads(self._model, PROBES)
        use_onednn(self._model)
        rows = rows_of(self._model)
        kept = kept_weights(self._model)
        self.networks = graft(self._model, lambda: probe(self._model, "sparse"), encode, folder, kept=kept)
        self.budget = _budget(settings.batch_size, self._model.device)
        self._prompts = read_prompts(folder, query=None, document=None)
        self._inputs: dict[bool, OwnTokens | None] = {}
        longest = self._model.max_seq_length
        read = int(longest) if longest and longest < 1e9 else UNLIMITED
        backend = fast_tokenizer(self._model, folder)
        self._cut = Cutter(backend, read, settings.model, rows=rows)
        self.tokenizer = TokenSpans(backend)
        self.max_tokens = self._cut.room(self._prompts.document)
        self.query_limit = QueryLimit(self._cut.room(self._prompts.query), self.tokenizer)
        self.fingerprint = Fingerprint(
            kind="sparse",
            name=settings.model,
            weights=weights_digest(folder),
            max_tokens=read,
            vocabulary=vocabulary_digest(folder),
            query_prompt=self._prompts.query,
            document_prompt=self._prompts.document,
            extra={**identity_of(folder), **self._pruning.named(), **named_precision(encode.precision)},
        )

    @property
    def device(self) -> device:
        """Where the model is."""
        found: device = self._model.device
        return found

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of passages, in order, pruned to the ``max_terms`` heaviest and by ``min_share``."""
        return self._encode(texts, query=False)

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of queries, in order, pruned to the ``max_query_terms`` heaviest."""
        return self._encode(texts, query=True)

    def _encode(self, texts: Sequence[str], *, query: bool) -> list[SparseVector]:
        prompt = self._prompts.query if query else self._prompts.document
        if not query:
            for network in self.networks:
                network.passed(len(texts))
        different, places = once(texts)
        vectors: list[SparseVector] = [{}] * len(different)
        pruning = self._query_pruning if query else self._pruning

        def tokenized(start: int) -> list[list[int]]:
            return self._cut.ids([prompt + text for text in different[start : start + TOKENIZED]])

        for start, ids in ahead(tokenized, range(0, len(different), TOKENIZED)):

            def run(rows: list[int], ids: list[list[int]] = ids, start: int = start) -> Tensor:
                of_rows = [different[start + row] for row in rows]
                return self._forward(of_rows, [ids[row] for row in rows], prompt, query=query)

            for rows, weights in packed([len(numbers) for numbers in ids], self.budget, run):
                for row, vector in zip(rows, sparse_rows(weights, pruning), strict=True):
                    vectors[start + row] = vector
        return vectors if different is texts else [vectors[place] for place in places]

    def _forward(self, texts: list[str], ids: list[list[int]], prompt: str, *, query: bool) -> Tensor:
        """Weights of shape (texts, vocabulary), on the model's device."""
        made = self._input(prompt, query=query)
        weights = self._by_the_library(texts, prompt, query=query) if made is None else self._own(made, ids, query)
        if not weights.isfinite().all():
            raise ModelError("it gave weights that are not finite", where=self.fingerprint.name, remedy=NOT_FINITE)
        return weights

    def _input(self, prompt: str, *, query: bool) -> OwnTokens | None:
        from hybrid_search.encode.own_tokens import own_tokens

        if query not in self._inputs:
            with self._turn:
                self._inputs[query] = own_tokens(self._model, self._cut, prompt=prompt, query=query)
        return self._inputs[query]

    def _own(self, made: OwnTokens, ids: list[list[int]], query: bool) -> Tensor:
        import torch

        from hybrid_search.encode.own_tokens import task_of

        with torch.inference_mode():
            weights: Tensor = self._model(made.features(ids, self._model.device), task=task_of(query=query))[
                "sentence_embedding"
            ]
        return weights

    def _by_the_library(self, texts: list[str], prompt: str, *, query: bool) -> Tensor:
        encode = self._model.encode_query if query else self._model.encode_document
        with self._turn:
            weights: Tensor = encode(
                texts,
                prompt=prompt,
                batch_size=len(texts),
                show_progress_bar=False,
                convert_to_sparse_tensor=False,
                save_to_cpu=False,
            )
        return weights


class InferenceFreeQueries:
    """A sparse encoder whose queries are word pieces weighted by idf: no forward pass at query time.

    Raises:
        ModelError: the model's vocabulary is not the one that the idf table is for.
    """

    def __init__(self, documents: SparseEncoder, queries: IdfEncoder) -> None:
        if documents.tokenizer.vocabulary() != queries.tokenizer.vocabulary():
            raise ModelError(
                "its vocabulary is not that of the idf table (BERT uncased)",
                where=documents.fingerprint.name,
                remedy="Set sparse.inference_free_queries to false",
            )
        self._documents = documents
        self._queries = queries
        self.tokenizer = documents.tokenizer
        self.max_tokens = documents.max_tokens
        self.query_limit = queries.query_limit
        # The documents' vectors are the same, so that an index serves either form of query.
        self.fingerprint = documents.fingerprint
        self.networks = documents.networks

    @property
    def device(self) -> device:
        """Where the documents' model is."""
        return self._documents.device

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of passages by the model."""
        return self._documents.encode_documents(texts)

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Term frequency times idf of the queries' word pieces."""
        return self._queries.encode_queries(texts)


def load_sparse(settings: SparseSettings, encode: EncodeSettings = AUTO) -> SparseEncoder | InferenceFreeQueries:
    """The sparse model that the settings name.

    Raises:
        ModelError: not found, not to be trusted without being told to, or without a form for queries.
        MissingExtraError: sentence-transformers is not installed.
    """
    encoder = SparseEncoder(find_trusted(settings, "sparse"), settings, encode)
    return InferenceFreeQueries(encoder, load_idf()) if settings.inference_free_queries else encoder


def _budget(batch_size: int, where: device) -> TokenBudget:
    from hybrid_search.encode.devices import synchronize

    tokens, sizes = (CPU_TOKENS, CPU_SIZES) if where.type == "cpu" else (GPU_TOKENS, GPU_SIZES)
    return TokenBudget(batch_size * tokens, sizes if batch_size == USUAL else (1.0,), wait=lambda: synchronize(where))


def positive_entries(weights: Tensor, max_terms: int | None) -> SparseVector:
    """The positive entries of one vector, or the heaviest of them; ties go to the smaller id."""
    return sparse_rows(weights[None], Pruning(max_terms))[0]


def sparse_rows(weights: Tensor, pruning: Pruning) -> list[SparseVector]:
    """The positive entries of each row (texts, vocabulary), pruned; only they leave the device."""
    if not len(weights):
        return []
    rows, ids = weights.gt(0).nonzero(as_tuple=True)
    values = weights[rows, ids].float().cpu().numpy()
    ends = np.cumsum(np.bincount(rows.cpu().numpy(), minlength=len(weights)))[:-1]
    pairs = zip(np.split(ids.cpu().numpy(), ends), np.split(values, ends), strict=True)
    return [_vector(*pruning.keep(numbers, row)) for numbers, row in pairs]


def _vector(ids: NDArray[np.int64], weights: NDArray[np.float32]) -> SparseVector:
    return dict(zip(map(str, ids.tolist()), weights.tolist(), strict=True))


def sparsity(vectors: Sequence[SparseVector], vocabulary: int) -> dict[str, float]:
    """Mean entries of vectors, and the share of the vocabulary that is zero: ``SparseEncoder.sparsity`` of mappings."""
    active = float(np.mean([len(vector) for vector in vectors])) if vectors else 0.0
    return {"active_dims": active, "sparsity_ratio": 1.0 - active / vocabulary}
