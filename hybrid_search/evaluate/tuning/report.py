"""What tuning found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.tuning.choice import RuleTrial, Tuned
from hybrid_search.evaluate.tuning.weighting import Weighting

if TYPE_CHECKING:
    from rich.table import Table

    from hybrid_search.evaluate.known_items import KnownItems


def tuned_json(tuned: Tuned, legs: Sequence[str], known: KnownItems | None = None) -> dict[str, Any]:
    """Everything but the surface and the single queries, as plain JSON types; ``known`` says that nobody judged."""
    return {
        **({} if known is None else {"known_items": _known_json(known)}),
        "objective": tuned.objective,
        "queries": len(tuned.by_query),
        "tried": len(tuned.surface),
        "rerankings": tuned.rerankings,
        "in_use": {**weighting_json(tuned.default, legs), "mean": round(tuned.default_mean, 5)},
        "chosen": weighting_json(tuned.chosen, legs),
        "out_of_fold": round(tuned.mean, 5),
        "difference": round(tuned.comparison.difference, 5),
        "interval": None if tuned.comparison.interval is None else [round(end, 5) for end in tuned.comparison.interval],
        "p": round(tuned.comparison.p_value, 5),
        "better": tuned.is_better,
        **({} if tuned.trial is None else {"rule": _trial_json(tuned.trial)}),
        "folds": [
            {
                "queries": fold.queries,
                **weighting_json(fold.chosen, legs),
                "mean": round(fold.mean, 5),
                "in_use": round(fold.default_mean, 5),
            }
            for fold in tuned.folds
        ],
    }


def _trial_json(trial: RuleTrial) -> dict[str, Any]:
    interval = trial.comparison.interval
    return {
        "tried": trial.tried,
        "chosen": None if trial.chosen is None else str(trial.chosen),
        "in_words": None if trial.chosen is None else trial.chosen.in_words,
        "difference": round(trial.comparison.difference, 5),
        "interval": None if interval is None else [round(end, 5) for end in interval],
        "p": round(trial.comparison.p_value, 5),
        "used": trial.is_better,
        "folds": [None if rule is None else str(rule) for rule in trial.by_fold],
    }


def _known_json(known: KnownItems) -> dict[str, Any]:
    share = round(known.words_in_text, 4)
    return {"queries": len(known.queries), "titles": known.titles, "words_in_text": share}


def weighting_json(one: Weighting, legs: Sequence[str]) -> dict[str, Any]:
    """A weighting by the names of its settings."""
    constant = {"rank_constant": one.rank_constant} if one.method == "rrf" else {}
    weights = {leg: round(weight, 4) for leg, weight in zip(legs, one.weights, strict=True)}
    rules = {"rules": [str(rule) for rule in one.rules]} if one.rules else {}
    return {"fusion": one.method, **constant, "weights": weights, **rules, "window": one.window, **_reranking_json(one)}


def _reranking_json(one: Weighting) -> dict[str, Any]:
    if one.reranking is None:
        return {}
    return {"rerank": {"window": one.reranking.window, "weight": round(one.reranking.weight, 4)}}


def settings_of(one: Weighting, legs: Sequence[str]) -> dict[str, Any]:
    """The same as sections of a settings file: ``[search]``, and ``[rerank]`` where something is reranked."""
    search = weighting_json(one, legs)
    rerank = search.pop("rerank", None)
    return {"search": search, **({} if rerank is None else {"rerank": rerank})}


def tuned_table(tuned: Tuned, legs: Sequence[str], known: KnownItems | None = None) -> Table:
    """The settings in use, each fold's choice with its figures out of fold, and what all queries choose."""
    from rich import box
    from rich.table import Table

    tried = f"{len(tuned.surface):,} weightings" + (f", {tuned.rerankings} rerankings" if tuned.rerankings else "")
    queries = "judged queries" if known is None else "KNOWN ITEMS (made from the index, judged by nobody)"
    title = f"{len(tuned.by_query):,} {queries}, {tried}, {len(tuned.folds)} folds"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("")
    table.add_column("fusion", no_wrap=True)
    for name in (*legs, "window", *(["rerank"] if tuned.rerankings else []), "queries", tuned.objective, "in use"):
        table.add_column(name, justify="right", no_wrap=True)
    *before, (chosen, cells) = tuned_rows(tuned)
    for number, (one, row) in enumerate(before):
        for some in (row, *rule_rows(one, legs)):
            table.add_row(*some)
        if number in (0, len(before) - 1):
            table.add_section()
    for some in (cells, *rule_rows(chosen, legs)):
        table.add_row(*some, style="bold")
    return table


