"""What a model is, read from its own files and never guessed from its name: which section of the settings it fits.

sentence-transformers says it in ``config_sentence_transformers.json`` (``model_type``) and ``modules.json``,
transformers in ``config.json`` (``architectures``), and where all are silent the names of the stored weights do. A
model in the wrong section would be completed with a head of random weights, or read in a way that it was not trained
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hybrid_search.encode.folder import list_modules, read_json, stored_weights
from hybrid_search.errors import ModelError

Role = Literal["dense", "sparse", "rerank"]

TAKES: dict[Role, str] = {
    "dense": 'a bi-encoder or "none"',
    "sparse": 'a SPLADE model, "starter", "idf" or "none"',
    "rerank": 'a cross-encoder with one label, "late" or "none"',
}

# ``model_type`` of config_sentence_transformers.json.
LIBRARY_CLASSES: dict[str, tuple[str, Role | None]] = {
    "SentenceTransformer": ("a bi-encoder", "dense"),
    "SparseEncoder": ("a sparse encoder", "sparse"),
    "CrossEncoder": ("a cross-encoder", "rerank"),
    "MultiVectorEncoder": ("a late interaction model", None),
}

# Modules that only one kind of model has; any other list of modules is a bi-encoder's.
SPARSE_MODULES = frozenset(
    {"SpladePooling", "SparseStaticEmbedding", "SparseAutoEncoder", "CSRSparsity", "IDF", "MLMTransformer"}
)
CROSS_MODULES = frozenset({"LogitScore"})
LATE_MODULES = frozenset({"MultiVectorMask", "TokenPooling", "ColBERT"})

# Ends of class names in ``architectures``; of one that ends otherwise, the plain network is there.
HEADS: tuple[tuple[str, str, Role | None], ...] = (
    ("ForMaskedLM", "a masked language model, which is what SPLADE models are", "sparse"),
    ("ForCausalLM", "a text generator", None),
    ("LMHeadModel", "a text generator", None),
    ("ForConditionalGeneration", "a text generator", None),
    ("ColBERT", "a late interaction model", None),
    ("ForTokenClassification", "a classifier of tokens", None),
    ("ForQuestionAnswering", "a model that marks answers", None),
    ("ForMultipleChoice", "a model that chooses among answers", None),
    ("ForPreTraining", "a model made for further training", None),
)

# Stored weights that give a head away; the first that matches counts.
HEAD_WEIGHTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(classifier|score)\."), "ForSequenceClassification"),
    (re.compile(r"^(cls\.predictions|lm_head\.(dense|layer_norm)|vocab_(transform|projector))\b"), "ForMaskedLM"),
    (re.compile(r"^lm_head\.weight$"), "ForCausalLM"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a model is in words, and the section of the settings that takes it; None where none does."""

    what: str
    role: Role | None


def kind_of(folder: Path) -> Kind:
    """What the model in a folder is.

    Raises:
        ModelError: one of its files cannot be read.
    """
    modules = list_modules(folder)
    if not modules:
        return _of_architecture(folder)
    declared = read_json(folder / "config_sentence_transformers.json").get("model_type")
    what, role = LIBRARY_CLASSES.get(str(declared)) or _of_modules(modules)
    return Kind(f"{what} ({' + '.join(_short(name) for name in modules)})", role)


def require_kind(folder: Path, role: Role, name: str) -> None:
    """Refuse a model that another section takes, or none.

    Args:
        folder: the model's files.
        role: the section that names it.
        name: what the settings call it.

    Raises:
        ModelError: saying what the model is and which section it fits.
    """
    kind = kind_of(folder)
    if kind.role == role:
        return
    fits = f"Set {kind.role}.model to it" if kind.role else "No setting takes it"
    raise ModelError(
        f"this is {kind.what}", where=f"{role}.model {name!r}", remedy=f"{fits}; {role}.model takes {TAKES[role]}"
    )


def _of_modules(modules: Iterable[str]) -> tuple[str, Role | None]:
    names = {_short(module) for module in modules}
    if names & LATE_MODULES or any(module.startswith("pylate.") for module in modules):
        return LIBRARY_CLASSES["MultiVectorEncoder"]
    if names & CROSS_MODULES:
        return LIBRARY_CLASSES["CrossEncoder"]
    return LIBRARY_CLASSES["SparseEncoder" if names & SPARSE_MODULES else "SentenceTransformer"]


def _of_architecture(folder: Path) -> Kind:
    config = read_json(folder / "config.json")
    named = next(iter(config.get("architectures") or []), None)
    architecture = str(named) if named else _by_weights(folder)
    shown = architecture if named else "by its weights"
    if "ForSequenceClassification" in architecture:
        labels = _labels(folder)
        return Kind(
            f"a cross-encoder ({shown})" if labels == 1 else f"a model that classifies into {labels} labels ({shown})",
            "rerank" if labels == 1 else None,
        )
    for end, what, role in HEADS:
        if architecture.endswith(end):
            return Kind(f"{what} ({shown})", role)
    if re.search(r"For[A-Z]\w+$", architecture):
        return Kind(f"a model for another task ({shown})", None)
    return Kind(f"a text encoder without a head ({shown})", "dense")


def _by_weights(folder: Path) -> str:
    """The end of the class name that the stored weights speak for; empty for a plain network."""
    names = stored_weights(folder)
    return next((end for pattern, end in HEAD_WEIGHTS if any(pattern.search(name) for name in names)), "")


def _labels(folder: Path) -> int:
    """Labels of a classifier; transformers' default is two."""
    config = read_json(folder / "config.json")
    labels = config.get("id2label")
    return len(labels) if labels else int(config.get("num_labels") or 2)


def _short(module: str) -> str:
    return module.rpartition(".")[2]
