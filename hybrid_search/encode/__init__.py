"""Encoders and rerankers by the names of the settings. Importing this package imports no torch.

A model name is either one of the registered names below or that of a model to be found by
:mod:`hybrid_search.encode.sources`. Loaders are imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hybrid_search.encode.protocols import EncodedTexts, Reranker, TextEncoder, Tokenizer
from hybrid_search.encode.threads import wait_passively
from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.records import Fingerprint
from hybrid_search.settings import NO_MODEL, Settings, SparseSettings

__all__ = ["EncodedTexts", "Reranker", "TextEncoder", "Tokenizer", "load_encoder", "load_reranker"]

PRECOMPUTED = "precomputed"

LIBRARIES = {"torch", "transformers", "sentence_transformers", "tokenizers", "safetensors"}
"""What the extra [models] brings; the query client does without."""

# Sparse heads that share the bi-encoder's forward pass: settings -> TextEncoder.
SHARED_PASS = {"starter": "hybrid_search.encode.starter:load_starter"}

# Rerankers on top of the loaded encoder: settings, encoder -> Reranker.
ON_ENCODER = {"late": "hybrid_search.encode.late:load_late"}


def load_encoder(settings: Settings) -> TextEncoder:
    """The encoder of documents and queries that the settings describe.

    Raises:
        SettingsError: both models are switched off.
        ModelError: a model cannot be found, loaded or trusted.
        MissingExtraError: a model needs the extra [models].
    """
    with _extra_of_models():
        _check_pruning(settings.sparse)
        _check_services(settings)
        if _shares_pass(settings.sparse.model) and settings.sparse.url is None:
            encoder: TextEncoder = _loader(SHARED_PASS["starter"])(settings)
            return encoder
        from hybrid_search.encode.pair import PairEncoder

        if settings.dense.url is not None and NO_MODEL not in {settings.dense.model, settings.sparse.model}:
            from hybrid_search.encode.remote import own_pair

            if (pair := own_pair(settings)) is not None:
                return pair
        dense = _load_dense(settings)
        return PairEncoder(dense, _load_sparse(settings), late=_late(settings, dense))


def load_reranker(settings: Settings, encoder: TextEncoder | None = None) -> Reranker | None:
    """The reranker that the settings name, None where they name none.

    Args:
        settings: ``rerank`` is read.
        encoder: what :func:`load_encoder` gave, for rerankers that use its token states.

    Raises:
        SettingsError: ``late`` without a bi-encoder.
        ModelError: the model cannot be found, loaded or trusted.
        MissingExtraError: the model needs the extra [models].
    """
    name = settings.rerank.model
    if name == NO_MODEL:
        return None
    if settings.rerank.url is not None:
        from hybrid_search.encode.remote import remote_reranker

        return remote_reranker(settings.rerank)
    with _extra_of_models():
        if name in ON_ENCODER:
            reranker: Reranker = _loader(ON_ENCODER[name])(settings, encoder)
            return reranker
        from hybrid_search.encode.cross import load_cross

        return load_cross(settings.rerank, settings.encode)


@contextmanager
def _extra_of_models() -> Iterator[None]:
    """A library that is missing in here is the extra that is missing; torch is imported in here, if at all."""
    wait_passively()
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise MissingExtraError("Encoding with a model", "models") from error


def _late(settings: Settings, dense: Any) -> Fingerprint | None:
    """The identity of the token states that passages get; None where the settings store none."""
    if not settings.rerank.stored:
        return None
    from hybrid_search.encode.dense import DenseEncoder
    from hybrid_search.encode.late import late_fingerprint

    if not isinstance(dense, DenseEncoder):
        raise SettingsError(
            f"stores token states of a bi-encoder, and dense.model is {settings.dense.model!r}",
            where="rerank.stored",
            remedy="Give dense.model a bi-encoder, or leave rerank.stored out",
        )
    return late_fingerprint(dense)


def _load_dense(settings: Settings) -> Any:
    from hybrid_search.encode.dense import load_dense
    from hybrid_search.encode.pair import Precomputed

    dense = settings.dense
    if dense.model == NO_MODEL:
        return None
    if dense.url is not None:
        from hybrid_search.encode.remote import remote_dense

        return remote_dense(dense)
    return Precomputed(dense.dimension) if dense.model == PRECOMPUTED else load_dense(dense, settings.encode)


def _shares_pass(model: str) -> bool:
    """Whether this is the starter, or a head of one's own for it."""
    from hybrid_search.encode.starter_files import trained_head

    return model in SHARED_PASS or trained_head(model) is not None


def _check_services(settings: Settings) -> None:
    """Refuse a sparse model that shares the pass of a dense one which is not here."""
    dense, sparse = settings.dense, settings.sparse
    if dense.url is not None and sparse.url is None and _shares_pass(sparse.model):
        raise SettingsError(
            f"is {sparse.model!r}, which shares the dense model's pass, and that is behind dense.url",
            where="sparse.model",
            remedy="Give sparse.url the same address, or sparse.model another model or none",
        )
    if settings.rerank.model in ON_ENCODER and dense.url is not None:
        raise SettingsError(
            f"is {settings.rerank.model!r}, which reads the dense model's token states, and that is behind dense.url",
            where="rerank.model",
            remedy="Give rerank.url a service, or rerank.model a cross-encoder",
        )


def _check_pruning(settings: SparseSettings) -> None:
    """Refuse what would have no effect."""
    from hybrid_search.encode.idf import is_table

    is_lexical = settings.model == "idf" or is_table(Path(settings.model))
    own_terms = is_lexical or _shares_pass(settings.model)
    ignoring = {"min_share": own_terms, "max_query_terms": own_terms or settings.inference_free_queries}
    for name, ignored in ignoring.items():
        if ignored and getattr(settings, name) is not None:
            raise SettingsError(
                f"prunes what a SPLADE model gives, and has no effect on {settings.model!r}"
                + (" with inference-free queries" if not own_terms else ""),
                where=f"sparse.{name}",
                remedy="Leave it out, or give sparse.model a SPLADE model",
            )


def _load_sparse(settings: Settings) -> Any:
    from hybrid_search.encode.pair import Precomputed

    sparse = settings.sparse
    if sparse.model == NO_MODEL:
        return None
    if sparse.url is not None:
        from hybrid_search.encode.remote import remote_sparse

        return remote_sparse(sparse)
    if sparse.model == PRECOMPUTED:
        return Precomputed()
    from hybrid_search.encode.idf import is_table, load_idf

    if sparse.model == "idf":
        return load_idf(max_terms=sparse.max_terms)
    if is_table(Path(sparse.model)):
        return load_idf(Path(sparse.model), max_terms=sparse.max_terms)
    from hybrid_search.encode.sparse import load_sparse

    return load_sparse(sparse, settings.encode)


def _loader(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    loader: Callable[..., Any] = getattr(import_module(module), name)
    return loader
