"""A model's card, read from its files without loading it; and the models that are at hand on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hybrid_search.encode.folder import (
    max_tokens_of,
    module_folder,
    pooling_of,
    read_json,
    read_prompts,
    truncation_of,
    weights_digest,
)
from hybrid_search.encode.kinds import kind_of
from hybrid_search.encode.sources import find_model, local_models
from hybrid_search.errors import ModelError

_LICENCE = re.compile(r"^license:\s*['\"]?([\w.+-]+)", re.MULTILINE)
_WEIGHTS = ("*.safetensors", "*/*.safetensors", "pytorch_model*.bin", "*/pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model's files say.

    Attributes:
        name: as the settings name it.
        folder: where its files are.
        what: its kind in words.
        role: the section of the settings that takes it, None where none does.
        dimension: components of its vectors, where its files tell.
        max_tokens: tokens of a text, special ones included.
        pooling: how a text's vector comes of its tokens', where it is a bi-encoder.
        query_prompt: put before queries.
        document_prompt: put before passages.
        licence: as its README's header names it.
        megabytes: of its weights.
        weights: the digest that an index is compared with.
    """

    name: str
    folder: str
    what: str
    role: str | None
    dimension: int | None
    max_tokens: int
    pooling: str | None
    query_prompt: str
    document_prompt: str
    licence: str | None
    megabytes: float
    weights: str


def card_of(name: str, folder: Path | None = None) -> ModelCard:
    """The card of a model.

    Raises:
        ModelError: it cannot be found, or its files cannot be read.
    """
    found = find_model(name) if folder is None else folder
    kind, prompts = kind_of(found), read_prompts(found, query=None, document=None)
    return ModelCard(
        name=name,
        folder=str(found),
        what=kind.what,
        role=kind.role,
        dimension=_dimension(found) if kind.role == "dense" else None,
        max_tokens=max_tokens_of(found),
        pooling=pooling_of(found) if kind.role == "dense" else None,
        query_prompt=prompts.query,
        document_prompt=prompts.document,
        licence=_licence(found),
        megabytes=_megabytes(found),
        weights=weights_digest(found),
    )


def cards_at_hand() -> Iterator[ModelCard]:
    """Those of packages and of the Hugging Face cache, by name; files that make no model are passed over."""
    for name, folder in sorted(local_models().items()):
        try:
            yield card_of(name, folder)
        except ModelError:
            continue


def _dimension(folder: Path) -> int | None:
    """Of the last Dense module, else of the network; None where neither says."""
    if (kept := truncation_of(folder)) is not None:
        return kept
    dense = module_folder(folder, "Dense")
    of_module = read_json(dense / "config.json").get("out_features") if dense else None
    config = read_json(folder / "config.json")
    found = of_module or config.get("hidden_size") or config.get("dim")
    return found if isinstance(found, int) else None


def _licence(folder: Path) -> str | None:
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    with readme.open(encoding="utf-8", errors="replace") as text:
        found = _LICENCE.search(text.read(20_000))
    return None if found is None else found[1]


def _megabytes(folder: Path) -> float:
    files = {path for pattern in _WEIGHTS for path in folder.glob(pattern)}
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)
