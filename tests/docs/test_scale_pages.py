"""The pages on operations and on search at scale say what the results, the files and the defaults say."""

from __future__ import annotations

import re
from pathlib import Path

from hybrid_search.scale.metrics import LoadMetrics
from hybrid_search.settings import SearchSettings

ROOT = Path(__file__).parents[2]
OPERATIONS, AT_SCALE = ((ROOT / "docs" / name).read_text() for name in ("operations.md", "search-at-scale.md"))
RESULTS = ROOT / "benchmarks" / "results"


def cells(page: str, begins: str) -> list[list[str]]:
    rows = [line for line in page.splitlines() if re.match(begins, line)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_table_of_shards_is_that_of_the_results():
    """Each row to three places."""
    found = {tuple(row[:2]): row for row in map(str.split, (RESULTS / "scale-shards.txt").read_text().splitlines()[3:])}
    shown = cells(AT_SCALE, r"\| \d+ \| \d+ \| [01]\.")
    assert len(shown) == 16
    for row in shown:
        measured = found[row[0], row[1]]
        assert row[2:] == [f"{float(measured[place]):.3f}" for place in (2, 4, 5, 6, 7)]


def test_the_defaults_are_those_that_are_recommended():
    """A window of 100, candidates of twice that, and terms counted over all shards."""
    assert (SearchSettings().window, SearchSettings().candidates, SearchSettings().dfs) == (100, None, True)
    assert "`search.window` 100, `search.candidates` twice that, `search.dfs` on" in AT_SCALE


def test_the_hours_are_those_of_the_simulation():
    """Every cell is a row of one machine."""
    lines = (RESULTS / "scale-simulation.txt").read_text().splitlines()
    rows = [line.split() for line in lines if re.match(r" +\d+ +1 +\d+ +0 ", line)]
    hours: dict[tuple[str, str, str], str] = {}
    for row in rows:
        hours.setdefault((row[0], row[2], row[4]), row[6])
    shown = cells(OPERATIONS, r"\| \d+ \| \d+ \| [\d.]+ h")
    assert len(shown) == 9
    for gpus, nodes, *rest in shown:
        for rate, cell in zip(("500", "2,000", "8,000"), rest, strict=True):
            assert cell.split()[0] == hours[gpus, nodes, rate]


def test_the_metrics_are_named():
    """Each that is exported is on the page, in full or by its last part."""
    for family in LoadMetrics("docs").collect():
        name = family.name.removeprefix("hybrid_search_load")
        assert name in OPERATIONS
