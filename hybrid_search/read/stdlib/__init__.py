"""The documentation of the running interpreter's standard library, as a source of documents.

Docstrings of public modules, classes, functions, methods and properties. What has Python source is read from the
source, without importing it; what is written in C (``str``, ``math``, ``os.listdir``) has docstrings only at run time.
"""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_search.read.stdlib import runtime, source
from hybrid_search.read.stdlib.entry import Entry
from hybrid_search.records import Document

__all__ = ["documents"]


def documents() -> Iterator[Document]:
    """One document for each documented object, sorted by its qualified name, which is its id.

    ``fields`` are ``name`` (``datetime.datetime.strptime``), ``module``, ``kind`` (module, class, function, method or
    property) and ``signature``. The text of a class ends with a line for each of its members: with them, the answers to
    25 questions (``benchmarks/quality/stdlib.py``) are found at an MRR@10 of .750 instead of .691. An object that
    several modules offer is there once, under its shortest public name.
    """
    entries: dict[str, Entry] = {}
    for entry in (*_from_source(), *_from_run_time()):
        if entry.says_something:
            entries.setdefault(entry.name, entry)
    members: dict[str, list[Entry]] = {}
    for name in sorted(entries):
        if entries[name].kind in {"method", "property"}:
            members.setdefault(name.rpartition(".")[0], []).append(entries[name])
    for name in sorted(entries):
        yield entries[name].document(members.get(name, ()))


def _from_source() -> Iterator[Entry]:
    names: dict[source.Home, list[tuple[str, str]]] = {}
    for module in source.module_names():
        if entry := source.module_entry(module):
            yield entry
        for name, home in source.public_names(module).items():
            names.setdefault(home, []).append((module, name))
    for home, offered in names.items():
        yield from source.entries_at(home, *min(offered, key=_publicity))


def _publicity(offered: tuple[str, str]) -> tuple[int, int, str]:
    """The fewest dots first, then the shortest, then the alphabet."""
    name = ".".join(offered).removeprefix("builtins.")
    return name.count("."), len(name), name


def _from_run_time() -> Iterator[Entry]:
    found: dict[int, tuple[str, str]] = {}
    objects = {}
    for module in ("builtins", *source.module_names()):
        if not source.needs_run_time(module) or (live := runtime.imported(module)) is None:
            continue
        if source.parsed(module) is None and (entry := runtime.module_entry(live)):
            yield entry
        defined = source.public_names(module)
        for name, value in runtime.public_objects(live, all_is_its_own=source.parsed(module) is None):
            if name not in defined or source.parsed(defined[name][0]) is None:
                objects[id(value)] = value
                found[id(value)] = min(found.get(id(value), (module, name)), (module, name), key=_publicity)
    for key, (module, name) in found.items():
        yield from runtime.entries_of(objects[key], module, name)
