"""What tuning is worth on judged queries that it has not seen, and how fast it looks.

    python benchmarks/quality/tuning.py --url URL INDEX=../shared/data/scifact [INDEX=FOLDER ...]

Each index holds its BEIR folder already. Prints, for halves and for five folds of the judged queries: the settings in
use, what was chosen, the measure out of fold with the 95 % interval of the difference, and the best that any weighting
reaches on all queries at once, which is what no choice can pass. Then the time of 10,000 weightings of 300 queries on
generated runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hybrid_search import read
from hybrid_search.engine import connect
from hybrid_search.evaluate.tuning import Tuned, run_tuning, weightings
from hybrid_search.evaluate.tuning.choice import measured
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.search import SearchClient
from hybrid_search.settings import EngineSettings, Settings

LEGS = ("bm25", "dense", "sparse")
FOUND, RANKED, RELEVANT = 250, 100, 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("sets", nargs="*", metavar="INDEX=FOLDER")
    given = parser.parse_args()
    table = Table("set", "queries", "folds", "in use", "out of fold", "difference 95 %", "p", "best of all", box=None)
    for one in given.sets:
        index, _, folder = one.partition("=")
        for row in rows(Settings(engine=EngineSettings(url=given.url)), index, Path(folder)):
            table.add_row(*row)
    console = Console(width=140)
    if given.sets:
        console.print(table)
    console.print(speed())


def rows(settings: Settings, index: str, folder: Path) -> Iterator[list[str]]:
    """One row for halves, one for fifths."""
    queries, qrels = read.queries(folder, empty=True), read.qrels(folder)
    with (
        connect(settings.engine) as connection,
        SearchClient(index, settings=settings, connection=connection) as client,
    ):
        for folds in (2, 5):
            tuned, _ = run_tuning(client, queries, qrels, folds=folds)
            yield [folder.name, str(len(tuned.by_query)), str(folds), *figures(tuned)]


def figures(tuned: Tuned) -> list[str]:
    """The cells of one tuning."""
    one = tuned.comparison
    low, high = one.interval or (float("nan"), float("nan"))
    best = max(tuned.surface.values())
    return [
        f"{tuned.default_mean:.4f}",
        f"{tuned.mean:.4f}",
        f"{one.difference:+.4f} ({low:+.4f} to {high:+.4f})",
        f"{one.p_value:.3f}",
        f"{best:.4f}",
    ]


def speed(queries: int = 300) -> str:
    """Processor seconds of every weighting of three legs, scaled to 10,000."""
    random = np.random.default_rng(1)
    judged = [(runs(random), {f"d{n}": 1 for n in range(RELEVANT)}) for _ in range(queries)]
    tried = weightings(3, windows=(50, 100))
    began = time.process_time()
    measured(judged, LEGS, tried, Objective("nDCG@10"))
    seconds = time.process_time() - began
    scaled = seconds * 10_000 / len(tried)
    return f"{len(tried):,} weightings of {queries} queries: {seconds:.2f} s of processor time; 10,000: {scaled:.2f} s"


def runs(random: np.random.Generator) -> QueryRuns:
    """Three legs that share little: 100 of 250 documents each."""
    return QueryRuns(
        {
            leg: [(f"d{n}", float(RANKED - rank)) for rank, n in enumerate(random.permutation(FOUND)[:RANKED])]
            for leg in LEGS
        },
        {},
    )


if __name__ == "__main__":
    main()
