"""Models loaded through sentence-transformers: without progress bars, chatter, pickles or foreign code."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hybrid_search.encode.folder import check_code
from hybrid_search.encode.sources import find_model
from hybrid_search.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import tokenizers

# Warning filters and log levels belong to the process: two loads at a time would restore each other's.
_LOADING = threading.Lock()
_CHATTY = ("sentence_transformers", "transformers")


class ModelSettings(Protocol):
    """What the sections of all models share."""

    @property
    def model(self) -> str: ...
    @property
    def device(self) -> str | None: ...
    @property
    def trust_remote_code(self) -> bool: ...
    @property
    def allow_pickle(self) -> bool: ...


def find_trusted(settings: ModelSettings) -> Path:
    """The folder of the model that the settings name.

    Raises:
        ModelError: not found, or it needs trust that the settings do not give.
    """
    trust = settings.trust_remote_code
    folder = find_model(settings.model, allow_pickle=settings.allow_pickle, trust_remote_code=trust)
    check_code(folder, trust_remote_code=trust)
    return folder


def load_model(kind: str, folder: Path, settings: ModelSettings) -> Any:
    """A ``SentenceTransformer``, ``SparseEncoder`` or ``CrossEncoder``, in float32 and in evaluation mode.

    Raises:
        ModelError: the files do not make such a model, or it runs code that is not trusted.
        MissingExtraError: sentence-transformers is not installed, or is too old to have this kind.
    """
    with _LOADING, _quiet():
        try:
            import sentence_transformers

            load = getattr(sentence_transformers, kind)
        except (ImportError, AttributeError) as error:
            raise MissingExtraError(f"The model {settings.model!r}", "models") from error
        # float32 everywhere: an index built on a GPU is asked by queries encoded on a CPU.
        options = {"dtype": "float32"} | ({} if settings.allow_pickle else {"use_safetensors": True})
        try:
            model = load(
                str(folder),
                device=settings.device,
                trust_remote_code=settings.trust_remote_code,
                local_files_only=True,
                model_kwargs=options,
            )
        except Exception as error:  # whatever a model's files make the libraries raise
            raise load_error(error, folder) from error
        return model.eval()


def fast_tokenizer(model: Any, folder: Path) -> tokenizers.Tokenizer:
    """A copy of a loaded model's tokenizer that neither cuts nor pads.

    Raises:
        ModelError: it is a slow one, which cannot tell where tokens begin and end.
    """
    import tokenizers

    own = model.tokenizer
    fast = own if isinstance(own, tokenizers.Tokenizer) else getattr(own, "backend_tokenizer", None)
    if not isinstance(fast, tokenizers.Tokenizer):
        raise ModelError("its tokenizer gives no offsets", where=str(folder), remedy="Save it with a fast tokenizer")
    copy = tokenizers.Tokenizer.from_str(fast.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def load_error(error: Exception, folder: Path) -> ModelError:
    """What a library raised while loading a model, as an error of the package."""
    what = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if "trust_remote_code" in str(error):
        remedy = "It runs code of its own: read that code, then set trust_remote_code if you trust it"
        return ModelError("cannot be loaded", where=str(folder), remedy=remedy)
    return ModelError(f"cannot be loaded ({what})", where=str(folder), remedy="Check the model's name and files")


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars, log lines or warnings from the libraries while loading; everything is restored."""
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no types
            for name in _CHATTY:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            if bars:
                transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # the same
