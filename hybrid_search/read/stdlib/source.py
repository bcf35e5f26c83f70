"""The part of the standard library that has Python source, read without importing it."""

from __future__ import annotations

import ast
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.machinery import BYTECODE_SUFFIXES, ModuleSpec, PathFinder

from hybrid_search.read.stdlib.entry import Entry

_LEFT_OUT = frozenset(
    {
        "antigravity",
        "this",
        "test",
        "tests",
        "idlelib",
        "turtledemo",
        "lib2to3",
        "__phello__",
        "ensurepip",
        "encodings",
        "distutils",
    }
    | {"posix", "nt", "ntpath", "posixpath", "genericpath", "pydoc_data", "nturl2path"}
)
"""Jokes, tests, bundled programs, tables, and modules whose public name is ``os`` or ``os.path``."""

Home = tuple[str, str]
"""Where an object is defined: module and name in it."""


@cache
def module_names() -> tuple[str, ...]:
    """Public modules of the standard library of this interpreter, ``os.path`` included, sorted."""
    top = {name for name in sys.stdlib_module_names if _is_public(name)}
    return tuple(sorted({"os.path", *(name for module in top for name in _with_submodules(module))}))


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in _LEFT_OUT


def _with_submodules(name: str) -> Iterator[str]:
    if (spec := _spec(name)) is None and name not in sys.builtin_module_names:
        return
    yield name
    for found in (
        pkgutil.iter_modules(spec.submodule_search_locations) if spec and spec.submodule_search_locations else ()
    ):
        if _is_public(found.name):
            yield from _with_submodules(f"{name}.{found.name}")


@cache
def _spec(name: str) -> ModuleSpec | None:
    """Where a module lies, found without importing its package."""
    if name == "os.path":
        return _spec(os.path.__name__)
    parent, _, _last = name.rpartition(".")
    if not parent:
        return PathFinder.find_spec(name)
    package = _spec(parent)
    return PathFinder.find_spec(name, package.submodule_search_locations) if package else None


@cache
def tree(name: str) -> ast.Module | None:
    """The syntax tree of a module, None where it has no Python source."""
    spec = _spec(name)
    loader = spec.loader if spec else None
    if spec is None or not hasattr(loader, "get_source") or (spec.origin or "").endswith(tuple(BYTECODE_SUFFIXES)):
        return None
    source = loader.get_source(spec.name)
    if source is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a newer compiler's opinion of the library's own string escapes
        return ast.parse(source)


@cache
def public_names(name: str) -> dict[str, Home]:
    """What a module offers, by name: its own definitions and what it imports to offer, with their homes.

    What counts as offered: the names in ``__all__`` where that can be read, else own definitions and star imports.
    """
    module = tree(name)
    if module is None:
        return {}
    listed = _listed(module) or frozenset()
    offered = {**_imported(name, listed), **{node.name: (name, node.name) for node in _definitions(module.body)}}
    return {key: home for key, home in offered.items() if (key in listed if listed else not key.startswith("_"))}


@cache
def needs_run_time(name: str) -> bool:
    """Whether only the run time knows all that a module offers: names from C code, or a computed ``__all__``."""
    module = tree(name)
    if module is None or _listed(module) is None:
        return True
    return any(_is_written_in_c(target, node) for node, target in _imports(name) if target != "__future__")


def _is_written_in_c(target: str, node: ast.ImportFrom) -> bool:
    return tree(target) is None or (node.names[0].name == "*" and needs_run_time(target))


@cache
def _imports(name: str) -> list[tuple[ast.ImportFrom, str]]:
    """The ``from ... import`` statements of a module, those inside functions too, and the modules they name."""
    module = tree(name)
    nodes = [node for node in ast.walk(module) if isinstance(node, ast.ImportFrom)] if module else []
    named = [(node, _target(name, node)) for node in nodes]
    return [(node, target) for node, target in named if target is not None and target != name]


def _listed(module: ast.Module) -> frozenset[str] | None:
    """The names of ``__all__``; empty where it is missing, None where it is computed."""
    names: set[str] = set()
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value  # type: ignore[attr-defined] the two kinds of node that have targets have a value
            if not isinstance(value, ast.List | ast.Tuple):
                return None
            names |= {item.value for item in value.elts if isinstance(item, ast.Constant)}
    return frozenset(names)


def _imported(name: str, listed: frozenset[str]) -> dict[str, Home]:
    offered: dict[str, Home] = {}
    for node, target in _imports(name):
        for alias in node.names:
            if alias.name == "*":
                offered |= public_names(target)
            elif (alias.asname or alias.name) in listed:
                offered[alias.asname or alias.name] = public_names(target).get(alias.name, (target, alias.name))
    return offered


def _target(name: str, node: ast.ImportFrom) -> str | None:
    """The absolute name of the module that is imported from."""
    if not node.level:
        return node.module
    spec = _spec(name)
    package = name if spec and spec.submodule_search_locations is not None else name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Functions and classes of a block, those under ``if`` and ``try`` included."""
    for node in body:
        if isinstance(node, Definition):
            yield node
        for block in ("body", "orelse", "finalbody") if isinstance(node, ast.If | ast.Try) else ():
            yield from _definitions(getattr(node, block, []))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _definitions(handler.body)


def entries_at(home: Home, module: str, name: str) -> Iterator[Entry]:
    """The documented definition at ``home`` and its public members, under the public name ``module.name``."""
    body = tree(home[0])
    for node in _definitions(body.body) if body else ():
        if node.name == home[1]:
            yield from _described(node, module, name, within_class=False)


def module_entry(name: str) -> Entry | None:
    """The module's own docstring."""
    module = tree(name)
    docstring = ast.get_docstring(module) if module else None
    return Entry(name, "", "module", "", docstring) if docstring else None


def _described(node: Definition, module: str, path: str, *, within_class: bool) -> Iterator[Entry]:
    if docstring := ast.get_docstring(node) or _of_maker(node):
        yield Entry(module, path, _kind(node, within_class=within_class), _signature(node, within_class), docstring)
    if isinstance(node, ast.ClassDef):
        for member in _definitions(node.body):
            if not member.name.startswith("_"):
                yield from _described(member, module, f"{path}.{member.name}", within_class=True)


def _maker(node: ast.ClassDef) -> Definition | None:
    return next((member for member in _definitions(node.body) if member.name == "__init__"), None)


def _of_maker(node: Definition) -> str | None:
    """What ``__init__`` says, for a class that says nothing itself."""
    maker = _maker(node) if isinstance(node, ast.ClassDef) else None
    return ast.get_docstring(maker) if maker else None


def _decorators(node: Definition) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list}


def _kind(node: Definition, *, within_class: bool) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    if not within_class:
        return "function"
    is_property = any(name.endswith(("property", ".setter", ".getter")) for name in _decorators(node))
    return "property" if is_property else "method"


def _signature(node: Definition, within_class: bool) -> str:
    """How it is called, without self and cls; for a class the arguments of ``__init__``."""
    if isinstance(node, ast.ClassDef):
        maker = _maker(node)
        return _signature(maker, within_class=True) if maker else ""
    if _kind(node, within_class=within_class) == "property":
        return ""
    arguments = ast.unparse(node.args)
    if within_class and "staticmethod" not in _decorators(node):
        arguments = arguments.partition(",")[2].strip().removeprefix("/,").strip() if "," in arguments else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({arguments}){returns}"
