"""The part of the standard library that is written in C: its docstrings exist only at run time."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from hybrid_search.read.stdlib.entry import Entry

NOT_IMPORTED = ("tkinter", "turtle", "readline", "rlcompleter", "curses", "msilib")
"""Modules that open windows, change the terminal, or are gone in the next version."""


def imported(name: str) -> ModuleType | None:
    """The module, or None where this platform or build has not got it, or importing it would do something."""
    if name.startswith(NOT_IMPORTED) or name.endswith("__main__"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated modules are documented too
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def public_objects(module: ModuleType, *, all_is_its_own: bool) -> Iterator[tuple[str, Any]]:
    """Documented classes and functions that a module offers, by name.

    Without ``__all__``, whatever is there belongs to a module that has no source; of another module only what says so.
    """
    listed = getattr(module, "__all__", None)
    for name in sorted(listed if listed is not None else vars(module)):
        value = getattr(module, name, None)
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        if listed is not None or all_is_its_own or _is_own(value, module.__name__):
            yield name, value


def _is_own(value: Any, module: str) -> bool:
    """Whether an object says that it is of the module or of its C part, ``_sqlite3`` for ``sqlite3``."""
    return getattr(value, "__module__", None) in (module, f"_{module}")


def entries_of(value: Any, module: str, path: str) -> Iterator[Entry]:
    """The object and its own public members, those with a docstring."""
    if docstring := _own_docstring(value):
        yield Entry(module, path, "class" if inspect.isclass(value) else "function", _signature(value), docstring)
    if inspect.isclass(value):
        for name, member in sorted(vars(value).items()):
            bound = getattr(value, name) if isinstance(member, staticmethod | classmethod) else member
            docstring = _own_docstring(bound)
            if docstring and not name.startswith("_") and (inspect.isroutine(bound) or inspect.isdatadescriptor(bound)):
                yield _member(bound, module, f"{path}.{name}", docstring)


def module_entry(module: ModuleType) -> Entry | None:
    """The module's own docstring."""
    return Entry(module.__name__, "", "module", "", module.__doc__) if module.__doc__ else None


def _member(member: Any, module: str, path: str, docstring: str) -> Entry:
    if inspect.isdatadescriptor(member):
        return Entry(module, path, "property", "", docstring)
    return Entry(module, path, "method", _without_self(_signature(member)), docstring)


def _own_docstring(value: Any) -> str | None:
    docstring = getattr(value, "__doc__", None)
    return docstring if isinstance(docstring, str) and docstring.strip() else None


def _signature(value: Any) -> str:
    """How it is called, as far as C code tells; empty where only the docstring does."""
    try:
        return str(inspect.signature(value))
    except (ValueError, TypeError):
        return ""


def _without_self(signature: str) -> str:
    return re.sub(r"^\((?:self|type|cls)(?:, /)?(?:, |(?=\)))", "(", signature)
