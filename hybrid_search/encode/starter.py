"""The starter encoder: dense and sparse vectors of one forward pass of all-MiniLM-L6-v2.

The sparse head comes with this package (``weights/starter.safetensors``, built by ``training/``), so that all legs
can be tried where no model hub is reached. It is small and trained on little text: docs/models.md says what to expect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from hybrid_search.encode import PRECOMPUTED
from hybrid_search.encode.backbone import Output
from hybrid_search.encode.batching import once
from hybrid_search.encode.bert import BertBackbone
from hybrid_search.encode.dense import DenseEncoder, load_dense
from hybrid_search.encode.devices import find_device
from hybrid_search.encode.folder import DIGEST_LENGTH, vocabulary_digest, weights_digest
from hybrid_search.encode.late import late_fingerprint
from hybrid_search.encode.protocols import EncodedTexts, QueryLimit, TextEncoder, Tokenizer
from hybrid_search.encode.starter_files import trained_from, trained_head
from hybrid_search.encode.starter_head import StarterHead, load_head
from hybrid_search.errors import ModelError, SettingsError
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import DENSE_MODEL, NO_MODEL, DenseSettings, RerankSettings, Settings

WEIGHTS = Path(__file__).with_name("weights") / "starter.safetensors"

# Weights are multiples of this: 8 bits each, shorter JSON, no difference in nDCG@10.
STEP = 1 / 64
# Texts whose vocabulary-sized rows are alive at once.
ROWS = 64


@dataclass(frozen=True, slots=True)
class HeadFile:
    """What the safetensors file holds: tensors, text metadata, and the SHA-256 prefix of the whole file."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    digest: str


def read_head(path: Path = WEIGHTS) -> HeadFile:
    """Read the head's file.

    Raises:
        ModelError: there is none.
    """
    if not path.is_file():
        raise ModelError("the starter head is not there", where=str(path), remedy="Install the package again")
    with safe_open(path, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is not a mapping
        metadata = opened.metadata()
    return HeadFile(tensors, metadata, hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_LENGTH])


class StarterEncoder:
    """Dense and sparse vectors of texts in one pass; a :class:`~hybrid_search.encode.protocols.TextEncoder`.

    Safe to share between threads.

    Args:
        bi_encoder: the encoder that the head was trained on.
        head: the sparse head.
        sparse: the head's identity.
        dense_leg: whether the dense vectors are given out.
        inference_free: sparse query vectors are bags of idf weights.
        document_terms: terms kept of a passage, the heaviest.
        query_terms: terms kept of an encoded query.
        late: identity of the token states that passages get beside their vectors; None for none.
    """

    def __init__(
        self,
        bi_encoder: DenseEncoder,
        head: StarterHead,
        sparse: Fingerprint,
        *,
        dense_leg: bool,
        inference_free: bool,
        document_terms: int,
        query_terms: int,
        late: Fingerprint | None = None,
    ) -> None:
        self.bi_encoder = bi_encoder
        self.sparse: Fingerprint | None = sparse
        self.dense: Fingerprint | None = bi_encoder.fingerprint if dense_leg else None
        self.late = late
        self.head = head
        self._inference_free = inference_free
        self._document_terms = document_terms
        self._query_terms = query_terms
        self._names = [str(number) for number in range(head.vocabulary_size)]

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose tokens count against :attr:`max_tokens`."""
        return self.bi_encoder.tokenizer

    @property
    def max_tokens(self) -> int:
        """The longest passage in tokens, special tokens already subtracted."""
        return self.bi_encoder.max_tokens

    def query_limits(self) -> dict[str, QueryLimit]:
        """One pass, one limit; a sparse vector of idf weights is made of the same tokens."""
        return dict.fromkeys(("dense", "sparse") if self.dense else ("sparse",), self.bi_encoder.query_limit)

    def encode_documents(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of passages, in order."""
        return self._encode(texts, query=False)

    def encode_queries(self, texts: Sequence[str]) -> EncodedTexts:
        """Vectors of queries, in order; the sparse ones are inference-free where the settings say so."""
        return self._encode(texts, query=True)

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str], *, query: bool) -> EncodedTexts:
        different, places = once(texts)
        dense = np.empty((len(different), self.bi_encoder.fingerprint.dimension or 0), np.float32)
        sparse: list[SparseVector] = [{}] * len(different)
        stored: list[bytes] | None = [b""] * len(different) if self.late and not query else None
        for rows, output in self.bi_encoder.forward(different, query=query):
            dense[rows] = self.bi_encoder.vectors(output)
            if stored is not None:
                for row, data in zip(rows, self.bi_encoder.stored_tokens(output), strict=True):
                    stored[row] = data
            for row, vector in zip(rows, self._sparse(output, query=query), strict=True):
                sparse[row] = vector
        if different is not texts:
            dense, sparse = dense[places], [sparse[place] for place in places]
            stored = None if stored is None else [stored[place] for place in places]
        return EncodedTexts(dense=dense if self.dense else None, sparse=sparse, late=stored)

    def _sparse(self, output: Output, *, query: bool) -> Iterator[SparseVector]:
        """The sparse vectors of one forward pass, in its order."""
        if output.states is None:  # the bi-encoder was checked at loading, so this cannot be a user's mistake
            raise ModelError("this model has no token states", where=self.bi_encoder.fingerprint.name)
        for start in range(0, len(output.ids), ROWS):
            part = slice(start, start + ROWS)
            ids, states, mask = output.ids[part], output.states[part], output.mask[part]
            if not query:
                yield from self._vectors(self.head(ids, states, mask), self._document_terms)
            elif self._inference_free:
                yield from self._vectors(self.head.inference_free(ids, mask), ids.shape[1])
            else:
                yield from self._vectors(self.head.query(ids, states, mask), self._query_terms)

    def _vectors(self, weights: Tensor, terms: int) -> Iterator[SparseVector]:
        """The heaviest terms of each row (n, vocabulary) as mappings, rounded to :data:`STEP`."""
        heaviest, ids = weights.topk(terms, dim=1)
        rounded: NDArray[np.float32] = (heaviest / STEP).round().mul(STEP).cpu().numpy()
        for row_weights, row_ids in zip(rounded.tolist(), ids.cpu().tolist(), strict=True):
            yield {self._names[n]: weight for n, weight in zip(row_ids, row_weights, strict=True) if weight > 0}


