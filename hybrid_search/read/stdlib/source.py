"""The part of the standard library that has Python source, read without importing it."""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from itertools import starmap

from hybrid_search.read.stdlib.entry import Entry
from hybrid_search.read.stdlib.parse import Import, ParsedModule, parse

_LEFT_OUT = frozenset(
    {"antigravity", "this", "test", "tests", "idlelib", "turtledemo", "lib2to3", "ensurepip", "encodings", "distutils"}
    | {"posix", "nt", "ntpath", "posixpath", "genericpath", "nturl2path", "pydoc_data"}
)
"""Jokes, tests, bundled programs, tables, and modules whose public name is ``os`` or ``os.path``."""

_ALIASES = {"os.path": os.path.__name__, "collections.abc": "_collections_abc"}
"""Modules that have no file under their public name, or only one that imports everything from another."""

Home = tuple[str, str]
"""Where an object is defined: module and name in it."""


def module_names() -> list[str]:
    """Public modules of the standard library of this interpreter, sorted."""
    top = {name for name in sys.stdlib_module_names if _is_public(name)}
    return sorted({*_ALIASES, *(name for module in top for name in _with_submodules(module))})


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in _LEFT_OUT


def _with_submodules(name: str) -> Iterator[str]:
    spec = _spec(name)
    if spec is None and name not in sys.builtin_module_names:
        return
    yield name
    folders = spec.submodule_search_locations if spec else None
    for found in pkgutil.iter_modules(folders) if folders else ():
        if _is_public(found.name):
            yield from _with_submodules(f"{name}.{found.name}")


@cache
def _spec(name: str) -> ModuleSpec | None:
    """Where a module lies, found without importing its package."""
    if name in _ALIASES:
        return _spec(_ALIASES[name])
    parent, _, _last = name.rpartition(".")
    if not parent:
        return PathFinder.find_spec(name)
    package = _spec(parent)
    return PathFinder.find_spec(name, package.submodule_search_locations) if package else None


@cache
def parsed(name: str) -> ParsedModule | None:
    """What a module's source says, None where it has none."""
    spec = _spec(name)
    # Not every loader that has a source is an InspectLoader by name: that of a zipped library is none.
    get_source = getattr(spec.loader, "get_source", None) if spec else None
    source = get_source(spec.name) if spec and get_source else None
    return None if source is None else parse(source, name)


@cache
def public_names(name: str) -> dict[str, Home]:
    """What a module offers, by name: its own definitions and what it imports to offer, with their homes.

    What counts as offered: the names in ``__all__`` where that can be read, else own definitions and star imports;
    never a name that begins with an underscore.
    """
    module = parsed(name)
    if module is None:
        return {}
    listed = module.listed or frozenset()
    offered = {**_imported(name, listed), **{own: (name, own) for own in module.definitions}}
    return {key: home for key, home in offered.items() if not key.startswith("_") and (not listed or key in listed)}


def _imported(name: str, listed: frozenset[str]) -> dict[str, Home]:
    offered: dict[str, Home] = {}
    for item, target in _imports(name):
        if item.is_star:
            offered |= public_names(target)
        for here, there in item.names.items():
            shown = here if here in listed else there  # a lazy import may call it something else on the way
            if shown in listed:
                offered[shown] = public_names(target).get(there, (target, there))
    return offered


@cache
def needs_run_time(name: str) -> bool:
    """Whether only the run time knows all that a module offers: names from C code, or a computed ``__all__``."""
    module = parsed(name)
    return module is None or module.listed is None or any(starmap(_is_written_in_c, _imports(name)))


def _is_written_in_c(item: Import, target: str) -> bool:
    return parsed(target) is None or (item.is_star and needs_run_time(target))


@cache
def _imports(name: str) -> list[tuple[Import, str]]:
    """The imports of a module with the absolute names of the modules they take from."""
    module = parsed(name)
    pairs = [(item, _target(name, item)) for item in module.imports] if module else []
    return [(item, target) for item, target in pairs if target not in {name, "__future__"}]


def _target(name: str, item: Import) -> str:
    if not item.level:
        return item.target
    spec = _spec(name)
    package = name if spec and spec.submodule_search_locations is not None else name.rpartition(".")[0]
    for _ in range(item.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{item.target}".strip(".")


def entries_at(home: Home, module: str, name: str) -> Iterator[Entry]:
    """The documented definition at ``home`` and its public members, under the public name ``module.name``."""
    found = parsed(home[0])
    for entry in found.definitions.get(home[1], ()) if found else ():
        path = name + entry.path.removeprefix(home[1])
        yield Entry(module, path, entry.kind, entry.signature, entry.docstring)


def module_entry(name: str) -> Entry | None:
    """The module's own docstring."""
    module = parsed(name)
    return Entry(name, "", "module", "", module.docstring) if module and module.docstring else None
