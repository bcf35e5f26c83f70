"""What a model's folder says about the model, read without loading it: safety, prompts, length, identity.

The layout is that of sentence-transformers: ``modules.json`` lists modules and their folders,
``config_sentence_transformers.json`` holds the prompts; a plain transformers model has only ``config.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_search.errors import ModelError
from hybrid_search.records import PRECISION

DIGEST_LENGTH = 16  # hexadecimal digits kept of a SHA-256: 64 bits

# Where sentence-transformers keeps prompts for what is indexed; the first that a model's files give counts.
DOCUMENT_PROMPTS = ("document", "passage", "corpus")

TOKENIZER_FILES = ("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model")

IMAGE_FILES = ("processor_config.json", "preprocessor_config.json", "sentence_bert_config.json")

# Keys of config.json that say how a model was saved, not what it computes.
HOUSEKEEPING = frozenset(
    {"_name_or_path", "architectures", "transformers_version", "torch_dtype", "dtype", "use_cache"}
)


# Of a BERT's tokenizer: names in tokenizer_config.json, and in the normaliser of tokenizer.json.
BERT_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}

OLD_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

UNLIMITED = 512  # tokens of a passage where a model would take any number


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts put before a query and before a passage; empty where the model has none."""

    query: str = ""
    document: str = ""


def is_model(folder: Path) -> bool:
    """Whether the folder has a configuration and weights."""
    described = any((folder / name).is_file() for name in ("modules.json", "config.json"))
    return described and any(_weight_files(folder, "*.safetensors") or _weight_files(folder, "*.bin"))


def check_weights(folder: Path, *, allow_pickle: bool) -> None:
    """Refuse a module whose weights are only pickled.

    Raises:
        ModelError: naming the file, unless ``allow_pickle``.
    """
    for module in () if allow_pickle else _module_folders(folder):
        pickled = next(module.glob("pytorch_model*.bin"), None)
        if pickled is not None and not any(module.glob("*.safetensors")):
            raise ModelError(
                "these weights are pickled, and unpickling runs code",
                where=str(pickled),
                remedy="Convert them to safetensors, or set allow_pickle if you trust them",
            )


def check_code(folder: Path, *, trust_remote_code: bool) -> None:
    """Refuse a model that brings modules of its own.

    Raises:
        ModelError: naming the module, unless ``trust_remote_code``.
    """
    for module in () if trust_remote_code else _modules(folder):
        kind = str(module.get("type", ""))
        if not kind.startswith("sentence_transformers."):
            raise ModelError(
                f"the model runs code of its own ({kind})",
                where=str(folder),
                remedy="Read that code, then set trust_remote_code if you trust it",
            )


def read_prompts(folder: Path, *, query: str | None, document: str | None) -> Prompts:
    """Prompts of the model's own files; ``query`` and ``document`` take their place where given, empty ones too."""
    saved = read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    own_document = next((saved[name] for name in DOCUMENT_PROMPTS if saved.get(name)), "")
    return Prompts(
        query=(saved.get("query") or "") if query is None else query,
        document=own_document if document is None else document,
    )


def weights_digest(folder: Path) -> str:
    """SHA-256 prefix over all weight files; the same wherever the folder lies."""
    files = _weight_files(folder, "*.safetensors") or _weight_files(folder, "*.bin")
    return _digest_of_files(folder, files)


