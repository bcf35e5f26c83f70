"""Which texts BM25 searches, what each weighs, and what words that stand together are worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import groupby
from typing import Any

from hybrid_search.engine.layout import TEXT, TextPath, text_paths
from hybrid_search.engine.schemas import text_analyzers
from hybrid_search.errors import IndexMismatchError, QueryError
from hybrid_search.records import IndexSchema
from hybrid_search.settings import SearchSettings, Settings, TextFieldSettings
from hybrid_search.settings.text import MAX_WEIGHT, MIN_WEIGHT

Body = dict[str, Any]
InPath = Callable[[str], Body]
"""A clause for the path of a text."""

PHRASED = 32
"""Words of the longest query whose words are looked for together: of a longer one no passage has all in a row."""


@dataclass(frozen=True, slots=True)
class TextScoring:
    """How one search weighs the texts of an index; what is None, or left out, is as in the settings.

    Attributes:
        weights: what a word counts by the field that it is in; ``text`` is the whole text, 0 leaves a field out.
            Only their ratios count.
        phrase: what the score of all words in their order counts beside that of the words; 0 is off.
        proximity: what that of the words at most ``search.slop`` places apart counts.

    Raises:
        QueryError: a number out of range.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    phrase: float | None = None
    proximity: float | None = None

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not (weight == 0 or MIN_WEIGHT <= weight <= MAX_WEIGHT):
                what = f"the weight {weight} of the text field {name!r} is not 0, nor from {MIN_WEIGHT} to {MAX_WEIGHT}"
                raise QueryError(what, remedy="Give weights such as title=2; 0 leaves a field out.")
        for name in ("phrase", "proximity"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 <= value <= MAX_WEIGHT):
                raise QueryError(f"{name} must be from 0 to {MAX_WEIGHT}, got {value}", remedy="0 switches it off.")

    def __hash__(self) -> int:
        """Of what is compared; the order of weights does not matter."""
        return hash((frozenset(self.weights.items()), self.phrase, self.proximity))


@dataclass(frozen=True, slots=True)
class ScoredText:
    """The texts that BM25 searches, each of which weighs something, and what stands together counts."""

    paths: tuple[TextPath, ...]
    phrase: float = 0.0
    proximity: float = 0.0
    slop: int = 0


WHOLE_TEXT = ScoredText((TextPath(TEXT, TEXT, ""),))
"""The text of a passage alone."""


def usual_text(schema: IndexSchema) -> ScoredText:
    """All texts of the index, as it was made."""
    return ScoredText(tuple(path for path in text_paths(schema) if path.weight))


def scored_text(
    schema: IndexSchema,
    fields: Mapping[str, TextFieldSettings],
    settings: SearchSettings,
    asked: TextScoring | None = None,
    balance: Mapping[str, float] | None = None,
) -> ScoredText:
    """What a search asks, else what the settings say, else as the index was made.

    ``balance`` multiplies the weights of texts by their analyzer, in an index of several languages.

    Raises:
        QueryError: a field that the index does not search on its own (the nearest is named), or all weigh 0.
    """
    asked = asked or TextScoring()
    paths = text_paths(schema)
    names = list(dict.fromkeys(path.name for path in paths))
    for name in asked.weights:
        if name not in names:
            raise QueryError(
                f"the index has no text field {name!r}",
                remedy=f"Did you mean {get_close_matches(name, names, n=1, cutoff=0.0)[0]}? There are: "
                f"{', '.join(names)}. Others need settings, [text.{name}], and a new index: hybrid-search reindex.",
            )
    given = {**{name: one.weight for name, one in fields.items()}, **asked.weights}
    balance = balance or {}
    weighed = [
        replace(path, weight=given.get(path.name, path.weight) * balance.get(path.analyzer, 1.0)) for path in paths
    ]
    if not any(path.weight for path in weighed):
        raise QueryError("every text field has the weight 0", remedy=f"Leave one a weight: {', '.join(names)}.")
    return ScoredText(
        tuple(path for path in weighed if path.weight),
        settings.phrase if asked.phrase is None else asked.phrase,
        settings.proximity if asked.proximity is None else asked.proximity,
        settings.slop,
    )


