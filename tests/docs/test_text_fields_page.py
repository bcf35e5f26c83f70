"""The settings and the options of text fields that ``docs/search.md`` shows are read as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid_search.cli.searching.texts import TextOptions
from hybrid_search.errors import QueryError
from hybrid_search.read.settings_file import load_settings
from hybrid_search.search import TextScoring
from hybrid_search.settings import TextFieldSettings

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Text fields")[2].partition("\n## ")[0]


def test_the_settings_are_settings(tmp_path) -> None:
    """The table of the page, and each other way to say the same."""
    path = tmp_path / "a.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", SECTION, re.DOTALL)[1])
    assert load_settings(path, {}, {}).text == {
        "title": TextFieldSettings(weight=2.0),
        "brand": TextFieldSettings(analyzer="simple"),
        "text": TextFieldSettings(weight=0.5),
    }
    for variable, value in re.findall(r"`(HYBRID_SEARCH_\w+)=\"?([^`\"]+)\"?`", SECTION):
        assert load_settings(None, {}, {variable: value}).text["title"].weight == 3
    key, _, value = re.search(r"`--set (text\S+)`", SECTION)[1].partition("=")
    assert load_settings(None, {key: value}, {}).text["title"].weight == 3


def test_the_options_are_options() -> None:
    """What the shell says is what Python says."""
    weights, phrase = re.search(r"--text-weights (\S+) --phrase (\S+)", SECTION).groups()
    assert TextOptions(text_weights=weights, phrase=float(phrase)).options() == {
        "text": TextScoring({"title": 3, "brand": 0}, phrase=0.5)
    }


@pytest.mark.parametrize("text", ["title", "title=", "title=x", "=x"])
def test_what_is_no_weight_names_the_option(text) -> None:
    """With an example."""
    with pytest.raises(QueryError, match=r"--text-weights: .* is no weight\. Example: title=2,text=1"):
        TextOptions(text_weights=text).options()
