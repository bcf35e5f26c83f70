"""Models that run code of another repository: allowed where the settings name that repository too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hybrid_search.encode.folder import list_modules, read_json
from hybrid_search.encode.sources import fetch_code
from hybrid_search.errors import ModelError

APART = "--"
"""``owner/name--file.Class`` is a class of another repository, ``file.Class`` one of the model's own."""

CONFIGURATIONS = ("config.json", "tokenizer_config.json", "processor_config.json")


def foreign_repositories(folder: Path) -> list[str]:
    """Other repositories whose code a model runs (``auto_map`` and ``modules.json``), sorted."""
    references = [*list_modules(folder)]
    for name in CONFIGURATIONS:
        references += _strings(read_json(folder / name).get("auto_map"))
    return sorted({reference.partition(APART)[0] for reference in references if APART in reference})


def find_code(folder: Path, trusted: Iterable[str], section: str) -> None:
    """Bring the code of other repositories that a model runs, where each is trusted by name.

    Args:
        folder: the model's files.
        trusted: repositories that the settings name.
        section: of the settings, for the message.

    Raises:
        ModelError: a repository is not named, or its code cannot be found.
    """
    for repository in foreign_repositories(folder):
        if repository not in trusted:
            raise ModelError(
                f"its code lives in another repository ({repository})",
                where=str(folder),
                remedy=f'Read that code, then set {section}.code_repositories = ["{repository}"] if you trust it',
            )
        fetch_code(repository)


def _strings(content: Any) -> Iterator[str]:
    """All strings of a mapping of strings and lists."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _strings(part)
