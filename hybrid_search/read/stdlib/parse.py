"""What one module's source says of itself, kept without its syntax tree."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hybrid_search.read.stdlib.entry import Entry

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Import:
    """``from target import names`` with ``level`` leading dots; ``names`` maps the name here to the name there."""

    level: int
    target: str
    names: Mapping[str, str]

    @property
    def is_star(self) -> bool:
        return "*" in self.names


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """A module's docstring, ``__all__`` (None: computed; empty: missing), imports, and entries of its definitions."""

    docstring: str | None
    listed: frozenset[str] | None
    imports: Sequence[Import]
    definitions: Mapping[str, Sequence[Entry]]


def parse(source: str, module: str) -> ParsedModule:
    """The compact form of a module's source; functions and classes come with the entries of their public members."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a newer compiler's opinion of the library's own string escapes
        tree = ast.parse(source)
    definitions = {node.name: tuple(_entries(node, module, node.name)) for node in _definitions(tree.body)}
    return ParsedModule(ast.get_docstring(tree), _listed(tree.body), tuple(_imports(tree.body)), definitions)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The blocks of statements inside a statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for handler in getattr(node, "handlers", ()):
        yield handler.body


def _imports(body: list[ast.stmt]) -> Iterator[Import]:
    """All imports of names, those inside functions too: packages import lazily what they offer."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield Import(node.level, node.module or "", {item.asname or item.name: item.name for item in node.names})
        for block in _blocks(node):
            yield from _imports(block)


def _definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Functions and classes of a block, those under ``if`` and ``try`` included."""
    for node in body:
        if isinstance(node, Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            for block in _blocks(node):
                yield from _definitions(block)


def _listed(body: list[ast.stmt]) -> frozenset[str] | None:
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.Assign | ast.AugAssign) and _assigns_all(node):
            if not isinstance(node.value, ast.List | ast.Tuple):
                return None
            names |= {str(item.value) for item in node.value.elts if isinstance(item, ast.Constant)}
    return frozenset(names)


def _assigns_all(node: ast.Assign | ast.AugAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _entries(node: Definition, module: str, path: str, *, within_class: bool = False) -> Iterator[Entry]:
    """The definition and its public members, those with a docstring."""
    kind = _kind(node, within_class=within_class)
    maker = _maker(node)
    docstring = ast.get_docstring(node) or (ast.get_docstring(maker) if maker else None)
    if docstring:
        yield Entry(module, path, kind, _signature(maker if kind == "class" else node, kind), docstring)
    if isinstance(node, ast.ClassDef):
        for member in _definitions(node.body):
            if not member.name.startswith("_"):
                yield from _entries(member, module, f"{path}.{member.name}", within_class=True)


def _maker(node: Definition) -> Definition | None:
    """``__init__`` of a class: how the class is called, and what it says if the class itself says nothing."""
    members = _definitions(node.body) if isinstance(node, ast.ClassDef) else ()
    return next((member for member in members if member.name == "__init__"), None)


def _kind(node: Definition, *, within_class: bool) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    if not within_class:
        return "function"
    is_property = any(name.endswith(("property", ".setter", ".getter")) for name in _decorators(node))
    return "property" if is_property else "method"


def _decorators(node: Definition) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list}


def _signature(node: Definition | None, kind: str) -> str:
    """How it is called, without self and cls; empty for a property, and for a class without ``__init__``."""
    if node is None or isinstance(node, ast.ClassDef) or kind == "property":
        return ""
    if kind in {"class", "method"} and "staticmethod" not in _decorators(node):
        del (node.args.posonlyargs or node.args.args)[:1]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and kind != "class" else ""
    return f"({ast.unparse(node.args)}){returns}"
