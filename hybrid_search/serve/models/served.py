"""What one server serves: the encoder and the reranker of its settings, each behind its batcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.encode.pair import PairEncoder
from hybrid_search.encode.protocols import QueryLimit, Reranker, TextEncoder, score_pairs
from hybrid_search.encode.remote.tei import OWN
from hybrid_search.errors import RefusedError
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.serve.models.batcher import Batcher, Room
from hybrid_search.serve.models.measures import ModelMeasures
from hybrid_search.settings import NO_MODEL, Settings

Dense = NDArray[np.float32]
Both = tuple[Dense | None, SparseVector | None]
Pair = tuple[str, str]

MOST_TEXTS = 512
"""Of one request; the interface calls it ``max_client_batch_size``."""
WAITING = 4096
"""Texts that wait, unless the command says otherwise."""


@dataclass(frozen=True, slots=True)
class Served:
    """The models, by what is asked of them; ``queries`` and ``documents`` go through prompts of their own."""

    encoder: TextEncoder | None
    reranker: Reranker | None
    dense: dict[bool, Batcher[str, Dense]]
    sparse: dict[bool, Batcher[str, SparseVector]]
    both: dict[bool, Batcher[str, Both]]
    pairs: Batcher[Pair, float] | None
    measures: ModelMeasures
    room: Room

    @property
    def name(self) -> str:
        """What clients know the models by."""
        told = [one.name for one in (self.fingerprint("dense"), self.fingerprint("sparse")) if one is not None]
        return told[0] if told else "" if self.reranker is None else self.reranker.name

    def fingerprint(self, leg: str) -> Fingerprint | None:
        """Identity of a leg's model, None where there is none."""
        found: Fingerprint | None = getattr(self.encoder, leg, None)
        return found

    def limit(self, leg: str) -> QueryLimit:
        """How much of a query a leg's model reads.

        Raises:
            RefusedError: there is no such model.
        """
        encoder = self.encoding()
        limits = encoder.query_limits() if hasattr(encoder, "query_limits") else {}
        found: QueryLimit = limits.get(leg) or QueryLimit(encoder.max_tokens, encoder.tokenizer)
        return found

    def encoding(self) -> TextEncoder:
        """The encoder.

        Raises:
            RefusedError: only a reranker is served.
        """
        if self.encoder is None:
            raise missing("encoder", "dense.model or sparse.model")
        return self.encoder

    def info(self) -> dict[str, Any]:
        """What ``/info`` tells."""
        own = {leg: self._leg(leg) for leg in ("dense", "sparse") if self.fingerprint(leg) is not None}
        first = self.fingerprint("dense") or self.fingerprint("sparse")
        return {
            "model_id": self.name,
            "model_sha": None if first is None else first.weights,
            "model_dtype": "float32",
            "max_input_length": None if self.encoder is None else self.encoder.max_tokens,
            "max_client_batch_size": MOST_TEXTS,
            "max_concurrent_requests": self.room.most,
            "version": version("hybrid-search"),
            OWN: own | ({} if self.reranker is None else {"rerank": {"name": self.reranker.name}}),
        }

    def _leg(self, leg: str) -> dict[str, Any]:
        print_of = self.fingerprint(leg)
        assert print_of is not None  # noqa: S101  # for mypy: the caller has looked
        encoder = self.encoding()
        tokens = {"max_tokens": encoder.max_tokens, "query_tokens": self.limit(leg).max_tokens}
        return {"fingerprint": asdict(print_of), **tokens}


def missing(what: str, setting: str) -> RefusedError:
    """The refusal of a path whose model is not served."""
    return RefusedError(424, f"no {what} is served here", f"Start the server with {setting}.")


