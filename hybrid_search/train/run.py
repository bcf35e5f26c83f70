"""The whole of a run: split, read, mine, measure, train, measure again, and say whether it is better."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from hybrid_search.encode.finetune.fit import same_chance
from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Corpus, Fitted, Pair
from hybrid_search.encode.finetune.watch import Watch
from hybrid_search.engine import Connection
from hybrid_search.errors import SettingsError
from hybrid_search.evaluate.measures import NDCG
from hybrid_search.evaluate.retrieval import OnProgress
from hybrid_search.private_files import make_folder, write_bytes
from hybrid_search.search import SearchClient
from hybrid_search.search.plan import indexed_legs
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.train.bench import RERANKED, Bench, Systems, changes, is_better
from hybrid_search.train.card import card_of, write_card
from hybrid_search.train.corpus import read_corpus
from hybrid_search.train.learned import Learned, with_made
from hybrid_search.train.mine import Mined, Miner, retrieved_for
from hybrid_search.train.records import Judged, Trained
from hybrid_search.train.split import Split, split
from hybrid_search.train.students import Student, student_of

UNFINISHED = ".unfinished"
PLAN = "plan.json"
LOOKED_AT = 1_000
"""Passages that the validation queries are measured on at each look: the candidates of all legs come first."""

MARGINAL = ("minutes", "patience")
"""Numbers that a run which is continued may change."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a run is made of, once all has been read and mined."""

    sides: Split
    corpus: Corpus
    mined: Mined
    validation: Bench
    test: Bench


def train(
    client: SearchClient,
    connection: Connection,
    learned: Learned,
    recipe: Recipe,
    out: Path,
    *,
    progress: OnProgress,
) -> Trained:
    """Train a model for the index of ``client`` and write its folder.

    Args:
        client: of the live index; its reranker, if there is one, judges negatives.
        connection: to its cluster.
        learned: what is learned from; validation queries, and test queries where none are named, are split off first.
        recipe: what is trained and how.
        out: a new folder. Beside it a folder ``.unfinished`` keeps checkpoints while training goes on.
        progress: told about every step.

    Raises:
        InputError: too few queries, one class alone, or training queries that are test queries.
        SettingsError: the folder is there, or an unfinished run of other data or numbers is; the index lacks the leg.
        ModelError: the base cannot be found, loaded or trusted, or training gave no finite weights.
        EngineError: the index cannot be read or searched in full.
    """
    check_out(out)
    learned = with_made(learned, client, connection, recipe, progress)
    sides = split(learned.judged, learned.test, recipe.seed, near=learned.near, more=learned.more)
    student = student_of(client, recipe)
    material = gathered(client, connection, sides, recipe, progress)
    work = _work_folder(out, recipe, material.mined.pairs)
    before = student.before(client, material.test, progress)
    same_chance(recipe.seed)
    watch = Watch(recipe, lambda: 0.0, progress, work)
    fitted = student.fit(material.mined.pairs, material.corpus, material.validation, watch)
    made = work / "model"
    student.save(made)
    after = student.after(client, made, material.test, progress)
    trained = _told(student, material, (before, after), fitted, out)
    write_card(made, trained.card)
    made.replace(out)
    shutil.rmtree(work)
    return trained


def check_out(out: Path) -> None:
    """What is there is not written over, and said before minutes are spent."""
    if out.exists():
        raise SettingsError("is there and is not touched", where=f"--out {out}", remedy="Name a new folder")
    if not out.absolute().parent.is_dir():
        raise SettingsError("no such folder", where=f"--out {out.parent}", remedy="Make it, or name another")


def gathered(
    client: SearchClient, connection: Connection, sides: Split, recipe: Recipe, progress: OnProgress
) -> Material:
    """Retrieve for all queries, read the passages, mine negatives."""
    searcher = client.searcher
    found = {
        side: retrieved_for(client, judged.queries, progress)
        for side, judged in (("training", sides.training), ("validation", sides.validation), ("test", sides.test))
    }
    wanted = [
        document
        for judged in (sides.test, sides.validation, sides.training)
        for some in judged.qrels.values()
        for document in some
    ]
    candidates = [id_ for some in (found["test"], found["validation"]) for one in some for id_ in _candidates(one, 100)]
    mineable = [hit.id for one in found["training"] for hit in one.fused(searcher.fusion())[:100]]
    corpus = read_corpus(connection, searcher, recipe.pool, wanted=[*wanted, *candidates, *mineable], seed=recipe.seed)
    miner = Miner(client, corpus, searcher.fusion(), recipe)
    mined = miner.mined(sides.training, found["training"], progress)
    narrow = narrowed(corpus, sides.validation, found["validation"])
    benches = [
        Bench(
            judged=judged,
            retrieved=found[side],
            corpus=some,
            fusion=searcher.fusion(),
            legs=tuple(leg.name for leg in indexed_legs(searcher.target.schema)),
            leg=recipe.leg,
            window=searcher.settings.search.window,
        )
        for side, judged, some in (("validation", sides.validation, narrow), ("test", sides.test, corpus))
    ]
    return Material(sides, corpus, mined, benches[0], benches[1])


