"""The house keeps its shape: who may import whom, and what the light entry points leave unloaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hybrid_search

PACKAGE = Path(hybrid_search.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

TORCH_STACK = {"torch", "transformers", "sentence_transformers"}
VENDOR_CLIENTS = {"elasticsearch", "elastic_transport", "opensearchpy", "boto3"}
SHARED = {
    "attachment",
    "boosts",
    "errors",
    "addresses",
    "records",
    "readings",
    "geo",
    "images",
    "settings",
    "weight_rules",
    "fields",
    "languages",
    "model_languages",
    "printed",
    "private_files",
    "fingerprint",
    "probes",
    "provenance",
}
SHARED |= {"encode.protocols", "engine.protocols", "found", "search_warnings"}
"""Vocabulary that every stage may import."""
MAY_IMPORT = {
    "errors": set(),
    "probes": set(),
    "fingerprint": {"probes"},
    "provenance": set(),
    "attachment": set(),
    "images": set(),
    "records": {"attachment", "errors", "fingerprint", "images", "found", "probes", "provenance", "search_warnings"},
    "found": set(),
    "search_warnings": set(),
    "printed": {"errors"},
    "addresses": {"errors"},
    "boosts": {"errors"},
    "weight_rules": {"errors"},
    "settings": {"errors", "addresses", "boosts", "languages", "weight_rules"},
    "languages": set(),
    "model_languages": set(),
    "readings": set(),
    "geo": set(),
    "private_files": set(),
    "fields": {"errors", "records", "readings", "geo"},
    "read": SHARED | {"engine", "filters", "filter_values"},
    "encode": SHARED,
    "engine": SHARED,
    "filter_syntax": {"errors"},
    "filter_numbers": set(),
    "filter_dates": {"errors", "fields"},
    "filter_values": SHARED | {"engine", "filter_numbers", "filter_dates"},
    "filters": SHARED | {"engine", "filter_syntax", "filter_values"},
    "ingest": SHARED | {"filters", "read", "encode", "engine"},
    "search": SHARED | {"filters", "filter_dates", "read", "encode", "engine"},
    "evaluate": SHARED | {"filters", "read", "encode", "engine", "search"},
}
"""Which part may import which: documents flow read -> encode -> engine, queries flow encode -> engine -> search.

An engine is a source as well, which is why reading may ask it."""


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "hybrid_search")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_lies_upstream(path: Path) -> None:
    """Data flows one way: a stage imports the shared vocabulary and what comes before it, never its readers."""
    part = part_of(path)
    if part not in MAY_IMPORT:
        return  # the pipelines' composers (command line, demo, public names) may import every part
    inside = {name.removeprefix("hybrid_search.") for name in imports(path) if name.startswith("hybrid_search.")}
    parts = {name if name in SHARED else name.split(".")[0] for name in inside}
    assert {name for name in parts if name.split(".")[0] != part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    """torch lives in the encoders, vendor clients in the engine adapters."""
    roots = {name.split(".")[0] for name in imports(path)}
    if part_of(path) != "encode":
        assert not roots & TORCH_STACK
    if part_of(path) != "engine":
        assert not roots & VENDOR_CLIENTS


PRINTING = {
    "rich.print",
    "rich.console.Console",
    "rich.progress.Progress",
    "rich.progress.TextColumn",
    "rich.progress.track",
    "rich.live.Live",
    "rich.prompt.Prompt",
    "rich.prompt.Confirm",
}
"""What obeys the texts that it prints; :mod:`hybrid_search.printed` has what takes its place."""


def ways_out(tree: ast.AST) -> Iterator[str]:
    """What of a module's code reaches a terminal unguarded, or reads markup or control sequences out of a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from {f"{node.module}.{alias.name}" for alias in node.names} & PRINTING
        elif isinstance(node, ast.Attribute) and node.attr in {"from_markup", "from_ansi", "__stdout__", "__stderr__"}:
            yield node.attr
        elif isinstance(node, ast.Attribute) and node.attr in {"write", "buffer", "writelines"}:
            if ast.unparse(node.value) in {"sys.stdout", "sys.stderr"}:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "os.write", "Panel"}:
            is_title = any(word.arg == "title" and isinstance(word.value, ast.JoinedStr) for word in node.keywords)
            if ast.unparse(node.func) != "Panel" or is_title:  # a panel reads markup out of a title that is no Text
                yield ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_printing_goes_one_way(path: Path) -> None:
    """What documents say is made visible in one place, and no module prints beside it."""
    if part_of(path) != "printed":
        assert list(ways_out(ast.parse(path.read_text(encoding="utf-8")))) == []


def loaded_after(*arguments: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running ``arguments``."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    ).stderr
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in found.splitlines() if "|" in line}


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Public names are imported when they are used."""
    loaded = loaded_after("-c", "import hybrid_search")
    assert "hybrid_search" in loaded
    assert not loaded & (TORCH_STACK | VENDOR_CLIENTS | {"numpy", "pyarrow", "rich", "typer"})


def test_help_loads_nothing_heavy() -> None:
    """``--help`` lists the commands without the libraries that they need."""
    loaded = loaded_after("-m", "hybrid_search", "--help")
    assert "typer" in loaded
    assert not loaded & (TORCH_STACK | VENDOR_CLIENTS | {"numpy", "pyarrow", "rich", "jgo", "requests"})


def test_every_public_name_can_be_imported() -> None:
    """What ``__all__`` promises is there."""
    assert sorted(hybrid_search.__all__, key=str.lower) == sorted(hybrid_search._HOME, key=str.lower)
    for name in hybrid_search.__all__:
        assert getattr(hybrid_search, name) is not None


def test_no_two_files_of_tests_have_one_name() -> None:
    """They are imported by their names alone: of two, one would not be collected."""
    names = [path.name for path in Path(__file__).parents[1].rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()
