"""Data sets of the Hugging Face hub, streamed: ``hf:NAME[:CONFIG][:SPLIT]``."""

from __future__ import annotations

from typing import Any

from hybrid_search.errors import MissingExtraError, SourceError
from hybrid_search.read.columns import plain
from hybrid_search.read.raw import RawRecord, RawRecords

PREFIX = "hf:"


def read_hub(source: str) -> RawRecords:
    """Rows of a data set, without downloading it whole; the split is ``train`` where none is given.

    ``hf:NAME:SPLIT`` is a data set without configurations, ``hf:NAME:CONFIG:SPLIT`` one with.

    Raises:
        MissingExtraError: the ``datasets`` library is not installed.
        SourceError: the hub cannot be reached, or has no such data set, configuration or split.
    """
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtraError("Reading a Hugging Face data set", "hub") from None
    name, config, split = named(source)
    row = 0
    try:
        for values in load_dataset(name, config, split=split, streaming=True):
            row += 1
            yield RawRecord(_without_missing(values), f"{source}:{row}")
    except Exception as error:  # the library raises whatever its file systems and parsers raise
        what = f"the data set cannot be read ({type(error).__name__}: {error})"
        remedy = "Check the name, the configuration, the split and that the hub can be reached"
        raise SourceError(what, where=source, remedy=remedy) from error


def named(source: str) -> tuple[str, str | None, str]:
    """Name, configuration and split."""
    name, *rest = source.removeprefix(PREFIX).split(":")
    if not name or len(rest) > 2:
        remedy = "Write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT"
        raise SourceError("not the name of a data set", where=source, remedy=remedy)
    return name, rest[0] if len(rest) == 2 else None, rest[-1] if rest else "train"


def _without_missing(values: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items() if value is not None}