def tuned_rows(tuned: Tuned) -> list[tuple[Weighting, list[str]]]:
    """The rows of a table, each beside its weighting: in use, each fold, what all queries choose."""
    count, every = str(len(tuned.by_query)), _figure(tuned.default_mean)
    rows: list[tuple[Weighting, list[str]]] = [(tuned.default, ["in use", *row_cells(tuned.default), count, "", every])]
    for number, fold in enumerate(tuned.folds, start=1):
        figures = [str(fold.queries), _figure(fold.mean), _figure(fold.default_mean)]
        rows.append((fold.chosen, [f"fold {number}", *row_cells(fold.chosen), *figures]))
    return [*rows, (tuned.chosen, ["all", *row_cells(tuned.chosen), count, _figure(tuned.mean), every])]


def rule_rows(one: Weighting, legs: Sequence[str]) -> list[list[str]]:
    """A row for each rule, below that of its weighting: the condition, and the weights where it holds."""
    usual = dict(zip(legs, one.weights, strict=True))
    return [
        ["", str(rule.condition), *(_figure(weight, 2) for weight in (usual | rule.legs).values())]
        for rule in one.rules
    ]


def notes(tuned: Tuned, known: KnownItems | None = None) -> Iterator[str]:
    """How sure the difference is, and what follows from it."""
    if known is not None:
        yield known_note(known)
    yield (
        f"{tuned.objective} of every row is out of fold: of queries that took no part in the choice of their weights;"
        " the last row's choice is that of all queries"
    )
    if tuned.rerankings:
        yield "the reranker's share and window are chosen over the chosen fusion, by the same queries"
    if tuned.trial is not None:
        yield trial_note(tuned.trial)
    yield f"against the settings in use: {_difference(tuned.comparison)}"
    yield verdict(tuned)


def trial_note(trial: RuleTrial) -> str:
    """In words what some queries are given, and how sure that is."""
    if not trial.tried:
        return "no rule for some queries was tried: none that is tried has enough queries on both sides"
    found = f"{_difference(trial.comparison)} out of fold, over the same weights for all"
    if trial.is_better and trial.chosen is not None:
        return f"weights of their own: {trial.chosen.in_words}; {found}"
    tried = f"weights of their own for some queries: off; of {trial.tried:,} rules"
    if trial.chosen is None:
        return f"{tried} all queries choose none ({found})"
    return f'{tried} all queries choose "{trial.chosen.in_words}", which is not better beyond chance ({found})'


def _difference(comparison: Comparison) -> str:
    interval = comparison.interval
    within = "" if interval is None else f" (95 % {interval[0]:+.4f} to {interval[1]:+.4f})"
    return f"{comparison.difference:+.4f}{within}, p {_p(comparison.p_value)}"


def known_note(known: KnownItems) -> str:
    """What such queries cannot say."""
    others = len(known.queries) - known.titles
    return (
        f"known items: the queries are {known.titles:,} titles and {others:,} first sentences of the index's own"
        f" documents; {known.words_in_text:.0%} of their words stand in the text of their document, which flatters"
        " what matches words: they show that a leg is broken, not what your users will like"
    )


def verdict(tuned: Tuned) -> str:
    """Whether to change the settings."""
    if tuned.is_better:
        return "better than the settings in use, beyond chance"
    if tuned.chosen == tuned.default:
        return "the settings in use stay: nothing that was tried is better by more than chance gives"
    return "no better than the settings in use on queries that took no part in the choice"


def _p(value: float) -> str:
    return "< .0001" if value < 1e-4 else f"= {value:.4f}".replace("0.", ".")


def row_cells(one: Weighting) -> list[str]:
    """Fusion, weights, window, and reranking where there is one."""
    method = f"{one.method} {one.rank_constant}" if one.method == "rrf" else one.method
    return [method, *(_figure(weight, 2) for weight in one.weights), str(one.window), *_reranking_cell(one)]


def _reranking_cell(one: Weighting) -> list[str]:
    """Its share, and of how many hits: ``.5 of 50``."""
    return [] if one.reranking is None else [f"{_figure(one.reranking.weight, 2)} of {one.reranking.window}"]


def _figure(value: float, digits: int = 4) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if text.startswith("0.") else text
