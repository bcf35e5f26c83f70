"""docs/model-server.md: its settings are settings, and its paths are those that are served."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from hybrid_search.read.settings_file import load_settings
from hybrid_search.serve.models.measures import PATHS
from hybrid_search.settings.models import SERVICES

PAGE = (Path(__file__).parents[2] / "docs" / "model-server.md").read_text()


def test_the_settings_are_settings(tmp_path) -> None:
    """Read as a user's file would be."""
    text = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "a.toml").write_text(text)
    settings = load_settings(tmp_path / "a.toml", {}, {})
    assert settings.dense.url == settings.rerank.url == tomllib.loads(text)["sparse"]["url"]


def test_every_path_is_there() -> None:
    """In the table, and no other."""
    told = set(re.findall(r"`(?:POST |GET )?(/[\w/]+)`", PAGE.partition("## The model server")[2]))
    assert told == PATHS


def test_every_service_is_there() -> None:
    """With the sections that take it."""
    rows = dict(re.findall(r"^\| `(\w+)`.*? \|.*?\| ([\w, ]+) \|", PAGE, re.MULTILINE))
    told = {name: {one.strip() for one in rows[name].split(",")} for name in ("tei", "openai", "cohere")}
    assert told == {name: {key for key, names in SERVICES.items() if name in names} for name in told}