def vocabulary_digest(folder: Path) -> str:
    """SHA-256 prefix over the tokenizer: ``tokenizer.json`` where there is one, else its older files.

    What ``tokenizer.json`` says about cutting and padding is left out: whoever saved it last may have changed it.
    """
    whole = folder / "tokenizer.json"
    if not whole.is_file():
        return _digest_of_files(folder, [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()])
    splitting = {key: value for key, value in read_json(whole).items() if key not in ("truncation", "padding")}
    return hashlib.sha256(json.dumps(splitting, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def tokenizer_overrides(folder: Path) -> dict[str, Any]:
    """Settings of ``tokenizer_config.json`` that split or cut texts otherwise than ``tokenizer.json`` says.

    transformers believes them for BERT's tokenizers, so that they belong to a model's identity.
    """
    saved = read_json(folder / "tokenizer_config.json")
    normalizer = read_json(folder / "tokenizer.json").get("normalizer") or {}
    own = {key: normalizer.get(name) for key, name in BERT_SETTINGS.items()} if "lowercase" in normalizer else {}
    expected = {**own, "truncation_side": "right"}
    return {key: saved[key] for key, value in expected.items() if key in saved and saved[key] != value}


def configuration_digest(folder: Path) -> str:
    """SHA-256 prefix over what the configuration files of all modules say about the computation."""
    digest = hashlib.sha256()
    for module in _module_folders(folder):
        config = read_json(module / "config.json")
        computing = {key: value for key, value in config.items() if key not in HOUSEKEEPING}
        digest.update(json.dumps([module.name if module != folder else "", computing], sort_keys=True).encode())
    return digest.hexdigest()[:DIGEST_LENGTH]


def identity_of(folder: Path) -> dict[str, Any]:
    """What else than weights and vocabulary changes a model's vectors, for ``extra`` of its fingerprint.

    ``tokenizer`` is there only where there is something to say.
    """
    overrides = tokenizer_overrides(folder)
    return {"configuration": configuration_digest(folder), **({"tokenizer": overrides} if overrides else {})}


def image_identity(folder: Path) -> dict[str, str]:
    """For the fingerprint of a model that reads images: how they are scaled, cut and normalised before it.

    Also which of the networks' outputs stands for a text and which for an image.
    """
    found = {path.name: read_json(path) for name in IMAGE_FILES for path in sorted(folder.rglob(name))}
    computing = {
        name: {key: value for key, value in content.items() if key not in HOUSEKEEPING}
        for name, content in found.items()
    }
    whole = json.dumps(computing, sort_keys=True).encode()
    return {"images": hashlib.sha256(whole).hexdigest()[:DIGEST_LENGTH]}


def named_precision(precision: str) -> dict[str, str]:
    """For the fingerprint: only what changes vectors enough to matter, so that all other indices keep theirs."""
    return {PRECISION: precision} if precision == "int8" else {}


def read_json(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file, empty where there is no file.

    Raises:
        ModelError: the file is not JSON, or not an object.
    """
    content = _read(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ModelError("expected a JSON object", where=str(path), remedy="Fetch the model again")
    return content


def module_types(folder: Path) -> list[str]:
    """Class names of the model's modules in order, without their packages; empty for a plain transformers model."""
    return [str(module["type"]).rpartition(".")[2] for module in _modules(folder)]


def module_paths(folder: Path) -> list[str]:
    """Folders of the model's modules within its own, in order."""
    return [str(module.get("path", "")) for module in _modules(folder)]


def list_modules(folder: Path) -> list[str]:
    """Dotted classes of the model's modules in order, those of a Router's routes included; empty without modules."""
    found = []
    for module in _modules(folder):
        found.append(str(module.get("type", "")))
        if found[-1].endswith(".Router"):
            types = read_json(folder / str(module.get("path", "")) / "router_config.json").get("types") or {}
            found += [str(kind) for kind in types.values()]
    return found


def stored_weights(folder: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in the folder's own safetensors files, read from their headers.

    Raises:
        ModelError: a file is no safetensors.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header = _header(path)
        shapes |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return shapes


def module_folder(folder: Path, kind: str) -> Path | None:
    """The folder of the first module of a class, None where the model has none."""
    found = (folder / module["path"] for module in _modules(folder) if str(module["type"]).endswith(f".{kind}"))
    return next(found, None)


def pooling_of(folder: Path) -> str | None:
    """``mean``, ``cls`` or another mode of the model's Pooling module, joined by ``+`` where it has several.

    A plain transformers model has none and gets sentence-transformers' default, ``mean``. None: pooled otherwise, or
    with the prompt left out.
    """
    if not module_types(folder):
        return "mean"
    where = module_folder(folder, "Pooling")
    config = read_json(where / "config.json") if where else {}
    if not config.get("include_prompt", True):
        return None
    modes = config.get("pooling_mode") or [mode for key, mode in OLD_POOLING.items() if config.get(key)]
    return "+".join([modes] if isinstance(modes, str) else modes) or None


def truncation_of(folder: Path) -> int | None:
    """Components that the model's own configuration keeps (``truncate_dim``), None where it keeps all.

    Raises:
        ModelError: it is no positive number.
    """
    path = folder / "config_sentence_transformers.json"
    kept = read_json(path).get("truncate_dim")
    if kept is not None and (not isinstance(kept, int) or kept < 1):
        raise ModelError(
            f"truncate_dim is {kept!r}", where=str(path), remedy="It must be a positive number, or left out"
        )
    return kept


def max_tokens_of(folder: Path) -> int:
    """The longest input in tokens, special ones included; :data:`UNLIMITED` where the files name no limit."""
    own = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    tokenizer = read_json(folder / "tokenizer_config.json").get("model_max_length")
    positions = read_json(folder / "config.json").get("max_position_embeddings")
    if own is not None:
        return int(own)
    # Tokenizers without a limit are saved with a sentinel of 1e30.
    return int(min([limit for limit in (tokenizer, positions) if limit and limit < 1e9], default=UNLIMITED))


def _header(path: Path) -> dict[str, Any]:
    """Eight bytes of length, then JSON: https://github.com/huggingface/safetensors#format."""
    try:
        with path.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            # The format's own limit; without it, eight random bytes would ask for any amount of memory.
            header = json.loads(opened.read(length)) if length <= 100_000_000 else None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise ModelError("cannot be loaded (it is no safetensors file)", where=str(path), remedy="Fetch it again")
    return header


def _modules(folder: Path) -> list[dict[str, Any]]:
    modules = _read(folder / "modules.json")
    return modules if isinstance(modules, list) else []


def _module_folders(folder: Path) -> list[Path]:
    """The model's folder and those of its modules, routes of a Router included."""
    inner = {path.parent for path in folder.glob("*/**/config.json")} | {folder / m["path"] for m in _modules(folder)}
    return [folder, *sorted(inner - {folder})]


def _weight_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.name != "training_args.bin")


def _digest_of_files(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder).as_posix()).encode() + b"\0")
        with path.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:DIGEST_LENGTH]


def _read(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"not JSON ({error})", where=str(path), remedy="Fetch the model again") from error
