"""What ``docs/search.md`` says of codes is so, and the leg that it shows searches."""

from __future__ import annotations

import re
from pathlib import Path

from hybrid_search.engine.opensearch import OpenSearchDialect
from hybrid_search.records import IndexSchema, Query
from hybrid_search.search.asking import Target
from hybrid_search.search.leg import Asking
from hybrid_search.search_warnings import WarningCode

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")


def test_every_code_is_in_the_table():
    """With whether the answer lacks something, in the order of the enumeration."""
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| `.*", PAGE, re.MULTILINE)]
    shown = [(row[0].strip("`"), row[2] == "yes") for row in rows if len(row) == len(("code", "part", "lacks", "why"))]
    assert shown == [(code.value, code.degrades) for code in WarningCode]


def test_the_leg_that_is_shown_is_one():
    """Its query is the one that the contract suite searches with, filter and all."""
    shown = re.search(r"```python\n(from hybrid_search.search import LegQuery.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(shown.group(1), names)  # noqa: S102 - the code of the page
    target = Target("docs", OpenSearchDialect((3, 6, 0)), IndexSchema(None, None))
    body = names["Dearest"]().ask(Query("q"), Asking(target, {"term": {"filter.kind": "x"}})).body(10)
    assert body["query"]["function_score"]["query"] == {"term": {"filter.kind": "x"}}
    assert body["query"]["function_score"]["field_value_factor"] == {"field": "filter.price"}
