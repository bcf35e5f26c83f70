"""The arithmetic of ``docs/ranking.md`` is what the code does, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid_search.boosts import Fresh, parse_boost
from hybrid_search.read.settings_file import load_settings
from hybrid_search.records import Hit, LegScore
from hybrid_search.search.boosts import Boosts, boosted
from hybrid_search.search.collapse import Collapse, collapsed
from hybrid_search.search.fusion import Fused
from hybrid_search.search.rerank import combine

PAGE = (Path(__file__).parents[2] / "docs" / "ranking.md").read_text(encoding="utf-8")
DAY = 86_400_000


def test_the_example() -> None:
    """Factors, boosted scores and combined ones, as the table and the text below it give them."""
    fused = [Fused(id_, score, {"bm25": LegScore(1, 1, score)}) for id_, score in (("A", 0.8), ("B", 0.6), ("C", 0.55))]
    values = {"A": {"published": (-300 * DAY,)}, "B": {"published": (-30 * DAY,)}, "C": {"published": (0,)}}
    found = boosted(fused, Boosts(((Fresh("published", "30d"), 0.0),)), values, {id_: id_ for id_ in "ABC"})
    assert [(hit.id, round(hit.score, 3)) for hit in found] == [("C", 1.1), ("B", 0.9), ("A", 0.801)]
    rows = re.findall(r"^\| ([ABC]) \| (\S+) \| .* \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    shown = {name: tuple(map(float, numbers)) for name, *numbers in rows}
    factors = {hit.id: (hit.fused, round(hit.boosts["fresh:published"], 3), round(hit.score, 3)) for hit in found}
    assert shown == factors
    combined = {hit.hit.id: round(hit.score, 3) for hit in combine(found, [2, 1, 3], 0.5)}
    assert combined == {"C": 0.75, "A": 0.5, "B": 0.166}
    assert all(f"= {value:.3f}".replace("0.", ".").rstrip("0") in PAGE for value in combined.values())


def test_sums_of_passages() -> None:
    """Plain above 0, and above .5."""
    [plain] = collapsed([("a#0", 5.0), ("a#1", 3.0), ("a#2", 2.0)], Collapse("sum", 3), unfound=0.0)
    dense, _ = collapsed([("a#0", 0.9), ("a#1", 0.8), ("b#0", 0.5)], Collapse("sum", 3))
    assert (plain.score, dense.score) == (10, pytest.approx(1.2))


def test_settings_and_short_forms_can_be_read(tmp_path) -> None:
    """As they stand on the page."""
    file = tmp_path / "settings.toml"
    file.write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
    assert load_settings(file).search.bury == ("sku-17",)
    for text in re.findall(r"^\| `((?:fresh|log1p|saturation):[^`]+)`", PAGE, re.MULTILINE):
        assert parse_boost(text).name == text.partition(",")[0]


def test_what_a_hit_says_is_in_it() -> None:
    """The last column of the first table names fields of a hit."""
    names = re.findall(
        r"`(\w+)`", "".join(re.findall(r"^\| \w+ \|.*\|(.*)\|$", PAGE[: PAGE.index("## Boosts")], re.MULTILINE))
    )
    assert set(names) <= set(Hit.__dataclass_fields__)
    assert "diversity" in names
