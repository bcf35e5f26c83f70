"""Where nothing is exported there is nothing to pay: no import, no span, and the search as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from search_fakes import PlaneEncoder, connection
from test_search_client import respond

from hybrid_search.search import SearchClient, telemetry
from hybrid_search.search.telemetry import NOBODY, Observed, observing

OBSERVED = Observed("opensearch", "docs", "http://fake:9200,http://other:9200", 1)


def test_a_search_imports_nothing_of_it() -> None:
    """With the API out of reach a search is answered; nothing of this package has asked for it."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from search_fakes import PlaneEncoder, connection\n"
        "from test_search_client import respond\n"
        "from hybrid_search.search import SearchClient\n"
        "with SearchClient('docs', encoder=PlaneEncoder(), connection=connection(respond)) as client:\n"
        "    assert len(client.search('q')) == 2\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.')]\n"
    )
    path = [str(folder) for folder in sys.path]
    run = f"import sys; sys.path[:0] = {path!r}\n{code}"
    assert subprocess.run([sys.executable, "-c", run], check=False, cwd=".").returncode == 0


def test_an_api_without_an_sdk_is_nobody() -> None:
    """Libraries beside this one may have imported the API: its own providers keep nothing, and cost nothing here."""
    import opentelemetry.metrics
    import opentelemetry.trace  # noqa: F401

    with observing(OBSERVED) as seen:
        assert seen is NOBODY
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond)) as client:
        assert len(client.search("q")) == 2


def test_the_first_address_names_the_server() -> None:
    """Of several; the port is a number."""
    assert OBSERVED.attributes == {
        "db.system.name": "opensearch",
        "db.operation.name": "search",
        "db.collection.name": "docs",
        "server.address": "fake",
        "server.port": 9200,
    }


@pytest.mark.parametrize("given", [None, "00-1-2-01", "nothing"], ids=["none", "short", "word"])
def test_what_is_no_trace_context_is_not_joined(given) -> None:
    """It is refused by the search itself, with what to give."""
    assert telemetry._joined(None, given) is None


SEARCH = """
from search_fakes import PlaneEncoder, connection
from test_search_client import respond
from hybrid_search.search import SearchClient
with SearchClient('docs', encoder=PlaneEncoder(), connection=connection(respond)) as client:
    client.search('q')
trace.get_tracer_provider().shutdown()
"""


def test_what_the_page_shows_exports_a_search() -> None:
    """The lines of docs/telemetry.md, then a search: its spans are printed, as JSON."""
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    path = [str(folder) for folder in sys.path]
    run = [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{lines}{SEARCH}"]
    printed = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    for name in ("search docs", "encode", "bm25", "dense", "sparse", "fuse", "fetch"):
        assert f'"name": "{name}"' in printed