def check_text_fields(schema: IndexSchema, settings: Settings, where: str) -> None:
    """Refuse settings whose text fields are not those of the index.

    Raises:
        IndexMismatchError: a field that the index does not search on its own, or by another analyzer.
    """
    known = {TEXT: schema.analyzer, **text_analyzers(schema)}
    for name, wanted in settings.text.items():
        found = known.get(name)
        if found is None or wanted.analyzer not in {None, found}:
            lacks = (
                f"the index does not search {name!r} on its own"
                if found is None
                else (f"the index reads the text field {name!r} by the analyzer {found}, not {wanted.analyzer}")
            )
            raise IndexMismatchError(
                f"{lacks} (text.{name} of the settings)",
                where=where,
                remedy=f"Build it anew with these settings: hybrid-search reindex; or take [text.{name}] out of them",
            )


def words_query(text: str, scored: ScoredText, *, combined: bool) -> Body:
    """Any word of ``text`` in any of the texts; a word that is in several of them is one hit.

    Texts of one analyzer are searched as if they were one, each of its words counted as often as its field weighs:
    BM25F (Robertson, Zaragoza, Taylor: Simple BM25 extension to multiple weighted fields, CIKM 2004), which both
    engines call ``combined_fields`` (Elasticsearch, and OpenSearch from 3.2 on; ``combined`` says whether this one has
    it). It takes no weight below 1, so that all are divided by the least, and no two analyzers, because it counts how
    often one and the same term is in all fields. Where the engine lacks it ``multi_match`` of the type ``cross_fields``
    takes the field that scores a word best, after frequencies that are made equal among the fields.

    Texts of different analyzers make different terms of a word: of each word between blanks the best group of equal
    ones counts (``dis_max``), so that one word is one hit, and two words in texts of two analyzers are two. (One
    ``cross_fields`` over all of them takes the best group for the query as a whole: a brand and a word of the title are
    then worth no more than the brand.) A script without blanks is one word here, whose best group counts.
    """
    least = min(path.weight for path in scored.paths)
    paths = sorted(scored.paths, key=lambda path: path.analyzer)
    groups = [list(group) for _, group in groupby(paths, key=lambda path: path.analyzer)]
    words = [text] if len(groups) == 1 else text.split() or [text]
    found = [best_of([_group_query(one, group, least, combined=combined) for group in groups]) for one in words]
    return found[0] if len(found) == 1 else {"bool": {"should": found, "minimum_should_match": 1}}


def _group_query(text: str, paths: list[TextPath], least: float, *, combined: bool) -> Body:
    """Texts of one analyzer, whose group counts as its least weight."""
    lowest = min(path.weight for path in paths)
    boost = {} if lowest == least else {"boost": lowest / least}
    if len(paths) == 1:
        return {"match": {paths[0].path: {"query": text, "operator": "or", **boost}}}
    asked: Body = {"query": text, "fields": weighed(paths, lowest), "operator": "or", **boost}
    return {"combined_fields": asked} if combined else {"multi_match": {**asked, "type": "cross_fields"}}


def words_together(text: str, scored: ScoredText) -> list[Body]:
    """What passages score more that have the words of ``text`` in a row, or near each other, in one of the texts."""
    worth = {0: scored.phrase, scored.slop: scored.proximity}
    lowest = min(path.weight for path in scored.paths)
    phrase: Body = {"query": text, "type": "phrase", "fields": weighed(scored.paths, lowest)}
    return [{"multi_match": {**phrase, "slop": slop, "boost": boost}} for slop, boost in worth.items() if boost]


def weighed(paths: Sequence[TextPath], least: float) -> list[str]:
    """Paths as queries over several fields name them, ``words.title^2``; weights of 1 are left out."""
    return [path.path if path.weight == least else f"{path.path}^{round(path.weight / least, 6)}" for path in paths]


def in_any(schema: IndexSchema, clause_in: InPath) -> Body:
    """A clause for any text of the index."""
    return best_of([clause_in(path.path) for path in text_paths(schema)])


def best_of(clauses: Sequence[Body]) -> Body:
    """Any of the clauses; the best one scores, which is not two hits."""
    return clauses[0] if len(clauses) == 1 else {"dis_max": {"queries": list(clauses)}}
