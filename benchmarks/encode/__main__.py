"""Encoding here and by sentence-transformers, in one run: ratios of interleaved rounds.

    python benchmarks/encode CORPUS.jsonl.gz [--documents N] [--rounds N] [--only WORD,WORD] [--out FILE]

Every cell is a process of its own, because how threads wait is said before torch is loaded; the ways of one job take
turns, a round gives a ratio, and the median of the rounds is printed, so that a machine that is busy for a while weighs
on all of them. MiniLM's own weights; SPLADE and the cross-encoder have the shape of BERT-base and of MiniLM, and random
weights. Documents are those of the corpus, cut at 256 tokens. ``--only`` takes the words in front of the lines.

sentence-transformers "best" sorts by length and takes batches of 8. Its own ONNX and OpenVINO backends need another
package (optimum), and are left out where that is not installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ways
from splade_head import BERT_BASE, save_cross, save_model
from threads import neighbours

OURS = "torch fp32"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A line of the table: how much faster ``ours`` is than ``peer`` at a job, and what is hoped for.

    Attributes:
        word: by which ``--only`` names it.
        name: of the line.
        job: a function of :mod:`ways`.
        ours: the way that is measured.
        peer: the way that it is measured against; of the job ``peer_job``, where that is another.
        goal: the least ratio peer / ours.
        key: ``wall``, ``cpu`` or ``own`` of a run.
        busy: processes that do nothing but count, for each core.
        peer_busy: the same beside the peer; None for as many.
        cores: of the machine that ours may use; None for all.
        peer_cores: the same of its peer.
        peer_job: see ``peer``.
        most: documents, where a document takes long.
    """

    word: str
    name: str
    job: str
    ours: str
    peer: str
    goal: float
    key: str = "wall"
    busy: int = 0
    peer_busy: int | None = None
    cores: int | None = None
    peer_cores: int | None = None
    peer_job: str | None = None
    most: int | None = None


LARGE = 12
"""Documents of the model of BERT-base's shape."""

TABLE = (
    Comparison("dense", "dense, against its defaults", "dense", OURS, "library", 1.3),
    Comparison("dense", "dense, against its best", "dense", OURS, "library best", 1.0),
    Comparison("backends", "dense by OpenVINO, against torch here", "dense", "openvino fp32", OURS, 1.0),
    Comparison("backends", "dense by ONNX Runtime, against torch here", "dense", "onnx fp32", OURS, 1.0),
    Comparison("half", "dense in bf16 by OpenVINO, against its best", "dense", "openvino bf16", "library best", 2.0),
    Comparison("half", "dense in int8 by OpenVINO, against its best", "dense", "openvino int8", "library best", 2.0),
    Comparison("half", "dense in int8 by ONNX Runtime, against its best", "dense", "onnx int8", "library best", 2.0),
    Comparison("busy", "a busy process per core: against its defaults", "dense", OURS, "library", 1.8, busy=1),
    # Half of each core is the fair share, and .9 of it the goal.
    Comparison("share", "a busy process per core: against none", "dense", OURS, OURS, 0.45, busy=1, peer_busy=0),
    Comparison("share", "its defaults the same", "dense", "library", "library", 0.45, busy=1, peer_busy=0),
    Comparison(
        "container",
        "one core, processor time against all cores",
        "dense",
        OURS,
        OURS,
        0.9,
        "cpu",
        cores=1,
    ),
    Comparison(
        "container",
        "one core, against one thread on it",
        "dense",
        OURS,
        "one thread",
        0.9,
        cores=1,
        peer_cores=1,
    ),
    Comparison("query", "one query by ONNX Runtime, against eager torch", "query", "onnx fp32", OURS, 1 / 0.55, "own"),
    Comparison("query", "one query by OpenVINO, against eager torch", "query", "openvino fp32", OURS, 1 / 0.55, "own"),
    Comparison(
        "pair", "dense and sparse in a pass, against dense alone", "starter", OURS, OURS, 1 / 1.1, peer_job="dense"
    ),
    Comparison("splade", "SPLADE (BERT-base), against its defaults", "splade", OURS, "library", 1.2, most=LARGE),
    Comparison("splade", "SPLADE (BERT-base), against its best", "splade", OURS, "library best", 1.1, most=LARGE),
    Comparison("memory", "SPLADE head: 1.1 x output and a chunk, against peak", "head", "rise", "allowed", 1.0, "own"),
    Comparison("forward", "text to vectors, against the passes alone", "dense", OURS, OURS, 0.95, peer_job="forward"),
    Comparison("gemm", "share of the peak of the matrix product", "share", OURS, "peak", 0.7, "own"),
    Comparison("packing", "unlike texts: packed or padded, against padded", "packing", "either", "padded", 1.0),
    Comparison("cross", "cross-encoder, mixed lengths, eight queries", "cross", OURS, "library", 1.5),
    Comparison("late", "late, 50 passages: stored, against encoded again", "late", "stored", "encoded", 20.0),
)


