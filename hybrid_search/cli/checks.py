"""Options, judged before the cluster is asked and a model loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from hybrid_search.cli.options import settings_of
from hybrid_search.errors import ModelError, QueryError, SourceError

if TYPE_CHECKING:
    from hybrid_search.search.request import SearchOptions
    from hybrid_search.settings import Settings

_ADDRESS = re.compile(r"(?!hf:)[A-Za-z][A-Za-z0-9+.-]+:/")
_PATHS = (".", "~", os.sep)
"""What begins so is a path, whatever else it holds."""


def check_search(
    settings: Settings,
    *,
    k: int | None = None,
    offset: int = 0,
    window: int | None = None,
    timeout: float | None = None,
    legs: Sequence[str] | None = None,
    fusions: Iterable[str | None] = (),
) -> None:
    """Refuse what no index could answer.

    Raises:
        QueryError: a number out of range, an unknown leg or fusion, legs that are switched off or weigh nothing.
        ModelError: a model is named by a path that is not there.
    """
    from hybrid_search.settings import FUSIONS, LEGS
    from hybrid_search.settings.section import MAX_SECONDS

    if timeout is not None and not 0 < timeout <= MAX_SECONDS:
        remedy = f"Give a number of seconds above 0, at most {MAX_SECONDS:,}."
        raise QueryError(f"a timeout of {timeout} s", where="--timeout", remedy=remedy)
    _check_numbers(settings.search.k, k, offset, window)
    for fusion in fusions:
        _check_name(fusion, "fusion", FUSIONS)
    if legs is not None:
        if not any(legs):
            raise QueryError("no leg is named", where="--legs", remedy=f"There are: {', '.join(LEGS)}.")
        for leg in legs:
            _check_name(leg, "leg", LEGS)
        _check_weights(settings, legs)
    check_models(settings)


def check_options(settings: Settings, k: int | None, options: SearchOptions) -> None:
    """Refuse the options of a search that no index could answer; see :func:`check_search`."""
    from hybrid_search.search.query_syntax import SYNTAXES

    _check_name(options["syntax"], "syntax", SYNTAXES)
    legs, fusion = options["legs"], options["fusion"]
    check_search(
        settings,
        k=k,
        offset=options["offset"],
        window=options["window"],
        timeout=options["timeout"],
        legs=None if legs is None else [str(leg) for leg in legs],
        fusions=[fusion if isinstance(fusion, str) else None],
    )
    _check_rules(settings, options)


def _check_rules(settings: Settings, options: SearchOptions) -> None:
    """What of rules, limits, phases, counts and cursors no index could answer."""
    from hybrid_search.search.boosts import placed_ids
    from hybrid_search.search.cursor_seal import check_cursor
    from hybrid_search.search.facets import check_counts
    from hybrid_search.search.limits import limits_of
    from hybrid_search.search.plan import two_phase_of
    from hybrid_search.search.request import SearchRequest

    request = SearchRequest.of(**options)
    placed_ids(request, settings.search)
    limits_of(request)
    two_phase_of(settings.search, request)
    check_counts(request.facet_counts, "--facet-counts")
    check_cursor(request)


def check_text(query: str) -> str:
    """The query; QueryError where it is empty, or holds bytes that are no text."""
    if not query.strip():
        raise QueryError("the query is empty", remedy="Give at least one word.")
    try:
        return as_utf8(query)
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} of the query is no UTF-8"
        raise QueryError(what, remedy="Write the query in UTF-8.") from error


def as_utf8(argument: str) -> str:
    """An argument as UTF-8, though the locale be another: Python leaves the bytes that an ASCII one does not know."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode()
    return argument


def check_models(settings: Settings) -> None:
    """Refuse a model that is named by a path, or by an address, that is not there; ModelError."""
    for section in (settings.dense, settings.sparse, settings.rerank):
        name = section.model
        if Path(name).expanduser().exists():
            continue
        if _ADDRESS.match(name):
            remedy = "Give its name on the hub, or the folder of its files; the cluster's address is --url"
            raise ModelError("is an address, not a model", where=name, remedy=remedy)
        if name.startswith(_PATHS):
            raise ModelError("no such folder", where=name, remedy="Give a model's folder, or its name on the hub")
        if name.count("/") > 1:
            remedy = "A name has one slash at most; a folder may be given as ./FOLDER"
            raise ModelError("neither a folder nor a name on the hub", where=name, remedy=remedy)


