"""Adapters to other projects' frameworks: one module each, which imports its framework at its top.

A leaf: the adapters call the public clients, and nothing of the package imports them. Each begins with :func:`need`, so
that a framework that is not there, or of before what the adapter is written for, is said in one way.
"""

from __future__ import annotations

import re
from importlib import metadata

from hybrid_search.errors import FrameworkError

NEEDED = {
    "langchain": ("LangChain", "langchain-core", "1.4"),
    "haystack": ("Haystack", "haystack-ai", "3.0"),
    "llama-index": ("LlamaIndex", "llama-index-core", "0.14"),
    "mteb": ("mteb", "mteb", "2.20"),
    "pyterrier": ("PyTerrier", "python-terrier", "1.0"),
    "beir": ("BEIR", "beir", "2.2"),
    "ir-datasets": ("ir_datasets", "ir-datasets", "0.5.11"),
    "ranx": ("ranx", "ranx", "0.3.20"),
    "mcp": ("The Model Context Protocol", "mcp", "2.0"),
}
"""By the extra that brings it: what a framework is called, its distribution, and the least version."""


def need(extra: str) -> None:
    """Raise FrameworkError unless the framework of this extra is installed, new enough for its adapter."""
    name, distribution, least = NEEDED[extra]
    command = f"pip install --upgrade 'hybrid-search[{extra}]'"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        what = f"{name} is not installed: the adapter needs {distribution} {least} or newer"
        raise FrameworkError(what, remedy=f"Run: {command}") from None
    if _numbers(version) < _numbers(least):
        what = f"{name} is too old: {distribution} {version} is installed, the adapter needs {least} or newer"
        raise FrameworkError(what, remedy=f"Run: {command}")


def _numbers(version: str) -> tuple[int, ...]:
    """The release in a version: ``1.10.0rc1`` is ``(1, 10, 0)``."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(number) for number in found[1].split(".")) if found else ()
