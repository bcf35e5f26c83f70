"""Held-out queries, split off before anything else: near-duplicates never stand on two sides.

Two texts are near-duplicates where their sets of words have a Jaccard index of at least :data:`NEAR`. Pairs are found
exactly, by prefix filtering: of two such sets, one of the rarest words of one is among the rarest of the other.
Chaudhuri, Ganti, Kaushik: A Primitive Operator for Similarity Joins in Data Cleaning, ICDE 2006.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from hybrid_search.errors import InputError
from hybrid_search.records import Query
from hybrid_search.train.records import Judged

NEAR = 0.8
TEST, VALIDATION = 0.2, 0.1
FEWEST_TRAINING, FEWEST_HELD_OUT = 20, 10
MOST_VALIDATION = 150
LEAKING = 0.5
"""Of training queries: if more repeat a test query, the two are one set, and no figure of them says anything."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Split:
    """The three sides; ``leaked`` training queries were left out because they repeat held-out ones."""

    training: Judged
    validation: Judged
    test: Judged
    leaked: int = 0

    @property
    def known(self) -> float:
        """The share of the test queries' relevant documents that are relevant to a training query too."""
        seen = set().union(*self.training.relevant.values())
        asked = [document for some in self.test.relevant.values() for document in some]
        return sum(document in seen for document in asked) / len(asked) if asked else 0.0


def words_of(text: str) -> frozenset[str]:
    """The words of a text, whatever their case."""
    return frozenset(_WORD.findall(text.casefold()))


def near_duplicates(texts: Sequence[str], threshold: float = NEAR) -> Iterator[tuple[int, int]]:
    """Places of texts whose words are nearly the same, the smaller first."""
    sets = [words_of(text) for text in texts]
    often = Counter(word for words in sets for word in words)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(sets):
        rarest = sorted(words, key=lambda word: (often[word], word))
        prefix = rarest[: len(words) - math.ceil(threshold * len(words)) + 1]
        candidates = {other for word in prefix for other in holders[word]}
        for other in sorted(candidates):
            if len(words & sets[other]) >= threshold * len(words | sets[other]):
                yield other, place
        for word in prefix:
            holders[word].append(place)


def groups_of(texts: Sequence[str], also: Sequence[str] | None = None) -> list[int]:
    """For each text the place of the first of its group: those that near-duplicates link, by it or by ``also``."""
    first = list(range(len(texts)))

    def found(place: int) -> int:
        while first[place] != place:
            first[place] = first[first[place]]
            place = first[place]
        return place

    for one, other in chain(near_duplicates(texts), near_duplicates(also or [])):
        low, high = sorted((found(one), found(other)))
        first[high] = low
    return [found(place) for place in range(len(texts))]


def usable(judged: Judged) -> Judged:
    """Queries with a text and a relevant document.

    Raises:
        InputError: there is none; every judgement has the same grade 0.
    """
    relevant = judged.relevant
    kept = [str(query.id) for query in judged.queries if query.text.strip() and relevant.get(str(query.id))]
    if not kept and any(judged.qrels.values()):
        remedy = "Grades above 0 say what is relevant; without one there is nothing to learn"
        raise InputError("no query has a relevant document", where=judged.origin, remedy=remedy)
    return judged.only(kept)


def split(
    judged: Judged,
    test: Judged | None,
    seed: int,
    *,
    near: Mapping[str, str] | None = None,
    more: Judged | None = None,
) -> Split:
    """Training, validation and test queries, near-duplicates on one side.

    Args:
        judged: what may be trained on.
        test: queries to test by; None splits them off ``judged``.
        seed: of the draw.
        near: by query id, a text by which queries are near to each other as well: the document that each was made of.
        more: queries to train on alone; those that repeat a held-out one are left out.

    Raises:
        InputError: too few queries on a side, or training queries that are test queries.
    """
    judged, leaked = usable(judged), 0
    if test is not None:
        test = usable(test)
        kept, leaked = _apart(judged, test.queries)
        if leaked > LEAKING * len(judged.queries):
            raise InputError(
                f"{leaked:,} of {len(judged.queries):,} training queries are test queries too",
                remedy="Give another split for one of them, or no test queries: some are then held out",
            )
        judged = judged.only(kept)
    ids = [str(query.id) for query in judged.queries]
    _check_enough(len(ids), None if test is None else len(test.queries), judged.origin)
    groups = groups_of([query.text for query in judged.queries], [near[id_] for id_ in ids] if near else None)
    sides = [judged.only(some) for some in _drawn(ids, groups, with_test=test is None, seed=seed)]
    training, validation, test = sides[0], sides[1], sides[2] if test is None else test
    if more is not None:
        kept, repeating = _apart(more, [*validation.queries, *test.queries])
        training, leaked = together(training, more.only(kept)), leaked + repeating
    return Split(training, validation, test, leaked)


def together(judged: Judged, more: Judged) -> Judged:
    """The queries of both."""
    origin = f"{judged.origin} and {more.origin}"
    return Judged([*judged.queries, *more.queries], {**judged.qrels, **more.qrels}, origin, judged.identical)


def _apart(judged: Judged, held_out: Sequence[Query]) -> tuple[list[str], int]:
    """The ids of queries that repeat none that is held out, and how many do."""
    count = len(judged.queries)
    texts = [query.text for query in (*judged.queries, *held_out)]
    repeats = {one for one, other in near_duplicates(texts) if one < count <= other}
    kept = [str(query.id) for place, query in enumerate(judged.queries) if place not in repeats]
    return kept, len(repeats)


def _check_enough(training: int, test: int | None, where: str) -> None:
    needed = FEWEST_TRAINING + (3 if test is None else 2) * FEWEST_HELD_OUT
    if test is not None and test < FEWEST_HELD_OUT:
        raise InputError(f"{test} test queries", remedy=f"Give {FEWEST_HELD_OUT} or more: fewer tell nothing apart")
    if training < needed:
        raise InputError(
            f"{training} queries with a relevant document",
            where=where,
            remedy=f"Give {needed} or more; pairs can be made of documents too: --pairs title",
        )


def _drawn(ids: Sequence[str], groups: Sequence[int], *, with_test: bool, seed: int) -> list[list[str]]:
    """Ids of training, validation and test; whole groups are drawn until a side is full."""
    chance = random.Random(seed)  # noqa: S311 - a fixed order, no secret
    members: dict[int, list[str]] = defaultdict(list)
    for id_, group in zip(ids, groups, strict=True):
        members[group].append(id_)
    order = sorted(members)
    chance.shuffle(order)
    wanted = [max(FEWEST_HELD_OUT, round(TEST * len(ids))) if with_test else 0]
    wanted.insert(0, min(MOST_VALIDATION, max(FEWEST_HELD_OUT, round(VALIDATION * len(ids)))))
    sides: list[list[str]] = [[], [], []]
    for group in order:
        side = next((n for n in (2, 1) if len(sides[n]) + len(members[group]) <= wanted[n - 1]), 0)
        sides[side] += members[group]
    if len(sides[0]) < FEWEST_TRAINING or len(sides[1]) < FEWEST_HELD_OUT // 2:
        raise InputError("the queries are nearly all the same", remedy="Give queries that differ in their words")
    return sides
