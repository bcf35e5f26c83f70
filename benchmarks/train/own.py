"""Train on a collection's training queries, test on its test queries: nDCG@10 of the leg and of the fusion.

    python benchmarks/train/own.py scifact dense --index scifact --url http://localhost:9200

The index holds the collection, loaded by ``hybrid-search index COLLECTION INDEX``. ESCI has test judgements alone: its
queries are cut into folds by a seeded draw, each is tested by a model of the others, and the folds are pooled.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch

from hybrid_search import read
from hybrid_search.engine import connect
from hybrid_search.evaluate.comparison import comparisons
from hybrid_search.search import SearchClient
from hybrid_search.settings import EncodeSettings, EngineSettings, Settings
from hybrid_search.train import Judged, Learned, Recipe, Trained, train

NDCG = "nDCG@10"


def sides(folder: Path, folds: int, most: int, seed: int) -> list[Learned]:
    """What is learned from and tested by, once for each fold; judged queries at most ``most``, drawn by the seed."""
    queries = read.queries(folder)
    test = read.qrels(folder, split="test")
    chance = random.Random(seed)  # noqa: S311 - a fixed order, no secret
    if folds:
        ids = sorted(test)
        chance.shuffle(ids)
        parts = [set(ids[n::folds]) for n in range(folds)]
        cuts = [({k: v for k, v in test.items() if k not in some}, {k: test[k] for k in some}) for some in parts]
    else:
        training = read.qrels(folder, split="train")
        kept = sorted(training)
        chance.shuffle(kept)
        cuts = [({k: training[k] for k in kept[:most]}, test)]
    return [
        Learned(*(Judged([q for q in queries if q.id in qrels], qrels, folder.name, identical=True) for qrels in cut))
        for cut in cuts
    ]


def told(step: str, done: int, total: int, seen: dict[str, float] = {}) -> None:  # noqa: B006 - kept between calls
    """A line each half minute."""
    if done == total or time.monotonic() - seen.get(step, 0) > 30:
        seen[step] = time.monotonic()
        print(f"  {step} {done:,} of {total:,}", flush=True)


def shown(trained: Trained) -> None:
    """The table of one run."""
    for one in trained.changes:
        if one.comparison is None:
            print(f"{one.system:8} {one.before:.4f}")
            continue
        low, high = one.comparison.interval or (0.0, 0.0)
        print(
            f"{one.system:8} {one.before:.4f} -> {one.after:.4f}  {one.comparison.difference:+.4f} "
            f"[{low:+.4f}, {high:+.4f}]  p {one.comparison.p_holm:.4f}"
        )
    fitted = trained.fitted
    print("looks:", ", ".join(f"{one.step}: {one.fused:.4f}" for one in fitted.steps), f"| kept {fitted.best.step}")
    print(f"training {fitted.seconds:,.0f} s (ended by {fitted.ended}), {fitted.mebibytes:,.0f} MiB at most")
    print(trained.counts, *trained.notes, "better" if trained.is_better else "not shown to be better", sep="\n")


def pooled(runs: list[Trained]) -> None:
    """The folds as one set of queries."""
    for system in runs[0].values:
        before = {id_: value for run in runs for id_, value in run.values[system][0].items()}
        after = {id_: value for run in runs for id_, value in run.values[system][1].items()}
        found = comparisons([after], before)[0]
        low, high = found.interval or (0.0, 0.0)
        means = [sum(some.values()) / len(some) for some in (before, after)]
        print(
            f"{system:8} {means[0]:.4f} -> {means[1]:.4f}  {found.difference:+.4f} [{low:+.4f}, {high:+.4f}]  "
            f"p {found.p_value:.4f}, {len(before)} queries of {len(runs)} folds"
        )


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("what", choices=("starter", "dense"))
    parser.add_argument("--index", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--recipe", default="", help="name=value, separated by spaces")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    numbers = {name: float(value) for name, value in (one.split("=") for one in arguments.recipe.split())}
    recipe = Recipe(what=arguments.what, **{k: v if k in {"rate", "minutes"} else int(v) for k, v in numbers.items()})
    settings = Settings(
        engine=EngineSettings(url=arguments.url), encode=EncodeSettings(backend="torch", precision="bf16")
    )
    runs = []
    began = time.monotonic()
    print(f"{arguments.collection.name}, {arguments.what}, {arguments.threads} thread(s): {recipe.told()}", flush=True)
    with (
        connect(settings.engine) as connection,
        SearchClient(arguments.index, settings=settings, connection=connection) as client,
        tempfile.TemporaryDirectory() as scratch,
    ):
        for number, learned in enumerate(sides(arguments.collection, arguments.folds, arguments.most, recipe.seed)):
            out = (arguments.out or Path(scratch) / "model").with_suffix(f".{number}")
            runs.append(train(client, connection, learned, recipe, out, progress=told))
            shown(runs[-1])
    if len(runs) > 1:
        pooled(runs)
    print(f"{time.monotonic() - began:,.0f} s in all, on a busy machine", flush=True)


if __name__ == "__main__":
    main()
