"""The reference of the commands says what the commands say."""

from __future__ import annotations

import runpy
from pathlib import Path

from hybrid_search.read.settings_file import NO_SETTINGS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_that_of_the_commands() -> None:
    """``docs/cli.md`` is what ``make docs`` would write now."""
    reference = runpy.run_path(str(DOCS / "cli_reference.py"))["reference"]()
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference


def test_every_variable_that_is_no_setting_is_listed() -> None:
    """Who may set what, besides the keys of the settings."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [name for name in NO_SETTINGS if f"`{name}`" not in page] == []
