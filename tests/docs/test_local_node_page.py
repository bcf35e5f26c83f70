"""The commands and the mapping that ``docs/local-node.md`` shows are taken."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hybrid_search.cli import node as commands
from hybrid_search.engine.protocols import Request

PAGE = (Path(__file__).parents[2] / "docs" / "local-node.md").read_text(encoding="utf-8")
SHOWN = [line.partition(" #")[0].strip() for line in PAGE.splitlines() if line.startswith("hybrid-search ")]


def test_the_page_has_commands():
    """Else the next test would check nothing."""
    assert len(SHOWN) >= 5


@pytest.mark.parametrize("command", SHOWN)
def test_every_option_is_one(command):
    """The command line is read to its end, and then only explained."""
    app = typer.Typer()
    commands.register(app)
    assert CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"]).exit_code == 0


def test_the_mapping_is_one_that_the_node_takes(opensearch, new_names):
    """As it is written, with a document that is flushed."""
    name = new_names(opensearch)
    (field,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    body = {"settings": {"index.knn": True}, "mappings": {"properties": {"v": field}}}
    opensearch.send(Request.json("PUT", f"/{name}", body))
    opensearch.send(Request.json("PUT", f"/{name}/_doc/1", {"v": [1.0] * 384}, refresh="true"))
    assert opensearch.send(Request.json("POST", f"/{name}/_flush", force="true"))["_shards"]["failed"] == 0
