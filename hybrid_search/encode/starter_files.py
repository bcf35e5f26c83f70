"""Heads of the starter that were trained on one's own corpus, and models trained from its encoder; no torch here."""

from __future__ import annotations

import json
from pathlib import Path

HEAD = "starter.safetensors"
CARD = "training.json"
"""What ``hybrid-search train`` writes beside a model: of which weights it was made, among other things."""


def trained_head(model: str) -> Path | None:
    """The file of a head, where a model's name is the folder of one; None for all other names."""
    file = Path(model).expanduser() / HEAD
    return file if file.is_file() else None


def trained_from(model: str) -> str | None:
    """The digest of the weights that the model in a folder was trained from, where its card says so."""
    card = Path(model).expanduser() / CARD
    if not card.is_file():
        return None
    try:
        told = json.loads(card.read_bytes())
    except ValueError:
        return None
    digest = told.get("base_weights") if isinstance(told, dict) else None
    return str(digest) if digest else None
