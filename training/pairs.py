"""Chooses the training pairs: how many of each source, which queries, in a fixed random order."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.parse import Pair, sentences
from training.sources import SOURCES, Packages

# Pairs of each source: one epoch. More of them raised the score on held-out pairs and not the one on retrieval.
SHARE = {"debian": 7_000, "wordnet": 8_500, "man": 2_000, "html": 6_000, "python": 1_000}
# Part of the passages of a source whose query is one of their own sentences, taken out (inverse cloze).
EXTRACTIVE = {"debian": 0.25, "man": 0.3, "html": 0.5}
_CODE = re.compile(r"[<>{}=|_\\]|::|->|\w\(|🔬")


@dataclass(frozen=True)
class TrainingPair:
    """A short text and the longer one it should find."""

    source: str
    query: str
    passage: str


def is_prose(query: str, passage: str) -> bool:
    """Whether both are words rather than code: signatures as queries and listings as passages teach nothing."""
    words = passage.split()
    plain = sum(word.strip(".,;:()'\"").isalpha() for word in words)
    return not _CODE.search(query) and len(query.split()) <= 16 and plain >= 0.7 * len(words)


def extracted(passage: str, chance: random.Random) -> Pair | None:
    """A random sentence of 6 to 25 words and the passage without it, None where fewer than four sentences remain."""
    parts = sentences(" ".join(passage.split()[:160]))
    fit = [n for n, part in enumerate(parts) if 6 <= len(part.split()) <= 25]
    if len(parts) < 5 or not fit:
        return None
    chosen = chance.choice(fit)
    return parts[chosen], " ".join(parts[:chosen] + parts[chosen + 1 :])


def unlike(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs without those whose query, or the beginning of whose passage, an earlier one had."""
    seen: set[str] = set()
    for query, passage in pairs:
        keys = {query.lower(), passage[:80].lower()}
        if not keys & seen:
            seen |= keys
            yield query, passage


def choose(source: str, pairs: Iterable[Pair], count: int, chance: random.Random) -> list[TrainingPair]:
    """At most ``count`` random pairs of prose of one source, some with extracted queries."""
    candidates = [pair for pair in pairs if is_prose(*pair)]
    chosen = chance.sample(candidates, min(count, len(candidates)))
    share = EXTRACTIVE.get(source, 0.0)
    return [
        TrainingPair(source, *((extracted(pair[1], chance) if chance.random() < share else None) or pair))
        for pair in chosen
    ]


def collect(cache: Path) -> dict[str, list[Pair]]:
    """All pairs of each source, read from ``cache`` where they were brought before."""
    packages = Packages(cache / "packages")
    collected = {}
    for name, read in SOURCES.items():
        path = cache / f"pairs-{name}.jsonl"
        if not path.exists():
            lines = (json.dumps(pair) + "\n" for pair in unlike(read(packages)))
            path.write_text("".join(lines), encoding="utf-8")
        rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        collected[name] = [(query, passage) for query, passage in rows]
    return collected


def build(collected: Mapping[str, Sequence[Pair]], seed: int) -> list[TrainingPair]:
    """The training pairs of all sources in random order."""
    chance = random.Random(seed)  # noqa: S311 - a fixed order, nothing secret
    pairs = [pair for name, rows in collected.items() for pair in choose(name, rows, SHARE[name], chance)]
    chance.shuffle(pairs)
    return pairs