def main() -> None:
    """Run every comparison and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="words in front of lines, separated by commas")
    parser.add_argument("--out", type=Path, help="a file that all of it is added to")
    given = parser.parse_args()
    words = {line.word for line in TABLE}
    wanted = set(filter(None, given.only.split(","))) or words
    if wanted - words:
        parser.error(f"--only takes {', '.join(sorted(words))}")
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(given.documents), strict=False)]
    load = f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {time.strftime('%F %R')}"
    tell = partial(told, given.out)
    tell(f"python benchmarks/encode {' '.join(map(str, sys.argv[1:]))}")
    tell(f"{len(rows)} documents of {given.corpus.parent.name}, {given.rounds} rounds, {load}")
    with tempfile.TemporaryDirectory() as name:
        texts = Path(name) / "texts.json"
        every = [f"{row.get('title', '')}\n{row['text']}" for row in rows]
        models = {"splade": Path(name) / "splade", "cross": Path(name) / "cross"}
        chosen = [line for line in TABLE if line.word in wanted]
        for job, save in (("splade", partial(save_model, shape=BERT_BASE)), ("cross", save_cross)):
            if any(line.job == job for line in chosen):
                save(models[job])
        for line in chosen:
            texts.write_text(json.dumps(every[: line.most]), "utf-8")
            tell(measured(line, texts, models, given.rounds))


def told(file: Path | None, line: str) -> None:
    """Print a line, and keep it."""
    print(line, flush=True)
    if file is not None:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(line + "\n")


def measured(line: Comparison, texts: Path, models: Mapping[str, Path], rounds: int) -> str:
    """One line of the table."""
    ratios, every = [], []
    beside = line.busy if line.peer_busy is None else line.peer_busy
    for _ in range(rounds):
        with neighbours(line.busy * (os.cpu_count() or 1)):
            ours = run(line.job, line.ours, texts, models, line.cores)
        with neighbours(beside * (os.cpu_count() or 1)):
            peer = run(line.peer_job or line.job, line.peer, texts, models, line.peer_cores)
        ratios.append(peer[line.key] / max(ours[line.key], 1e-9))
        every.append(f"{ours[line.key]:.3g}/{peer[line.key]:.3g}")
    ratio = statistics.median(ratios)
    verdict = "reached" if ratio >= line.goal else "missed"
    return (
        f"{line.word:10}{line.name:58} {ratio:6.2f}x  goal {line.goal:5.2f}x {verdict:8} {line.key} s {' '.join(every)}"
    )


def run(job: str, way: str, texts: Path, models: Mapping[str, Path], cores: int | None) -> dict[str, float]:
    """What one process took."""
    told = [sys.executable, __file__, "--child", job, way, str(texts), str(models.get(job, ""))]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    only: Callable[[], None] | None = None
    if cores is not None:
        allowed = sorted(os.sched_getaffinity(0))[:cores]

        def only() -> None:
            os.sched_setaffinity(0, allowed)

    ran = subprocess.run(told, capture_output=True, text=True, env=environment, check=False, preexec_fn=only)
    if ran.returncode:
        raise SystemExit(f"{job} {way}: {ran.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def child(job: str, way: str, texts: str, model: str) -> None:
    """Time one way of one job."""
    make: Any = getattr(ways, job)
    told = json.loads(Path(texts).read_text("utf-8"))
    print(json.dumps(ways.timed(make(told, way, model) if model not in {"", "."} else make(told, way))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
