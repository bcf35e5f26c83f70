"""Filters as LangChain's stores write them, turned into ours.

    {"year": {"$gte": 2020, "$lt": 2024}, "$or": [{"lang": "en"}, {"lang": {"$in": ["de", "fr"]}}]}

``$ne`` and ``$nin`` hold for documents without the field too, as ours do; ``None`` stands for a field that is not
there. A text, or a filter of :mod:`hybrid_search.filters`, is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hybrid_search.errors import QueryError
from hybrid_search.filters import And, Contains, Eq, Exists, Filter, In, Not, Or, Prefix, Range


def translated(given: Any) -> Filter | str | None:
    """A filter as a search takes it; None for none, and for an empty one.

    Raises:
        QueryError: an operator that there is not, by its name, or what is no filter.
    """
    if given is None or isinstance(given, str | Filter):
        return given or None
    if isinstance(given, Mapping):
        return _all_of(given) if given else None
    if callable(given):
        raise QueryError("a filter that is a function", remedy="The engine filters: write a filter it can be told")
    what = f"a filter that is a {type(given).__name__}"
    remedy = "Give text ('year>=2020'), a dictionary ({'year': {'$gte': 2020}}) or a hybrid_search.filters.Filter"
    raise QueryError(what, remedy=remedy)


def _all_of(given: Mapping[str, Any]) -> Filter:
    parts = [_part(str(key), value) for key, value in given.items()]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _part(key: str, value: Any) -> Filter:
    if key in _JUNCTIONS:
        return _JUNCTIONS[key](tuple(_inner(one, key) for one in _several(value, key)))
    if key == "$not":
        return Not(_inner(value, key))
    if key.startswith("$"):
        raise QueryError(f"unknown operator {key!r}", remedy=_there_are([*_JUNCTIONS, "$not"], "between filters"))
    if not isinstance(value, Mapping):
        return _equal(key, value)
    if not value:
        raise QueryError("no operator", where=f"the filter on {key!r}", remedy=_there_are(_OPERATORS))
    parts = [_compared(key, str(operator), operand) for operator, operand in value.items()]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _inner(value: Any, operator: str) -> Filter:
    if not isinstance(value, Mapping) or not value:
        remedy = f"Give a filter such as {{'year': 2020}} inside {operator}"
        raise QueryError(f"{operator} holds {value!r:.60}, which is no filter", remedy=remedy)
    return _all_of(value)


def _several(value: Any, operator: str) -> Sequence[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or not value:
        raise QueryError(f"{operator} holds {value!r:.60}, which is no list", remedy="Give a list of one or more")
    return value


def _compared(field: str, operator: str, operand: Any) -> Filter:
    if operator == "$not":
        return Not(_part(field, operand))
    if operator not in _OPERATORS:
        raise QueryError(
            f"unknown operator {operator!r}", where=f"the filter on {field!r}", remedy=_there_are([*_OPERATORS, "$not"])
        )
    return _OPERATORS[operator](field, operand)


def _there_are(operators: Any, where: str = "for a field") -> str:
    return f"There are {where}: {', '.join(operators)}"


def _equal(field: str, value: Any) -> Filter:
    if isinstance(value, list | tuple | set):
        remedy = "Write {'$in': [...]} for one of several"
        raise QueryError(f"compared with a list, {value!r:.60}", where=f"the filter on {field!r}", remedy=remedy)
    return Not(Exists(field)) if value is None else Eq(field, value)


def _one_of(field: str, values: Any) -> Filter:
    if isinstance(values, str) or not isinstance(values, list | tuple | set | frozenset):
        what = f"$in holds {values!r:.60}, which is no list"
        raise QueryError(what, where=f"the filter on {field!r}", remedy="Give a list of values")
    listed = In(field, tuple(value for value in values if value is not None))
    return listed if None not in values else Or((Not(Exists(field)), listed))


def _between(field: str, bounds: Any) -> Filter:
    if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
        what = f"$between holds {bounds!r:.60}, which are no two bounds"
        raise QueryError(what, where=f"the filter on {field!r}", remedy="Give [least, most]")
    return Range(field, gte=bounds[0], lte=bounds[1])


def _exists(field: str, wanted: Any) -> Filter:
    if not isinstance(wanted, bool):
        raise QueryError(f"$exists holds {wanted!r:.60}", where=f"the filter on {field!r}", remedy="Give True or False")
    return Exists(field) if wanted else Not(Exists(field))


def _like(field: str, pattern: Any) -> Filter:
    """``So%`` and ``%on%``; other patterns are not what engines have of keywords at a sane price."""
    text = pattern if isinstance(pattern, str) else ""
    words = text.strip("%")
    is_ending = text.startswith("%") and not text.endswith("%")
    if not words or is_ending or "%" in words or "_" in words:
        what = f"$like with the pattern {pattern!r:.60}"
        raise QueryError(what, where=f"the filter on {field!r}", remedy="Patterns are 'word', 'word%' and '%word%'")
    if text.startswith("%"):
        return Contains(field, words)
    return Prefix(field, words) if text.endswith("%") else Eq(field, words)


def _bound(name: str) -> Callable[[str, Any], Filter]:
    return lambda field, value: Range(field, **{name: value})


_JUNCTIONS: dict[str, type[And | Or]] = {"$and": And, "$or": Or}

_OPERATORS: dict[str, Callable[[str, Any], Filter]] = {
    "$eq": _equal,
    "$ne": lambda field, value: Not(_equal(field, value)),
    "$gt": _bound("gt"),
    "$gte": _bound("gte"),
    "$lt": _bound("lt"),
    "$lte": _bound("lte"),
    "$in": _one_of,
    "$nin": lambda field, values: Not(_one_of(field, values)),
    "$between": _between,
    "$exists": _exists,
    "$like": _like,
}
