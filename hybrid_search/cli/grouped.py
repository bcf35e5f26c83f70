"""Options in groups: a dataclass of options is one parameter of a command, and one panel of its help."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

from typer.core import TyperCommand

REST = "Other options"


class CommandInPanels(TyperCommand):
    """A command whose help shows options by the panels that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the panels in the order of their first options, and what names no panel."""
        panels: dict[str, list[Any]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                panels[_panel(parameter)].append(record)
        panels[REST] = panels.pop(REST, [])
        for title, records in panels.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or REST


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: each field of a parameter that is a dataclass is an option of its own.

    A field is declared as a parameter would be, ``k: Annotated[int | None, typer.Option(...)] = None``.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    @wraps(command)
    def flat(**given: Any) -> None:
        made = {name: kind(**{one.name: given.pop(one.name) for one in fields(kind)}) for name, kind in groups.items()}
        command(**given, **made)

    signature = inspect.signature(command)
    parameters = [one for parameter in signature.parameters.values() for one in _flat(parameter, hints)]
    flat.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # as PEP 362 has it
    flat.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    return flat


def _flat(parameter: inspect.Parameter, hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    kind = hints[parameter.name]
    if not is_dataclass(kind):
        yield parameter.replace(annotation=kind)
        return
    declared = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        default = inspect.Parameter.empty if one.default is MISSING else one.default
        keyword = inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(one.name, keyword, default=default, annotation=declared[one.name])
