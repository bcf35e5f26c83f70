"""What tuning is worth on judged queries that it has not seen, and how fast it looks.

    python benchmarks/quality/tuning.py --url URL INDEX=../shared/data/scifact [INDEX=FOLDER ...]

Each index holds its BEIR folder already. Prints, for halves and for five folds of the judged queries: the settings in
use, the measure out of fold with the 95 % interval of the difference, and the best that any weighting reaches on all
queries at once, which is what no choice can pass; the same for settings that somebody wrote by hand (all legs alike by
reciprocal ranks; BM25 far above the others); and what a rule for some queries is worth over the choice. Then, with
``--scores FILE`` for the last set, the reranker's share and window over recorded scores of a cross-encoder
({query: {document: score}}), for the queries that have some. Then the time of 10,000 weightings of 300 queries on
generated runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from hybrid_search import read
from hybrid_search.engine import connect
from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.tuning import RunCache, Tuned, collect, run_tuning, tune, weightings
from hybrid_search.evaluate.tuning.choice import RuleTrial, measured
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.ranks import Objective
from hybrid_search.evaluate.tuning.reranked import Rerankings
from hybrid_search.evaluate.tuning.weighting import weighting_of
from hybrid_search.search import SearchClient
from hybrid_search.search.plan import indexed_legs
from hybrid_search.settings import EngineSettings, SearchSettings, Settings

LEGS = ("bm25", "dense", "sparse")
PARTS = (2, 5)
FIGURES = ("in use", "out of fold", "difference (95 %)", "p")
DEFAULT = "default"
IN_USE = {
    DEFAULT: SearchSettings(),
    "rrf, all alike": SearchSettings(fusion="rrf", weights={"bm25": 1.0, "dense": 1.0, "sparse": 1.0}),
    "bm25 3 : 1 : 1": SearchSettings(weights={"bm25": 3.0, "dense": 1.0, "sparse": 1.0}),
}
FOUND, RANKED, RELEVANT = 250, 100, 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("sets", nargs="*", metavar="INDEX=FOLDER")
    given = parser.parse_args()
    engine, console = EngineSettings(url=given.url), Console(width=170)
    table = Table("set", "settings", "queries", "parts", *FIGURES, "best of all", box=None)
    rules = Table("set", "parts", "rule that all queries choose", "out of fold, over none", "p", "used", box=None)
    for one in given.sets:
        index, _, folder = one.partition("=")
        for name, search in IN_USE.items():
            for parts in PARTS:
                tuned = tuned_by(Settings(engine=engine, search=search), index, Path(folder), parts)
                size = str(len(tuned.by_query))
                table.add_row(Path(folder).name, name, size, str(parts), *figures(tuned), f"{best_of(tuned):.4f}")
                if name == DEFAULT and tuned.trial is not None:
                    rules.add_row(Path(folder).name, str(parts), *rule_figures(tuned.trial))
    if given.sets:
        console.print(table, "", rules, "")
    if given.scores is not None:
        index, _, folder = given.sets[-1].partition("=")
        console.print(reranked(Settings(engine=engine), index, Path(folder), given.scores), "")
    console.print(speed())


def tuned_by(settings: Settings, index: str, folder: Path, parts: int) -> Tuned:
    """What tuning finds against these settings."""
    queries, qrels = read.queries(folder, empty=True), read.qrels(folder)
    with (
        connect(settings.engine) as connection,
        SearchClient(index, settings=settings, connection=connection) as client,
    ):
        cache = RunCache(user_cache_path("hybrid-search") / "evaluate", connection)
        return run_tuning(client, queries, qrels, folds=parts, cache=cache)[0]


def best_of(tuned: Tuned) -> float:
    """What no choice can pass."""
    return max(tuned.surface.values())


def difference(one: Comparison) -> str:
    """With its interval."""
    low, high = one.interval or (float("nan"), float("nan"))
    return f"{one.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def figures(tuned: Tuned) -> list[str]:
    """The cells of one tuning."""
    one = tuned.comparison
    return [f"{tuned.default_mean:.4f}", f"{tuned.mean:.4f}", difference(one), f"{one.p_value:.3f}"]


def rule_figures(trial: RuleTrial) -> list[str]:
    """The cells of one rule."""
    said = "none" if trial.chosen is None else trial.chosen.in_words
    return [said, difference(trial.comparison), f"{trial.comparison.p_value:.3f}", "yes" if trial.is_better else "no"]


def reranked(settings: Settings, index: str, folder: Path, path: Path) -> Table:
    """The reranker's share and window, by recorded scores; a document without one gets the query's lowest."""
    with gzip.open(path) as file:
        recorded: dict[str, dict[str, float]] = json.load(file)
    qrels = {id_: grades for id_, grades in read.qrels(folder).items() if id_ in recorded}
    queries = [query for query in read.queries(folder) if query.id in qrels]
    asked, lacking = 0, 0

    def score(id_: str, passages: Sequence[str]) -> list[float]:
        nonlocal asked, lacking
        scores = recorded[id_]
        ids = [passage.rpartition("#")[0] for passage in passages]
        asked, lacking = asked + len(ids), lacking + sum(one not in scores for one in ids)
        return [scores.get(one, min(scores.values())) for one in ids]

    table = Table("set", "queries", "parts", "in use", "chosen by all", *FIGURES, box=None)
    with (
        connect(settings.engine) as connection,
        SearchClient(index, settings=settings, connection=connection) as client,
    ):
        legs = indexed_legs(client.searcher.target.schema)
        found = collect(client, queries, legs, 100)
        in_use = weighting_of(client.searcher.fusion(), found.legs, 100)
        for parts in PARTS:
            tried = Rerankings(found, qrels, score, client.searcher.default_reranking())
            tuned = tune(found, qrels, in_use, [], folds=parts, rerankings=tried)
            both = [one.reranking for one in (tuned.default, tuned.chosen) if one.reranking is not None]
            how = [f"{one.weight:.1f} of {one.window}" for one in both]
            table.add_row(folder.name, str(len(qrels)), str(parts), *how, *figures(tuned))
    table.caption = f"{lacking / asked:.0%} of the pairs have no recorded score"
    return table


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