def _candidates(one: Retrieved, depth: int) -> list[str]:
    """Documents that any leg ranks so high, the highest first."""
    ranked = [list(run)[:depth] for run in one.runs.values()]
    return [run[place] for place in range(depth) for run in ranked if place < len(run)]


def narrowed(corpus: Corpus, judged: Judged, found: Sequence[Retrieved], most: int = LOOKED_AT) -> Corpus:
    """The passages that the validation queries need most: relevant ones, then candidates by rank, all queries alike."""
    rows = corpus.rows()
    needed = [document for some in judged.relevant.values() for document in sorted(some)]
    lists = [_candidates(one, 50) for one in found]
    needed += [some[n] for n in range(max(map(len, lists), default=0)) for some in lists if n < len(some)]
    kept: set[int] = set()
    for document in dict.fromkeys(needed):
        if len(kept) >= most:
            break
        kept.update(rows.get(document, ()))
    places = sorted(kept)
    return Corpus(
        ids=[corpus.ids[n] for n in places],
        documents=[corpus.documents[n] for n in places],
        texts=[corpus.texts[n] for n in places],
        titles=[corpus.titles[n] for n in places],
        total=corpus.total,
    )


def _work_folder(out: Path, recipe: Recipe, pairs: Sequence[Pair]) -> Path:
    """The folder of this run beside ``out``: a new one, or that of the same run broken off."""
    work = out.with_name(out.name + UNFINISHED)
    told = {name: value for name, value in recipe.told().items() if name not in MARGINAL}
    content = [told, [[one.query, one.positive, list(one.negatives), list(one.margins)] for one in pairs]]
    digest = hashlib.sha256(orjson.dumps(content)).hexdigest()
    plan = work / PLAN
    if not work.exists():
        make_folder(work)
        write_bytes(plan, orjson.dumps({"digest": digest}))
    if not plan.is_file() or orjson.loads(plan.read_bytes()).get("digest") != digest:
        raise SettingsError(
            "is an unfinished run of other data or numbers", where=str(work), remedy="Remove it, or name another --out"
        )
    shutil.rmtree(work / "model", ignore_errors=True)
    return work


def _told(
    student: Student, material: Material, measured: tuple[Systems, Systems], fitted: Fitted, out: Path
) -> Trained:
    """The result of a run; ``measured`` is before and after."""
    bench = material.test
    unchanged = {**bench.unchanged(), **(bench.fused() if student.system == RERANKED else {})}
    found = changes(unchanged, *measured)
    counts = {
        "pairs": len(material.mined.pairs),
        "training_queries": len(material.sides.training.queries),
        "validation_queries": len(material.sides.validation.queries),
        "test_queries": len(material.sides.test.queries),
        "passages": len(material.corpus.ids),
    }
    trained = Trained(
        folder=str(out),
        changes=found,
        fitted=fitted,
        counts=counts,
        notes=_notes(material, fitted),
        is_better=is_better(found, student.system),
        origins=(material.sides.training.origin,),
        values={
            name: (before.by_query[NDCG], measured[1][name].by_query[NDCG]) for name, before in measured[0].items()
        },
    )
    return replace(trained, card=card_of(student.recipe, student.base, student.folder, trained))


def _notes(material: Material, fitted: Fitted) -> list[str]:
    """What was left out, and what the figures do not say."""
    mined, sides, corpus = material.mined, material.sides, material.corpus
    notes = []
    if fitted.resumed is not None:
        notes.append(f"the run was broken off, and went on from step {fitted.resumed}")
    if sides.leaked:
        notes.append(f"{sides.leaked:,} training queries were left out: they repeat test queries")
    notes.append(f"{sides.known:.0%} of the test queries' relevant documents are relevant to a training query too")
    notes.append(
        f"negatives left out: {mined.too_alike:,} near-duplicates of a relevant passage, "
        f"{mined.too_good:,} that the reranker does not place below it; {mined.by_chance:,} drawn by chance"
    )
    if not corpus.is_whole:
        notes.append(f"the trained leg was measured on {len(corpus.ids):,} of {corpus.total:,} passages: see --pool")
    return notes