@asynccontextmanager
async def opened_models(settings: Settings, *, waiting: int = WAITING) -> AsyncIterator[Served]:
    """The models of the settings, loaded and warm; their thread ends with the block.

    Raises:
        ModelError: one cannot be found, loaded or trusted.
        SettingsError: none is named.
    """
    with ThreadPoolExecutor(1, "model") as thread:
        loop = asyncio.get_running_loop()
        yield await loop.run_in_executor(thread, _loaded, settings, thread, waiting)


def _loaded(settings: Settings, thread: ThreadPoolExecutor, waiting: int) -> Served:
    has_encoder = not settings.dense.model == settings.sparse.model == NO_MODEL
    encoder = load_encoder(settings) if has_encoder else None
    reranker = load_reranker(settings, encoder)
    served = served_models(encoder, reranker, thread, waiting)
    _warm(served)
    return served


def served_models(
    encoder: TextEncoder | None, reranker: Reranker | None, thread: ThreadPoolExecutor, waiting: int = WAITING
) -> Served:
    """Loaded models behind batchers that share a room and a thread."""
    room, measures = Room(waiting), ModelMeasures()
    measures.waiting.set_function(lambda: room.waiting)
    made: dict[str, Any] = {"room": room, "thread": thread, "sizes": measures.batch.observe}
    dense: dict[bool, Batcher[str, Dense]] = {}
    sparse: dict[bool, Batcher[str, SparseVector]] = {}
    both: dict[bool, Batcher[str, Both]] = {}
    for query in (False, True) if encoder is not None else ():
        assert encoder is not None  # noqa: S101  # for mypy
        if encoder.dense is not None:
            dense[query] = Batcher(_Dense(encoder, query=query), **made)
        if encoder.sparse is not None:
            sparse[query] = Batcher(_Sparse(encoder, query=query), **made)
        both[query] = Batcher(_Both(encoder, query=query), **made)
    pairs = None if reranker is None else Batcher(_Pairs(reranker), **made)
    return Served(encoder, reranker, dense, sparse, both, pairs, measures, room)


class _Dense:
    """Vectors of the dense leg alone, where the models can be asked apart."""

    def __init__(self, encoder: TextEncoder, *, query: bool) -> None:
        half = getattr(encoder, "bi_encoder", None) if not isinstance(encoder, PairEncoder) else encoder.halves[0]
        self._encode = _encoding(encoder if half is None else half, query=query)

    def __call__(self, texts: Sequence[str]) -> Sequence[Dense]:
        found = self._encode(texts)
        return list(getattr(found, "dense", found))


class _Sparse:
    """The same of the sparse leg."""

    def __init__(self, encoder: TextEncoder, *, query: bool) -> None:
        half = encoder.halves[1] if isinstance(encoder, PairEncoder) else None
        self._encode = _encoding(encoder if half is None else half, query=query)

    def __call__(self, texts: Sequence[str]) -> Sequence[SparseVector]:
        found = self._encode(texts)
        return list(getattr(found, "sparse", found))


class _Both:
    """All legs, in one pass where the model can."""

    def __init__(self, encoder: TextEncoder, *, query: bool) -> None:
        self._encode = _encoding(encoder, query=query)

    def __call__(self, texts: Sequence[str]) -> Sequence[Both]:
        found, none = self._encode(texts), [None] * len(texts)
        dense = none if found.dense is None else found.dense
        sparse = none if found.sparse is None else found.sparse
        return list(zip(dense, sparse, strict=True))


class _Pairs:
    """Scores of pairs, those of many clients together where the model can."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    def __call__(self, pairs: Sequence[Pair]) -> Sequence[float]:
        return [float(score) for score in score_pairs(self._reranker, pairs)]


def _encoding(encoder: Any, *, query: bool) -> Any:
    return encoder.encode_queries if query else encoder.encode_documents


def _warm(served: Served) -> None:
    """The first pass of a model is slow: it is made before anybody waits for it."""
    if served.encoder is not None:
        served.encoder.encode_queries(["warm"])
    if served.reranker is not None:
        served.reranker.score("warm", ["up"])
