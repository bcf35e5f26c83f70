"""The page on scale: the tests that it names exist, and so do its options and extras."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_tests_that_the_page_names_are_there():
    """So that what it says can be looked up."""
    named = re.findall(r"`((?:unit|contract|faults)/\w+\.py)::(\w+)`", PAGE)
    assert len(named) > 8
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_options_and_extras_of_the_page_exist():
    """The options are those of the commands and of the scripts, the extras those of the package."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "scale").glob("*.py"))
    known = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") + scripts
    assert {option for option in re.findall(r"--[a-z][a-z-]+", PAGE) if option not in known} == set()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {name for listed in re.findall(r"\[([a-z0-9,]+)\](?=['`])", PAGE) for name in listed.split(",")}
    assert named == {"models", "s3", "gcs"}
    assert named <= set(extras)
