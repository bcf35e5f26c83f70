"""What tuning found, as a page: the choice, the measure over the weights, gains and losses, what each leg found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hybrid_search.evaluate.html.page import heading, note, page, table
from hybrid_search.evaluate.html.svg import bars, differences, line, simplex_map
from hybrid_search.evaluate.known_items import KnownItems
from hybrid_search.evaluate.tuning.choice import Tuned
from hybrid_search.evaluate.tuning.collected import Collected
from hybrid_search.evaluate.tuning.report import notes, rule_rows, tuned_rows
from hybrid_search.evaluate.tuning.weighting import Weighting
from hybrid_search.read import Qrels

SHOWN = 10
"""Queries that are listed of the largest gains and of the largest losses."""

THREE = 3


@dataclass(frozen=True, slots=True)
class LegFinds:
    """What one leg found: relevant documents, those that no other leg found, and in how many queries it did so."""

    leg: str
    found: int
    alone: int
    queries: int


def leg_finds(collected: Collected, qrels: Qrels, window: int) -> list[LegFinds]:
    """For each leg, over the first ``window`` documents of each leg."""
    counts = {leg: [0, 0, 0] for leg in collected.legs}
    for id_, one in collected.queries.items():
        relevant = {document for document, grade in qrels.get(id_, {}).items() if grade > 0}
        found = {leg: relevant & {document for document, _ in one.runs.get(leg, ())[:window]} for leg in collected.legs}
        for leg, its in found.items():
            others = set[str]().union(*(some for name, some in found.items() if name != leg))
            counts[leg][0] += len(its)
            counts[leg][1] += len(its - others)
            counts[leg][2] += bool(its - others)
    return [LegFinds(leg, *three) for leg, three in counts.items()]


def tuned_page(
    tuned: Tuned, collected: Collected, qrels: Qrels, texts: Mapping[str, str], known: KnownItems | None = None
) -> str:
    """The whole page.

    Args:
        tuned: what was found.
        collected: the runs that it was found by.
        qrels: the judgements.
        texts: of the queries, by their ids.
        known: where the queries were made from the index.
    """
    what = "known items (made from the index, judged by nobody)" if known is not None else "judged queries"
    title = f"Tuning by {len(tuned.by_query):,} {what}"
    return page(title, _parts(tuned, collected, qrels, texts, known))


def _parts(
    tuned: Tuned, collected: Collected, qrels: Qrels, texts: Mapping[str, str], known: KnownItems | None
) -> Iterator[str]:
    *before, verdict = notes(tuned, known)
    yield note(verdict, "verdict")
    yield _choices(tuned, collected.legs)
    yield from map(note, before)
    yield from _surface(tuned, collected.legs)
    yield heading("Gains and losses of queries")
    yield note("Each query out of fold, against the settings in use: filled bars are gains, outlined ones losses.")
    changes = {id_: mine - its for id_, (mine, its) in tuned.by_query.items()}
    yield differences(list(changes.values()), f"difference in {tuned.objective}")
    yield from _queries(tuned, changes, texts)
    window = tuned.default.window
    yield heading("What each leg alone found")
    yield note(f"Relevant documents among the first {window} of each leg; what only one leg found is lost without it.")
    finds = leg_finds(collected, qrels, window)
    yield bars([(one.leg, one.found, one.alone) for one in finds], "relevant documents found", "found by no other leg")
    cells = [(one.leg, f"{one.found:,}", f"{one.alone:,}", f"{one.queries:,}") for one in finds]
    yield table(("leg", "relevant found", "by no other", "in queries"), cells)


def _choices(tuned: Tuned, legs: Sequence[str]) -> str:
    rerank = ["rerank"] if tuned.rerankings else []
    header = ("", "fusion", *legs, "window", *rerank, "queries", f"{tuned.objective}, out of fold", "in use")
    rows = [row for one, cells in tuned_rows(tuned) for row in (cells, *rule_rows(one, legs))]
    rows = [[*row, *[""] * (len(header) - len(row))] for row in rows]
    return table(header, rows, text=(1,))


@dataclass(frozen=True, slots=True)
class Surface:
    """The mean measure by the weights, with all else as it was chosen; ``marks`` are weights by their names."""

    called: str
    values: Mapping[tuple[float, ...], float]
    marks: Mapping[str, tuple[float, ...]]


def surface_of(tuned: Tuned, legs: Sequence[str]) -> Surface | None:
    """What can be drawn: of two or three legs, where they were tried with the chosen fusion."""
    if len(legs) > THREE:
        return None
    chosen = replace(tuned.chosen, reranking=None, rules=())
    default = replace(tuned.default, reranking=None, rules=())
    like = [one for one in tuned.surface if one.shape == chosen.shape and (one != default or _on_grid(tuned, one))]
    values = {one.weights: tuned.surface[one] for one in like}
    marks = {"in use": default.weights, "chosen": chosen.weights}
    return Surface(_called(chosen), values, marks) if values else None


def _surface(tuned: Tuned, legs: Sequence[str]) -> Iterator[str]:
    """The mean over the weights."""
    surface = surface_of(tuned, legs)
    if surface is None:
        return
    yield heading(f"{tuned.objective} over the weights")
    reranked = ", before reranking" if tuned.rerankings else ""
    shown = "each corner is one leg alone; darker is better" if len(legs) == THREE else "each end is one leg alone"
    yield note(f"{surface.called}{reranked}: the mean of all queries, those that chose it among them; {shown}.")
    if len(legs) == THREE:
        yield simplex_map(surface.values, legs, surface.marks, tuned.objective)
    else:
        points = [(weights[1], value) for weights, value in surface.values.items()]
        marked = {name: one[1] for name, one in surface.marks.items()}
        yield line(points, f"weight of {legs[1]}", tuned.objective, marked)


def _on_grid(tuned: Tuned, one: Weighting) -> bool:
    """Whether the weights are among those that every other fusion is tried with."""
    return sum(other.weights == one.weights for other in tuned.surface) > 1


def _called(one: Weighting) -> str:
    constant = f" with rank constant {one.rank_constant}" if one.method == "rrf" else ""
    return f"{one.method}{constant}, window {one.window}"


def _queries(tuned: Tuned, changes: Mapping[str, float], texts: Mapping[str, str]) -> Iterator[str]:
    ordered = sorted(changes, key=lambda id_: (-changes[id_], id_))
    some = [id_ for id_ in ordered[:SHOWN] if changes[id_] > 0]
    some += [id_ for id_ in ordered[-SHOWN:] if changes[id_] < 0]
    if not some:
        yield note("No query changed.")
        return
    rows = [
        (id_, texts.get(id_, ""), f"{its:.4f}", f"{mine:.4f}", f"{mine - its:+.4f}")
        for id_, (mine, its) in ((id_, tuned.by_query[id_]) for id_ in some)
    ]
    yield table(("query", "", "in use", "out of fold", "difference"), rows, text=(1,))