def load_starter(settings: Settings) -> TextEncoder:
    """The starter encoder for ``sparse.model = "starter"``, or for the folder of a head of one's own.

    With ``dense.model = "none"`` the same forward pass gives sparse vectors only. Beside a dense model that was trained
    from the head's encoder (its card says so) the head has a pass of its own.

    Raises:
        SettingsError: the dense vectors are precomputed or of another model than the head was trained on, or have
            prompts.
        ModelError: the bi-encoder cannot be found or loaded.
        MissingExtraError: torch is not installed.
    """
    dense_leg = settings.dense.model != NO_MODEL
    if settings.dense.model == PRECOMPUTED:
        raise _refusal("needs the forward pass of all-MiniLM-L6-v2, and dense vectors are precomputed")
    if not dense_leg:
        find_device(settings.sparse.device, "sparse.device")
    file = read_head(trained_head(settings.sparse.model) or WEIGHTS)
    if dense_leg and trained_from(settings.dense.model) == file.metadata["encoder_weights"]:
        return _beside(settings)
    bi_encoder = load_dense(
        settings.dense if dense_leg else DenseSettings(device=settings.sparse.device), settings.encode
    )
    backbone = _trained_on(bi_encoder, file)
    head = load_head(file.tensors, backbone.word_embeddings, _vocabulary(backbone)).to(backbone.device)
    document_terms = settings.sparse.max_terms or int(file.metadata["document_terms"])
    return StarterEncoder(
        bi_encoder,
        head,
        _fingerprint(file, bi_encoder, settings.sparse.model, document_terms),
        dense_leg=dense_leg,
        inference_free=settings.sparse.inference_free_queries,
        document_terms=document_terms,
        query_terms=int(file.metadata["query_terms"]),
        late=late_fingerprint(bi_encoder) if settings.rerank.stored else None,
    )


def _beside(settings: Settings) -> TextEncoder:
    """The dense model of the settings, and the head on the pass of its own encoder."""
    from hybrid_search.encode.pair import DenseHalf, PairEncoder
    from hybrid_search.encode.starter_beside import SparseOfStarter

    sparse = replace(settings.sparse, device=settings.sparse.device or settings.dense.device)
    alone = replace(settings, dense=DenseSettings(model=NO_MODEL), sparse=sparse, rerank=RerankSettings())
    starter = load_starter(alone)
    bi_encoder = load_dense(settings.dense, settings.encode)
    if not isinstance(starter, StarterEncoder):  # a dense leg that is off has no card
        raise ModelError("the starter was not loaded", where="sparse.model")
    late = late_fingerprint(bi_encoder) if settings.rerank.stored else None
    return PairEncoder(cast("DenseHalf", bi_encoder), SparseOfStarter(starter), late=late)


def _trained_on(bi_encoder: DenseEncoder, file: HeadFile) -> BertBackbone:
    """The backbone, if it is the one that the head knows."""
    backbone = bi_encoder.backbone
    if weights_digest(bi_encoder.folder) != file.metadata["encoder_weights"] or not isinstance(backbone, BertBackbone):
        raise _refusal(f"works on the token states of all-MiniLM-L6-v2, not of {bi_encoder.fingerprint.name!r}")
    if bi_encoder.prompts.query or bi_encoder.prompts.document:
        raise _refusal("was trained without prompts")
    return backbone


def _refusal(reason: str) -> SettingsError:
    remedy = f'Set sparse.model to "idf", a SPLADE model or "{NO_MODEL}", or dense.model to {DENSE_MODEL!r}'
    return SettingsError(f"the starter head {reason}", where="sparse.model", remedy=remedy)


def _vocabulary(backbone: BertBackbone) -> list[str]:
    by_id = {number: token for token, number in backbone.tokenizer.get_vocab().items()}
    return [by_id[number] for number in range(len(by_id))]


def _fingerprint(file: HeadFile, bi_encoder: DenseEncoder, name: str, document_terms: int) -> Fingerprint:
    return Fingerprint(
        kind="sparse",
        name=name,
        weights=file.digest,
        dimension=len(file.tensors["idf"]),
        max_tokens=bi_encoder.fingerprint.max_tokens,
        vocabulary=vocabulary_digest(bi_encoder.folder),
        extra={"encoder": file.metadata["encoder_weights"], "document_terms": document_terms},
    )
