"""``python -m training.gpu sparse|cross``: trains a student on all pairs with a teacher's lists, on a GPU."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from hybrid_search.encode.dense import load_dense
from hybrid_search.encode.starter import load_starter
from hybrid_search.settings import DenseSettings, Settings, SparseSettings
from training import pairs
from training.gpu import teacher
from training.gpu.lora import adapters
from training.gpu.losses import listwise, margin_mse
from training.gpu.students import CrossStudent, SparseStudent

LARGEST = 25_000_000  # bytes: only adapters and head are saved
MARGIN_SHARE = 0.05


@dataclass(frozen=True)
class Run:
    """The numbers of one run; ``batch`` counts queries, each with its list of passages."""

    steps: int = 4000
    batch: int = 32
    rate: float = 3e-4
    seed: int = 0


def train(student: nn.Module, queries: list[str], passages: list[str], lists: teacher.Lists, run: Run) -> float:
    """Train in place on the student's device; the mean loss of the last tenth."""
    torch.manual_seed(run.seed)
    chance = random.Random(run.seed)  # noqa: S311 - a fixed order
    trained = [tensor for tensor in student.parameters() if tensor.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=run.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, run.rate, total_steps=run.steps, pct_start=0.1)
    device = trained[0].device
    losses = []
    for _ in range(run.steps):
        rows = chance.sample(range(len(queries)), min(run.batch, len(queries)))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            scores, sparsity = student(
                [queries[row] for row in rows], [[passages[n] for n in lists.passages[row]] for row in rows]
            )
        target = torch.from_numpy(lists.scores[rows]).to(device)
        loss = listwise(scores.float(), target) + MARGIN_SHARE * margin_mse(scores.float(), target) + sparsity
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    tail = losses[-max(1, run.steps // 10) :]
    return sum(tail) / len(tail)


def main() -> None:
    """Mine, teach, save."""
    parser = argparse.ArgumentParser(prog="python -m training.gpu", description=__doc__)
    parser.add_argument("student", choices=("sparse", "cross"))
    parser.add_argument("--cache", type=Path, default=Path("build/training"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Run.steps)
    arguments = parser.parse_args()
    run = Run(steps=arguments.steps)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    everything = [
        pair
        for name, rows in pairs.collect(arguments.cache).items()
        for pair in pairs.choose(name, rows, len(rows), random.Random(run.seed))  # noqa: S311 - a fixed order
    ]
    queries, passages = [pair.query for pair in everything], [pair.passage for pair in everything]
    encoder = load_dense(DenseSettings(device=device))
    lists = teacher.build(encoder, queries, passages, run.seed)
    if arguments.student == "sparse":
        starter = load_starter(Settings(sparse=SparseSettings(model="starter")))
        student: nn.Module = SparseStudent(encoder.folder, starter.head)
    else:
        student = CrossStudent(encoder.folder)
    loss = train(student.to(device), queries, passages, lists, run)
    save_file(adapters(student), arguments.out, {"encoder": encoder.fingerprint.name, "license": "Apache-2.0"})
    print(f"loss {loss:.4f}, {arguments.out.stat().st_size:,} bytes of at most {LARGEST:,}")


if __name__ == "__main__":
    main()