def check_source(source: str, format: str | None) -> None:
    """Refuse a source that is not there, or a format that is not known, before anything else is asked; SourceError."""
    from hybrid_search.read.formats.registry import ALIASES, FORMATS
    from hybrid_search.read.hub import PREFIX as HUB
    from hybrid_search.read.indexed import index_of, is_index
    from hybrid_search.read.ir_datasets import is_collection
    from hybrid_search.read.objects import is_object
    from hybrid_search.read.places import is_pattern
    from hybrid_search.read.streams import STDIN

    if format is not None and ALIASES.get(format, format) not in FORMATS:
        raise SourceError(f"unknown format {format!r}", where=source, remedy=f"Known: {', '.join(FORMATS)}")
    if is_object(source):
        _check_object(Path(source))
        return
    if _ADDRESS.match(source) and not Path(source).exists():
        remedy = "Fetch it first, or pipe it in: curl ADDRESS | hybrid-search index - INDEX"
        raise SourceError("is an address; sources are files, folders, objects and indices", where=source, remedy=remedy)
    if is_index(source):
        index_of(source)
        return
    if source == STDIN or source.startswith(HUB) or is_collection(source) or is_pattern(source):
        return
    if not Path(source).exists():
        raise SourceError("no such file or folder", where=source, remedy="Check the path")


def _check_object(path: Path) -> None:
    """Refuse an object or a prefix that is not there, or that the store does not let us read."""
    from hybrid_search.read.places import is_pattern
    from hybrid_search.read.storage import exists
    from hybrid_search.read.streams import shown

    if not is_pattern(path) and not exists(path):
        raise SourceError("no such object, and none below it", where=shown(path), remedy="Check the address")


def _check_numbers(usual_k: int, k: int | None, offset: int, window: int | None) -> None:
    from hybrid_search.settings import MAX_WINDOW

    for name, number, least in (("k", k, 1), ("offset", offset, 0), ("window", window, 1)):
        if number is not None and not least <= number <= MAX_WINDOW:
            remedy = f"Give a number from {least} to {MAX_WINDOW:,}."
            raise QueryError(f"{name} is {number}", where=f"--{name}", remedy=remedy)
    if window is not None and k is not None and offset + k > window:
        what = f"{k} hits from {offset} reach beyond the {window} hits that each leg ranks"
        raise QueryError(what, where="--window", remedy="Ask for fewer, or a wider window.")
    if offset + (1 if k is None else k) > MAX_WINDOW:
        what = f"hits up to {offset + (usual_k if k is None else k):,} are asked for"
        raise QueryError(
            what, where="--offset, --k", remedy=f"No engine ranks more than {MAX_WINDOW:,}: ask for fewer."
        )


def _check_name(name: str | None, what: str, known: Sequence[str]) -> None:
    if name is not None and name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        remedy = (f"Did you mean {near[0]!r}? " if near else "") + f"There are: {', '.join(known)}."
        raise QueryError(f"unknown {what} {name!r}", where=f"--{what}{'s' * (what == 'leg')}", remedy=remedy)


def _check_weights(settings: Settings, legs: Sequence[str]) -> None:
    if not any(settings.search.weights.get(leg, 1.0) for leg in legs):
        what = f"the weight of {' and of '.join(legs)} is 0"
        raise QueryError(what, where="--legs", remedy="Give a leg that is searched a weight above 0: --weights.")


def named_legs(names: str | None) -> list[str] | None:
    """The legs of ``bm25,dense``; None where no legs are named."""
    return None if names is None else [name.strip() for name in names.split(",")]


def settings_with(settings: Settings, weights: str | None, rank_constant: int | None) -> Settings:
    """The settings, with what the flags change in the fusion."""
    given: dict[str, Any] = {} if rank_constant is None else {"rank_constant": rank_constant}
    if weights is not None:
        given |= {"weights": dict(_weight(part) for part in weights.split(",")), "rules": ()}  # for all queries
    return replace(settings, search=replace(settings.search, **given))


def _weight(part: str) -> tuple[str, float]:
    leg, _, weight = part.partition("=")
    try:
        return leg.strip(), float(weight)
    except ValueError:
        raise QueryError(f"{part!r} is no weight", where="--weights", remedy="Example: bm25=.3,dense=.7") from None


def searched_with(
    settings_file: Path | None,
    url: str | None,
    overrides: list[str] | None,
    *,
    rerank: str | None,
    weights: str | None,
    rank_constant: int | None,
) -> Settings:
    """The settings of a search or an evaluation: what the flags say is said last."""
    given = [*(overrides or ()), *([] if rerank is None else [f"rerank.model={rerank}"])]
    return settings_with(settings_of(settings_file, url, given), weights, rank_constant)
