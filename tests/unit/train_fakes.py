"""A small corpus with its queries, and a bench of what an index would have found."""

from __future__ import annotations

import random

from hybrid_search.encode.finetune.records import Corpus, Pair
from hybrid_search.records import Query
from hybrid_search.search import Fusion
from hybrid_search.search.collapse import Best
from hybrid_search.search.outcomes import Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.train.bench import Bench
from hybrid_search.train.records import Judged

COUNT = 24
SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne"]


def name_of(number):
    """A made-up word of its own for each number."""
    return SYLLABLES[number % 10] + SYLLABLES[number // 10] + SYLLABLES[(number * 7) % 10]


def corpus():
    texts = [f"the weather in {name_of(number)} is lovely and sunny" for number in range(COUNT)]
    ids = [f"d{number:02}" for number in range(COUNT)]
    return Corpus([f"{id_}#0" for id_ in ids], ids, texts, [""] * COUNT, COUNT)


def bench(leg="dense"):
    """Queries for the last eight documents; BM25 found others, so that the leg must find the right ones."""
    numbers = range(COUNT - 8, COUNT)
    queries = [Query(f"how is it outside {name_of(number)}", id=f"q{number}") for number in numbers]
    qrels = {f"q{number}": {f"d{number:02}": 1} for number in numbers}
    bm25 = LegRun({"d00": Best("d00", "d00#0", 2.0), "d01": Best("d01", "d01#0", 1.0)})
    found = [Retrieved(query, {"bm25": Found(bm25), leg: Found(LegRun())}) for query in queries]
    return Bench(Judged(queries, qrels), found, corpus(), Fusion("rrf"), ("bm25", leg), leg, 100)


def pairs(negatives=1):
    chance, texts = random.Random(0), corpus().texts
    return [
        Pair(
            query_id=f"q{number}",
            query=f"how is it outside {name_of(number)}",
            document=f"d{number:02}",
            positive=texts[number],
            negatives=tuple(chance.sample([t for t in texts if t != texts[number]], negatives)),
            margins=tuple(1.0 + n for n in range(negatives)),
        )
        for number in range(COUNT - 8)
    ]
