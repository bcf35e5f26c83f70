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

    The budget counts all that passes by the clock from here on: states of frozen texts, the first look, steps, later
    looks and checkpoints, those of a run that was broken off too. After a step as long as the last one there must be
    time for a look as long as the last one; else that step is not taken. At least one step is. What is counted by
    nobody: mining before, and measuring on the test queries before and after.

    ``resumed`` is the step from which a run that was broken off went on.
    """

    recipe: Recipe
    look: Look
    progress: OnProgress
    folder: Path
    steps: list[Step] = field(default_factory=list)
    ended: str = "all epochs"
    before: float = 0.0
    resumed: int | None = None
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _since: float = field(init=False)
    _step_took: float = 0.0
    _look_took: float = 0.0
    _left: int = 0

    def __post_init__(self) -> None:
        self._began = self._since = self.clock()

    @property
    def seconds(self) -> float:
        """Spent so far, that of broken-off runs included."""
        return self.before + self.clock() - self._began

    @property
    def best(self) -> Step:
        """The first of the best looks."""
        return max(self.steps, key=lambda one: (one.fused, -one.step))

    def looked(self, step: int) -> bool:
        """Look once more; whether it is the best so far."""
        before, began = max((one.fused for one in self.steps), default=-1.0), self.clock()
        self.steps.append(Step(step, self.look()))
        self._since = self.clock()
        self._look_took = self._since - began
        return self.steps[-1].fused > before + LEAST_GAIN

    def is_due(self, step: int, steps: int) -> bool:
        """Whether to look after this step: a share of an epoch is done, or all, or there is no time for another."""
        now = self.clock()
        self._step_took, self._since, self._left = now - self._since, now, steps - step
        self.progress("train", step, steps)
        every = max(1, round(steps / (self.recipe.epochs * self.recipe.evaluations)))
        return step % every == 0 or step == steps or self._is_short

    def is_over(self) -> bool:
        """Whether another step and a look would overrun the budget, or the last looks brought nothing."""
        if self._left and self._is_short:
            self.ended = f"the budget of {self.recipe.minutes:g} minutes"
        elif self.steps and len(self.steps) - 1 - self.steps.index(self.best) >= self.recipe.patience:
            self.ended = f"{self.recipe.patience} looks without gain"
        else:
            return False
        return True

    @property
    def _is_short(self) -> bool:
        return self.seconds + self._step_took + self._look_took > 60 * self.recipe.minutes

    def keep(self, folder: Path) -> None:
        """Write what a continued run needs to know beside a checkpoint."""
        told = {
            "seconds": self.seconds,
            "look": self._look_took,
            "steps": [[one.step, one.fused] for one in self.steps],
        }
        (folder / SPENT).write_bytes(orjson.dumps(told))

    def resume(self, folder: Path) -> None:
        """Go on from what :meth:`keep` wrote."""
        told = orjson.loads((folder / SPENT).read_bytes())
        self.resumed, self._since = int(folder.name.rpartition("-")[2]), self.clock()
        self.before, self._look_took = float(told["seconds"]), float(told.get("look", 0.0))
        self.steps = [Step(int(n), float(value)) for n, value in told["steps"]]

    def fitted(self) -> Fitted:
        """How it went."""
        return Fitted(tuple(self.steps), self.best, self.ended, self.seconds, resident(), self.resumed)


def resident() -> float:
    """The largest resident memory of this process so far, in MiB."""
    import resource
    import sys

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1024 * 1024 if sys.platform == "darwin" else 1024)
