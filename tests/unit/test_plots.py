"""Figures as PNG files: they are drawn, of the size that was asked for, in greys; the extra is named without it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from test_sweep_rows import BEATEN, GOOD, SMALL
from test_tuning_page import LEGS, task
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.cli.plots import check_plots, write_plots
from hybrid_search.errors import MissingExtraError, SettingsError
from hybrid_search.evaluate.plots import sweep_png, tuned_pngs
from hybrid_search.evaluate.tuning import Weighting, tune, weightings
from hybrid_search.records import Leg


def pixels(picture: bytes, path: Path) -> np.ndarray:
    """Red, green and blue of each dot."""
    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    path.write_bytes(picture)
    return np.asarray(image.imread(path))[..., :3]


def is_grey(shown: np.ndarray) -> bool:
    return float(np.abs(shown - shown.mean(axis=2, keepdims=True)).max()) < 0.02


@pytest.mark.parametrize("count", [2, 3])
def test_a_tuning_is_drawn_in_three_greys(count: int, tmp_path: Path) -> None:
    """Weights, queries and legs: something is on each, nothing in colour."""
    collected, qrels = task(LEGS[:count])
    even = Weighting("min-max", (1 / count,) * count)
    tuned = tune(collected, qrels, even, weightings(count, steps=10, windows=(100,), methods=("min-max",)))
    drawn = tuned_pngs(tuned, collected, qrels)
    assert sorted(drawn) == ["legs.png", "queries.png", "weights.png"]
    for name, picture in drawn.items():
        shown = pixels(picture, tmp_path / name)
        assert is_grey(shown), name
        assert 0.001 < (shown < 0.5).mean() < 0.6, name
    assert tuned_pngs(tuned, collected, qrels) == drawn


def test_a_sweep_is_drawn(tmp_path: Path) -> None:
    """A panel of fifteen by thirteen centimetres for its one leg, in greys."""
    shown = pixels(sweep_png([GOOD, SMALL, BEATEN], {Leg.DENSE: SMALL}, k=10), tmp_path / "sweep.png")
    assert shown.shape == (750, 1350, 3)
    assert is_grey(shown)
    assert (shown < 0.5).mean() > 0.001


def test_without_the_library_the_extra_is_named_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is measured, by every command that draws."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"needs the extra \[plots\]"):
        check_plots(tmp_path / "new")
    given = ["--plot", str(tmp_path / "x.png"), "--url", "http://127.0.0.1:9"]
    result = CliRunner().invoke(app, ["sweep", "products", *given])
    assert (result.exit_code, "pip install 'hybrid-search[plots]'" in result.output) == (1, True), result.output


def test_pictures_go_to_a_folder_of_their_own(tmp_path: Path) -> None:
    """A new or empty one: what is there is not touched; what is written is the owner's alone."""
    folder = tmp_path / "plots"
    check_plots(folder)
    write_plots(folder, {"a.png": b"1"})
    assert (folder / "a.png").read_bytes() == b"1"
    assert (folder / "a.png").stat().st_mode & 0o777 == 0o600
    for place, said in ((folder, "holds files"), (tmp_path / "no" / "plots", "no such"), (folder / "a.png", "is no f")):
        with pytest.raises(SettingsError, match=said):
            check_plots(place)
