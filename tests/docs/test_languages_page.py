"""What ``docs/languages.md`` shows is taken, and what it lists is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from hybrid_search.engine.analyzers import BUILT_IN, PLUGINS
from hybrid_search.model_languages import E5_SMALL, SPARSE, SPARSE_LANGUAGES
from hybrid_search.read.settings_file import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "languages.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_settings_are_taken(tmp_path) -> None:
    """Both blocks are settings files, and say what the code suggests."""
    several, models = (tmp_path / f"{n}.toml" for n in range(2))
    several.write_text(BLOCKS[0])
    assert load_settings(several, {}, {}).engine.analyzers == {"de": "german", "en": "english", "pt-br": "brazilian"}
    models.write_text(BLOCKS[1])
    load_settings(models, {}, {})
    assert tomllib.loads(BLOCKS[1])["dense"] == E5_SMALL


def test_every_analyzer_is_listed() -> None:
    """Of the distributions by the names of their languages, of plugins by their own."""
    words = set(re.findall(r"[a-z_]+", PAGE.lower()))
    assert words >= BUILT_IN
    assert words >= {name for name in PLUGINS if name != "kuromoji_completion"}


def test_the_sparse_model_has_the_languages_of_the_table() -> None:
    """The row lists what decides whether it is suggested."""
    (row,) = [line for line in PAGE.splitlines() if SPARSE in line]
    assert set(row.split("15: ")[1].split(" |")[0].split()) == SPARSE_LANGUAGES
