"""Follows a training run: looks at the validation queries, keeps within the budget, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.records import Fitted, OnProgress, Step

SPENT = "spent.json"
"""Beside a checkpoint: what a continued run needs to know."""

LEAST_GAIN = 1e-6
"""Of nDCG@10: less is no gain, but another order of the same additions."""

Look = Callable[[], float]
"""Fused nDCG@10 of the validation queries by the model as it is."""


@dataclass(slots=True)
class Watch:
    """Follows a run: looks at the validation queries, ends it by budget or patience, and says how far it is.

    ``resumed`` is the step from which a run that was broken off went on.
    """

    recipe: Recipe
    look: Look
    progress: OnProgress
    folder: Path
    steps: list[Step] = field(default_factory=list)
    ended: str = "all epochs"
    before: float = 0.0
    began: float = field(default_factory=time.monotonic)
    resumed: int | None = None

    @property
    def seconds(self) -> float:
        """Spent on training, that of broken-off runs included."""
        return self.before + time.monotonic() - self.began

    @property
    def best(self) -> Step:
        """The first of the best looks."""
        return max(self.steps, key=lambda one: (one.fused, -one.step))

    def looked(self, step: int) -> bool:
        """Look once more; whether it is the best so far."""
        before = max((one.fused for one in self.steps), default=-1.0)
        self.steps.append(Step(step, self.look()))
        return self.steps[-1].fused > before + LEAST_GAIN

    def is_over(self) -> bool:
        """Whether the budget is spent, or the last looks brought nothing."""
        if self.seconds > 60 * self.recipe.minutes:
            self.ended = f"the budget of {self.recipe.minutes:g} minutes"
        elif self.steps and len(self.steps) - 1 - self.steps.index(self.best) >= self.recipe.patience:
            self.ended = f"{self.recipe.patience} looks without gain"
        else:
            return False
        return True

    def keep(self, folder: Path) -> None:
        """Write what a continued run needs to know beside a checkpoint."""
        told = {"seconds": self.seconds, "steps": [[one.step, one.fused] for one in self.steps]}
        (folder / SPENT).write_bytes(orjson.dumps(told))

    def resume(self, folder: Path) -> None:
        """Go on from what :meth:`keep` wrote."""
        told = orjson.loads((folder / SPENT).read_bytes())
        self.resumed = int(folder.name.rpartition("-")[2])
        self.before, self.steps = float(told["seconds"]), [Step(int(n), float(value)) for n, value in told["steps"]]

    def fitted(self) -> Fitted:
        """How it went."""
        return Fitted(tuple(self.steps), self.best, self.ended, self.seconds, resident(), self.resumed)


def resident() -> float:
    """The largest resident memory of this process so far, in MiB."""
    import resource
    import sys

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1024 * 1024 if sys.platform == "darwin" else 1024)
