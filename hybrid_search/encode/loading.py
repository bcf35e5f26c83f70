"""Models loaded through sentence-transformers: without progress bars, chatter, pickles or foreign code."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hybrid_search.encode.code import find_code
from hybrid_search.encode.folder import check_code, module_types
from hybrid_search.encode.kinds import Role, require_kind
from hybrid_search.encode.reports import Report, check_layers, check_weights_used, recorded
from hybrid_search.encode.sources import find_model
from hybrid_search.encode.threads import use_allowed_threads, wait_passively
from hybrid_search.encode.vocabulary import check_tokenizer_files, check_vocabulary
from hybrid_search.errors import HybridSearchError, MissingExtraError, ModelError

if TYPE_CHECKING:
    import tokenizers

# Warning filters and log levels belong to the process: two loads at a time would restore each other's.
_LOADING = threading.Lock()
NOT_FINITE = "Its weights are damaged, or too large for the precision: fetch it again, or choose another model"
PROBE = "a probe of all weights"
PROBE_SIZE = (64, 48)
"""Pixels of the image that is a probe."""
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
    def code_repositories(self) -> tuple[str, ...]: ...
    @property
    def allow_pickle(self) -> bool: ...


def find_trusted(settings: ModelSettings, role: Role) -> Path:
    """The folder of the model that the settings name.

    Raises:
        ModelError: not found, it needs trust that the settings do not give, it is no model for this section, or it has
            no tokenizer.
    """
    wait_passively()
    trust = settings.trust_remote_code
    folder = find_model(settings.model, allow_pickle=settings.allow_pickle, trust_remote_code=trust)
    check_code(folder, trust_remote_code=trust)
    if trust:
        find_code(folder, settings.code_repositories, role)
    require_kind(folder, role, settings.model)
    check_tokenizer_files(folder)
    return folder


def load_model(kind: str, folder: Path, settings: ModelSettings, role: Role) -> Any:
    """A ``SentenceTransformer``, ``SparseEncoder`` or ``CrossEncoder``, in float32 and in evaluation mode.

    Raises:
        ModelError: the files do not make such a model, some of its weights are missing or left over, its tokenizer is
            of another model, or it runs code that is not trusted.
        SettingsError: there is no such device.
        MissingExtraError: sentence-transformers is not installed, or is too old to have this kind.
    """
    with _LOADING, quiet():
        try:
            import sentence_transformers

            load = getattr(sentence_transformers, kind)
            from hybrid_search.encode.devices import find_device
        except (ImportError, AttributeError) as error:
            raise MissingExtraError(f"The model {settings.model!r}", "models") from error
        device = find_device(settings.device, f"{role}.device")
        use_allowed_threads()
        # float32 everywhere: an index built on a GPU is asked by queries encoded on a CPU.
        options = {"dtype": "float32"} | ({} if settings.allow_pickle else {"use_safetensors": True})
        try:
            with recorded() as reports:
                model = load(
                    str(folder),
                    device=device,
                    trust_remote_code=settings.trust_remote_code,
                    local_files_only=True,
                    model_kwargs=options,
                ).eval()
            _check_loaded(model, folder, reports, role)
        except HybridSearchError:
            raise
        except Exception as error:  # whatever a model's files make the libraries raise
            raise load_error(error, folder) from error
        return model


def _check_loaded(model: Any, folder: Path, reports: list[Report], role: Role) -> None:
    """Refuse what is not the model of the files: parts missing, left over, or added by the library."""
    where = str(folder)
    own = module_types(folder)
    if own and len(own) != len(model):
        added = type(model[-1]).__name__
        raise ModelError(
            f"the library put a part of random weights on top ({added})",
            where=where,
            remedy="Its config_sentence_transformers.json should say which model_type it is",
        )
    for report in reports:
        check_layers(report, where)
    check_vocabulary(model, where)
    check_weights_used(reports, lambda: probe(model, role), where)


def probe(model: Any, role: Role) -> Any:
    """Numbers out of every route of the model, for a short text."""
    quiet = {"show_progress_bar": False}
    if role == "rerank":
        return model.predict([(PROBE, PROBE)], **quiet)
    sparse = {"convert_to_sparse_tensor": False, "save_to_cpu": True} if role == "sparse" else {}
    routes = (model.encode_query, model.encode_document)
    probes: list[Any] = [PROBE]
    if role == "dense" and reads_images(model):
        from PIL import Image

        # A graph of the texts' pass must not be taken for that of images, nor a missing vision tower be overlooked.
        probes.append(Image.new("RGB", PROBE_SIZE, (120, 60, 200)))
    return [encode([one], **quiet, **sparse)[0].tolist() for one in probes for encode in routes]


def reads_images(model: Any) -> bool:
    """Whether a loaded model makes vectors of images in the space of its texts.

    Raises:
        MissingExtraError: it does, and Pillow is not installed.
    """
    if not {"text", "image"} <= set(getattr(model, "modalities", ())):
        return False
    if find_spec("PIL") is None:
        raise MissingExtraError("A model of images", "images")
    return True


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
    if "ignore_mismatched_sizes" in str(error):
        remedy = "Fetch the model again: these are the weights of one model and the configuration of another"
        return ModelError("its weights have other sizes than its config.json says", where=str(folder), remedy=remedy)
    if "trust_remote_code" in str(error):
        remedy = "It runs code of its own: read that code, then set trust_remote_code if you trust it"
        return ModelError("cannot be loaded", where=str(folder), remedy=remedy)
    return ModelError(f"cannot be loaded ({what})", where=str(folder), remedy="Check the model's name and files")


@contextmanager
def quiet() -> Iterator[None]:
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
