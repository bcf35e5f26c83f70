"""Encoding here and by sentence-transformers, in one run: ratios of interleaved rounds.

    python benchmarks/encode CORPUS.jsonl.gz [--documents N] [--rounds N] [--only WORD]

Every cell is a process of its own, because how threads wait is said before torch is loaded; the ways of one job take
turns, a round gives a ratio, and the median of the rounds is printed, so that a machine that is busy for a while weighs
on all of them. MiniLM's own weights; SPLADE and the cross-encoder have its shape and random weights. Documents are
those of the corpus, cut at 256 tokens.

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
from pathlib import Path
from typing import Any

import ways
from splade_head import save_model
from threads import neighbours

OURS = "torch fp32"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A line of the table: how much faster ``ours`` is than ``peer`` at a job, and what is hoped for.

    Attributes:
        name: of the line.
        job: a function of :mod:`ways`.
        ours: the way that is measured.
        peer: the way that it is measured against; of the job ``peer_job``, where that is another.
        goal: the least ratio peer / ours.
        key: ``wall``, ``cpu`` or ``own`` of a run.
        busy: processes that do nothing but count, for each core.
        cores: of the machine that both may use; None for all.
        peer_job: see ``peer``.
    """

    name: str
    job: str
    ours: str
    peer: str
    goal: float
    key: str = "wall"
    busy: int = 0
    cores: int | None = None
    peer_job: str | None = None


TABLE = (
    Comparison("dense, against its defaults", "dense", OURS, "library", 1.3),
    Comparison("dense, against its best", "dense", OURS, "library best", 1.0),
    Comparison("dense by OpenVINO, against torch here", "dense", "openvino fp32", OURS, 1.0),
    Comparison("dense by ONNX Runtime, against torch here", "dense", "onnx fp32", OURS, 1.0),
    Comparison("dense in bf16 by OpenVINO, against its best", "dense", "openvino bf16", "library best", 2.0),
    Comparison("dense in int8 by ONNX Runtime, against its best", "dense", "onnx int8", "library best", 2.0),
    Comparison("dense beside a busy process per core, against its defaults", "dense", OURS, "library", 1.8, busy=1),
    Comparison("one core of the machine, processor time against all cores", "dense", OURS, OURS, 0.9, "cpu", cores=1),
    Comparison("one query by ONNX Runtime, against eager torch", "query", "onnx fp32", OURS, 1 / 0.55, "own"),
    Comparison("one query by OpenVINO, against eager torch", "query", "openvino fp32", OURS, 1 / 0.55, "own"),
    Comparison("dense and sparse in one pass, against dense alone", "starter", OURS, OURS, 1 / 1.1, peer_job="dense"),
    Comparison("SPLADE, against its defaults", "splade", OURS, "library", 1.2),
    Comparison("SPLADE, against its best", "splade", OURS, "library best", 1.1),
    Comparison("text to vectors, against the passes alone", "dense", OURS, OURS, 0.95, "cpu", peer_job="forward"),
    Comparison("cross-encoder, eight queries", "cross", OURS, "library", 1.5),
    Comparison("late, 50 passages: stored, against encoded again", "late", "stored", "encoded", 20.0),
)


def main() -> None:
    """Run every comparison and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="lines whose name holds this")
    given = parser.parse_args()
    with gzip.open(given.corpus, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(given.documents), strict=False)]
    load = f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {time.strftime('%F %R')}"
    print(f"{len(rows)} documents of {given.corpus.parent.name}, {given.rounds} rounds, {load}")
    print(f"matrix product of MiniLM's shape: {ways.gemm() / 1e9:,.0f} GFLOP/s")
    with tempfile.TemporaryDirectory() as name:
        texts = Path(name) / "texts.json"
        texts.write_text(json.dumps([f"{row.get('title', '')}\n{row['text']}" for row in rows]), "utf-8")
        models = {"splade": Path(name) / "splade", "cross": Path(name) / "cross"}
        chosen = [line for line in TABLE if given.only in line.name]
        for job, save in (("splade", save_model), ("cross", save_cross)):
            if any(line.job == job for line in chosen):
                save(models[job])
        for line in chosen:
            print(measured(line, texts, models, given.rounds), flush=True)


def save_cross(folder: Path) -> None:
    """A cross-encoder of MiniLM's shape and random weights."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from hybrid_search.encode.sources import find_model
    from hybrid_search.settings import DENSE_MODEL

    torch.manual_seed(0)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    config = BertConfig(vocab_size=30_522, num_labels=1, **shape)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_model(DENSE_MODEL), model_max_length=256).save_pretrained(folder)


def measured(line: Comparison, texts: Path, models: Mapping[str, Path], rounds: int) -> str:
    """One line of the table."""
    ratios, every = [], []
    with neighbours(line.busy * (os.cpu_count() or 1)):
        for _ in range(rounds):
            ours = run(line.job, line.ours, texts, models, line.cores)
            peer = run(line.peer_job or line.job, line.peer, texts, models, None)
            ratios.append(peer[line.key] / ours[line.key])
            every.append(f"{ours[line.key]:.3g}/{peer[line.key]:.3g}")
    ratio = statistics.median(ratios)
    verdict = "reached" if ratio >= line.goal else "missed"
    return f"{line.name:58} {ratio:6.2f}x  goal {line.goal:5.2f}x {verdict:8} {line.key} s {' '.join(every)}"


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
