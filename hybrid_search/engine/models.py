"""Whether the models here are those that an index was made with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import IndexMismatchError
from hybrid_search.records import Fingerprint, Leg

MODEL_LEGS = (Leg.DENSE, Leg.SPARSE)


def check_models(
    index: OpenedIndex,
    encoder: TextEncoder,
    legs: Collection[Leg] = MODEL_LEGS,
    *,
    near: Callable[[Fingerprint, Fingerprint], bool] | None = None,
) -> None:
    """Refuses an encoder whose vectors do not belong to those of the index, in the legs that are used.

    ``near`` says of the model of the index and one here that differ whether they are near enough all the same: for
    queries, whose vectors are kept nowhere.

    Raises:
        IndexMismatchError: the difference, line by line ``what: index / encoder``.
    """
    pairs = {Leg.DENSE: (index.schema.dense, encoder.dense), Leg.SPARSE: (index.schema.sparse, encoder.sparse)}
    found = {leg: lines for leg, pair in pairs.items() if leg in legs and (lines := _difference(*pair))}
    if near is not None:
        found = {leg: lines for leg, lines in found.items() if (of := _both(pairs[leg])) is None or not near(*of)}
    if found:
        differences = [f"{leg}: {line}" for leg, lines in found.items() for line in lines]
        raise IndexMismatchError(
            f"the index was made with other models (index / here): {'; '.join(differences)}",
            where=index.where,
            remedy=_remedy([pairs[leg] for leg in found], searches=near is not None),
        )


def _difference(ours: Fingerprint | None, theirs: Fingerprint | None) -> list[str]:
    if ours is None or theirs is None:
        return [] if ours is theirs else [f"{_name(ours)} / {_name(theirs)}"]
    return [f"{_name(ours)} / {_name(theirs)}", *lines] if (lines := ours.difference(theirs)) else []


def _both(pair: tuple[Fingerprint | None, Fingerprint | None]) -> tuple[Fingerprint, Fingerprint] | None:
    ours, theirs = pair
    return None if ours is None or theirs is None else (ours, theirs)


def _remedy(pairs: Sequence[tuple[Fingerprint | None, Fingerprint | None]], *, searches: bool) -> str:
    """What to do about models that differ: of those that differ in their precision alone, less than of others."""
    both = [_both(pair) for pair in pairs]
    if any(pair is None or pair[0].in_float32().difference(pair[1].in_float32()) for pair in both):
        return "Use the model of the index, or index again under a new name"
    wanted = next(pair[0].precision for pair in both if pair is not None)
    remedy = f'Set encode.precision to "{wanted}"'
    return f"{remedy}, or show that the two agree here: hybrid-search models check NAME" if searches else remedy


def _name(model: Fingerprint | None) -> str:
    return "none" if model is None else model.name
