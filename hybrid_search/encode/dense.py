"""The dense encoder: texts to vectors by a bi-encoder (SBERT, arXiv:1908.10084)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.backbone import Backbone, ImageBackbone, Output
from hybrid_search.encode.batching import (
    CPU_SIZES,
    GPU_SIZES,
    TOKENIZED,
    USUAL,
    TokenBudget,
    ahead,
    behind,
    once,
    packed,
)
from hybrid_search.encode.folder import (
    Prompts,
    identity_of,
    image_identity,
    named_precision,
    read_prompts,
    truncation_of,
    vocabulary_digest,
    weights_digest,
)
from hybrid_search.encode.late_stored import compress
from hybrid_search.encode.loading import NOT_FINITE, find_trusted, load_error
from hybrid_search.encode.plain_bert import is_plain_bert
from hybrid_search.encode.prepared import Preparable
from hybrid_search.encode.protocols import Pixels, QueryLimit
from hybrid_search.encode.threads import use_allowed_threads
from hybrid_search.encode.tokens import Cutter, TokenSpans
from hybrid_search.errors import HybridSearchError, MissingExtraError, ModelError
from hybrid_search.records import TRUNCATED_FROM, Fingerprint
from hybrid_search.settings import DenseSettings, EncodeSettings
from hybrid_search.settings.models import AUTO

if TYPE_CHECKING:
    from torch import device

# Tokens in one forward pass for each text of ``batch_size``. On a CPU, 32 x 64 tokens of MiniLM's activations stay in
# the cache: groups four times as large cost 1.3 times the processor time. A GPU wants to be filled.
CPU_TOKENS = 64
GPU_TOKENS = 512

READS_IMAGES = "Name one of images and texts as dense.model, for example sentence-transformers/clip-ViT-B-32"


class DenseEncoder:
    """Vectors of texts; safe to share between threads.

    Texts longer than the model reads are cut at its limit, with one logged warning per encoder: passages come cut to
    size from the chunker, so this concerns queries. Heads on top of a bi-encoder (a learned sparse head, late
    interaction) build on :meth:`forward`, so that one pass serves them all.

    Args:
        backbone: the loaded model.
        folder: its files, for the fingerprint.
        prompts: texts put before queries and passages.
        name: what explanations call it.
        batch_size: size of a forward pass, in texts of 64 tokens on a CPU and of 512 tokens on a GPU; that of the
            default is where the search for the fastest begins.
        dimension: keep only so many components, the first (Matryoshka: arXiv:2205.13147); vectors of a model that
            normalises are normalised again. None keeps all.
        precision: of the backend.

    Raises:
        ModelError: the prompt leaves no room for a text, or the model has fewer components than are asked for.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        folder: Path,
        prompts: Prompts,
        name: str,
        batch_size: int,
        dimension: int | None = None,
        precision: str = "fp32",
    ) -> None:
        self.backbone = backbone
        self.reads_images = backbone.reads_images
        self._images_together = batch_size
        self.prompts = prompts
        self.folder = folder
        self.tokenizer = TokenSpans(backbone.tokenizer)
        self._cut = Cutter(backbone.tokenizer, backbone.max_tokens, name, rows=backbone.rows)
        self.budget = self._budget(batch_size)
        self.max_tokens = self._cut.room(prompts.document)
        self.query_limit = QueryLimit(self._cut.room(prompts.query), self.tokenizer)
        if self.max_tokens < 1:
            raise ModelError("the document prompt fills the model's input", where=name, remedy="Shorten the prompt")
        self.dimension = backbone.dimension if dimension is None else dimension
        if self.dimension > backbone.dimension:
            raise ModelError(
                f"its vectors have {backbone.dimension:,} components, and dense.dimension asks for {self.dimension:,}",
                where=name,
                remedy=f"Give dense.dimension at most {backbone.dimension:,}, or leave it out",
            )
        self.fingerprint = Fingerprint(
            kind="dense",
            name=name,
            weights=weights_digest(folder),
            dimension=self.dimension,
            pooling=backbone.pooling,
            normalized=backbone.normalized,
            max_tokens=backbone.max_tokens,
            vocabulary=vocabulary_digest(folder),
            query_prompt=prompts.query,
            document_prompt=prompts.document,
            extra={
                **identity_of(folder),
                **self._truncation(),
                **named_precision(precision),
                **(image_identity(folder) if self.reads_images else {}),
            },
        )

    def _budget(self, batch_size: int) -> TokenBudget:
        """Sizes of a batch that are tried; a number of texts that was asked for is kept to."""
        is_cpu = self.backbone.device.type == "cpu"
        usual = batch_size * (CPU_TOKENS if is_cpu else GPU_TOKENS)
        sizes = (1.0,) if batch_size != USUAL else CPU_SIZES if is_cpu else GPU_SIZES
        return TokenBudget(usual, sizes, wait=self._wait)

    def _truncation(self) -> dict[str, int]:
        """Only of truncated vectors: whole ones keep the fingerprint that they always had."""
        whole = self.backbone.dimension
        return {TRUNCATED_FROM: whole} if self.dimension < whole else {}

    @property
    def device(self) -> device:
        """Where the model is."""
        return self.backbone.device

    def _wait(self) -> None:
        from hybrid_search.encode.devices import synchronize

        synchronize(self.device)

    @property
    def networks(self) -> Sequence[Preparable]:
        """What runs the model, by backends that are chosen."""
        return self.backbone.networks

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of passages, shape (n, dimension), in order."""
        return self._encode(texts, query=False)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries, shape (n, dimension), in order."""
        return self._encode(texts, query=True)

    def encode_images(self, images: Sequence[Pixels], *, query: bool = False) -> NDArray[np.float32]:
        """Vectors of RGB images, shape (n, dimension), in order.

        Raises:
            ModelError: the model reads no images, or its vectors are not finite.
        """
        if not self.reads_images:
            raise ModelError("this model reads no images", where=self.fingerprint.name, remedy=READS_IMAGES)
        prompt, backbone = self.prompts.query if query else self.prompts.document, cast("ImageBackbone", self.backbone)
        vectors = np.empty((len(images), self.dimension), dtype=np.float32)
        for start in range(0, len(images), self._images_together):
            some = images[start : start + self._images_together]
            vectors[start : start + len(some)] = self._cut_to_size(
                backbone.embed_images(some, prompt=prompt, query=query).float().cpu().numpy()
            )
        return vectors

    def forward(self, texts: Sequence[str], *, query: bool) -> Iterator[tuple[list[int], Output]]:
        """Forward passes over all texts, grouped by length, longest first; of many texts :data:`TOKENIZED` at a time.

        Yields:
            Positions in ``texts``, and the output whose rows belong to them.
        """
        prompt = self.prompts.query if query else self.prompts.document
        if not query:
            for network in self.backbone.networks:
                network.passed(len(texts))

        def tokenized(start: int) -> list[list[int]]:
            return self._cut.ids([prompt + text for text in texts[start : start + TOKENIZED]])

        for start, ids in ahead(tokenized, range(0, len(texts), TOKENIZED)):

            def run(rows: list[int], ids: list[list[int]] = ids, start: int = start) -> Output:
                of_rows = [texts[start + row] for row in rows]
                return self.backbone(of_rows, [ids[row] for row in rows], prompt=prompt, query=query)

            for rows, output in packed([len(numbers) for numbers in ids], self.budget, run):
                yield [start + row for row in rows], output

    def vectors(self, output: Output) -> NDArray[np.float32]:
        """The vectors of one forward pass, cut to the encoder's dimension: (texts, dimension).

        Raises:
            ModelError: they are not finite, or not of the size that the model's files say.
        """
        return self._cut_to_size(output.embeddings.float().cpu().numpy())

    def _cut_to_size(self, whole: NDArray[np.float32]) -> NDArray[np.float32]:
        if whole.ndim != 2 or whole.shape[1] != self.backbone.dimension:
            raise ModelError(
                f"it gave vectors of shape {whole.shape}, and its files say {self.backbone.dimension:,} components",
                where=self.fingerprint.name,
                remedy="See what its modules.json and the config.json of each module say, or download it again",
            )
        if not np.isfinite(whole).all():
            raise ModelError("it gave vectors that are not finite", where=self.fingerprint.name, remedy=NOT_FINITE)
        cut = whole[:, : self.dimension]
        if self.dimension == whole.shape[1] or not self.backbone.normalized:
            return cut
        # As torch's normalize: a vector of zeros stays one.
        normalized: NDArray[np.float32] = cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
        return normalized

    def encode_with_tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[bytes]]:
        """Vectors of passages, and their token states as an index stores them, in one pass.

        Raises:
            ModelError: the model has no token states (static embeddings).
        """
        different, places = once(texts)
        vectors = np.empty((len(different), self.dimension), dtype=np.float32)
        tokens = [b""] * len(different)
        for rows, output in self.forward(different, query=False):
            vectors[rows] = self.vectors(output)
            for row, data in zip(rows, self.stored_tokens(output), strict=True):
                tokens[row] = data
        return vectors[places], [tokens[place] for place in places]

    def stored_tokens(self, output: Output) -> Iterator[bytes]:
        """The token states of one forward pass as an index stores them.

        Raises:
            ModelError: the model has no token states (static embeddings).
        """
        if output.states is None:
            raise ModelError("this model has no token states", where=self.fingerprint.name)
        for states, mask in zip(output.states.cpu(), output.mask.cpu(), strict=True):
            yield compress(states[mask].numpy())

    def token_states(self, texts: Sequence[str], *, query: bool) -> list[NDArray[np.float32]]:
        """Last hidden states of each text's tokens, special ones and prompt included: (tokens, hidden) each.

        Raises:
            ModelError: the model has no token states (static embeddings).
        """
        states: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(texts)
        for rows, output in self.forward(texts, query=query):
            if output.states is None:
                raise ModelError("this model has no token states", where=self.fingerprint.name)
            for row, text_states, mask in zip(rows, output.states, output.mask, strict=True):
                states[row] = text_states[mask].cpu().numpy()
        return states

    def _encode(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        from hybrid_search.encode.devices import ahead_of, from_device

        different, places = once(texts)
        vectors = np.empty((len(different), self.dimension), dtype=np.float32)
        passes = self.forward(different, query=query)
        begun = ((rows, from_device(output.embeddings.float())) for rows, output in passes)
        for rows, landed in behind(begun, ahead_of(self.device)):
            vectors[rows] = self._cut_to_size(landed().numpy())
        return vectors if different is texts else vectors[places]


def load_dense(settings: DenseSettings, encode: EncodeSettings = AUTO) -> DenseEncoder:
    """The bi-encoder that the settings name, run by the backend that ``encode`` says.

    Raises:
        ModelError: not found, not to be trusted without being told to, or not to be run by this backend.
        MissingExtraError: torch, or a backend that is named, is not installed.
    """
    folder = find_trusted(settings, "dense")
    prompts = read_prompts(folder, query=settings.query_prompt, document=settings.document_prompt)
    backbone = _load_backbone(folder, settings, encode)
    kept = truncation_of(folder)
    return DenseEncoder(
        backbone,
        folder=folder,
        prompts=prompts,
        name=settings.model,
        batch_size=settings.batch_size,
        dimension=min(kept, backbone.dimension) if settings.dimension is None and kept else settings.dimension,
        precision=encode.precision,
    )


def _load_backbone(folder: Path, settings: DenseSettings, encode: EncodeSettings) -> Backbone:
    try:
        from hybrid_search.encode.bert import BertBackbone
        from hybrid_search.encode.devices import find_device
    except ImportError as error:
        raise MissingExtraError("A dense model", "models") from error
    use_allowed_threads()
    if is_plain_bert(folder):
        device = find_device(settings.device, "dense.device")
        try:
            return BertBackbone(folder, device=device, max_tokens=settings.max_tokens, encode=encode)
        except HybridSearchError:
            raise
        except Exception as error:  # whatever damaged files make the libraries raise
            raise load_error(error, folder) from error
    from hybrid_search.encode.sentence import SentenceBackbone

    return SentenceBackbone(folder, settings, encode)
