"""The budget of a training run by a clock of its own: looks are counted, and it ends near the minutes given."""

from __future__ import annotations

import pytest

from hybrid_search.encode.finetune.recipe import Recipe
from hybrid_search.encode.finetune.watch import Watch


class Clock:
    """Stands still until it is told."""

    now = 0.0

    def __call__(self):
        return self.now


def run(folder, *, minutes, step, look, steps=100, values=(), until=None, **numbers):
    """A run whose steps and looks take so many seconds each; what the watch knows in the end."""
    clock, found = Clock(), iter(values)

    def looking():
        clock.now += look
        return next(found, 0.5)

    recipe = Recipe(minutes=minutes, **{"epochs": 1, "evaluations": 1, "patience": 99, **numbers})
    watch = Watch(recipe, looking, lambda *_: None, folder, clock=clock)
    watch.looked(0)
    for number in range(1, steps + 1):
        clock.now += step
        if watch.is_due(number, steps):
            watch.looked(number)
            if watch.is_over():
                break
        if number == until:
            break
    return watch


def looks(watch):
    return [one.step for one in watch.steps]


def test_a_run_ends_with_a_look_within_its_minutes(tmp_path):
    """A look of 20 s, steps of 10 s: after 8 of them it is 20 + 80 = 100, and 100 + 10 + 20 > 120; a look ends it."""
    watch = run(tmp_path, minutes=2, step=10, look=20)
    assert (looks(watch), watch.seconds) == ([0, 8], 120)
    assert watch.ended == "the budget of 2 minutes"


def test_looks_in_between_are_counted(tmp_path):
    """Every second of ten steps is looked at: 20 + 2 x 10 + 20 = 60, 60 + 2 x 10 + 20 = 100, and 100 + 30 > 120."""
    watch = run(tmp_path, minutes=2, step=10, look=20, steps=10, evaluations=5)
    assert (looks(watch), watch.seconds) == ([0, 2, 4], 100)


@pytest.mark.parametrize(("minutes", "look"), [(0.01, 0), (0.5, 60)])
def test_one_step_is_always_made(tmp_path, minutes, look):
    """Without one there would be nothing to look at, even where a look alone takes longer than the budget."""
    assert looks(run(tmp_path, minutes=minutes, step=10, look=look)) == [0, 1]


def test_a_run_that_is_done_was_not_ended_by_its_budget(tmp_path):
    """All steps fit: 20 + 8 x 10 + 20 = 120."""
    watch = run(tmp_path, minutes=2, step=10, look=20, steps=8)
    assert (looks(watch), watch.ended) == ([0, 8], "all epochs")


def test_looks_without_gain_end_a_run(tmp_path):
    """The best is the first of equals, and two looks after it bring nothing."""
    watch = run(tmp_path, minutes=60, step=1, look=1, steps=10, evaluations=10, patience=2, values=[0.1, 0.3, 0.3, 0.2])
    assert (looks(watch), watch.best.step, watch.ended) == ([0, 1, 2, 3], 1, "2 looks without gain")


def test_time_of_a_broken_off_run_is_counted(tmp_path):
    """It was broken off at 20 + 5 x 10 = 70 s; of the 50 s that are left a look takes 20, and three steps the rest."""
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    run(tmp_path, minutes=2, step=10, look=20, until=5).keep(folder)
    clock = Clock()
    watch = Watch(Recipe(minutes=2), lambda: 0.5, lambda *_: None, tmp_path, clock=clock)
    watch.resume(folder)
    assert (watch.resumed, watch.seconds, looks(watch)) == (5, 70, [0])
    due = []
    for number in (6, 7, 8):
        clock.now += 10
        due.append(watch.is_due(number, 100))
    assert due == [False, False, True]
