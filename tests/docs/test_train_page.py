"""The page about training says what the command and its code say."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.encode.finetune.recipe import LOSSES, WHATS
from hybrid_search.train.bench import SIGNIFICANT
from hybrid_search.train.mine import CLEARLY, FIRST, LAST
from hybrid_search.train.split import FEWEST_HELD_OUT, FEWEST_TRAINING, NEAR, TEST, VALIDATION
from hybrid_search.train.structure import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "train.md").read_text("utf-8")


def test_every_option_of_the_page_is_one_of_its_commands():
    """Of train, or of the commands that go before and after it."""
    options = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    shown = "".join(CliRunner().invoke(app, [name, "--help"]).output for name in ("train", "reindex"))
    own = {"--index", "--folds"}  # of the benchmark
    assert options - own <= set(re.findall(r"--[a-z][a-z-]+", shown))


def test_its_numbers_are_those_of_the_code():
    """Ranks, thresholds and shares."""
    assert f"ranks {FIRST} to {LAST}" in PAGE
    assert (CLEARLY, "half a\nstandard deviation" in PAGE) == (0.5, True)
    assert f"Jaccard index of {NEAR:g}".replace("0.", ".") in PAGE
    assert (TEST, VALIDATION) == (0.2, 0.1)
    assert "or a fifth; a tenth for looks" in PAGE
    assert f"Fewer than {FEWEST_TRAINING} training queries or {FEWEST_HELD_OUT} test queries" in PAGE
    assert f"below {SIGNIFICANT:g}".replace("0.", ".") in PAGE
    assert all(f"`{what}`" in PAGE for what in WHATS)
    assert set(KINDS) == {"title", "question", "faq", "neighbour"}
    assert LOSSES[1] in PAGE
