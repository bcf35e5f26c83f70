"""What is trained where nobody says: the bi-encoder with a GPU, without one what takes minutes."""

from __future__ import annotations

from importlib.util import find_spec

from hybrid_search.encode.finetune.recipe import DENSE, STARTER
from hybrid_search.errors import MissingExtraError

LIBRARIES = ("accelerate", "datasets", "peft", "sentence_transformers")


def usual_what(device: str | None) -> str:
    """``dense`` on a GPU, else ``starter``.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("Training", "train") from None
    return DENSE if device != "cpu" and torch.cuda.is_available() else STARTER


def check_libraries() -> None:
    """Raise MissingExtraError where the trainers cannot be imported, before anything is asked of a cluster."""
    if any(find_spec(name) is None for name in LIBRARIES):
        raise MissingExtraError("Training", "train")
