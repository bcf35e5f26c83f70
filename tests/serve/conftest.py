"""A served index, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from served import Served, make_index, serving

from hybrid_search.engine import Connection
from hybrid_search.engine.protocols import Request
from hybrid_search.records import Query

DOCUMENTS = 340
QUERIES = [Query("morning tea", id="q1"), Query("slow rice", id="q2"), Query("cold coffee", id="q3")]
QRELS = {"q1": {"doc-1": 2}, "q2": {"doc-2": 1}, "q3": {"nowhere": 3}}
QUIET = [
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-gpu", "--disable-quic", "--force-color-profile=srgb"),
]


@pytest.fixture(scope="session")
def small_index(opensearch: Connection) -> Iterator[str]:
    """An index that all tests of the workbench read."""
    name = f"serve-{uuid4().hex[:8]}"
    make_index(opensearch, name, DOCUMENTS)
    yield name
    opensearch.transport.send(Request.json("DELETE", f"/{name}", ignore_unavailable="true"))


@pytest.fixture(scope="module")
def served(opensearch_url: str, small_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The workbench, for one file of tests."""
    folder = tmp_path_factory.mktemp("judged") / "judgements"
    with serving(opensearch_url, small_index, folder, queries=QUERIES, qrels=QRELS) as server:
        yield server


def chromium() -> str | None:
    """The browser of the system: Playwright's own cannot be had everywhere."""
    given = os.environ.get("HYBRID_SEARCH_TEST_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return given or next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Headless Chromium, for one file of tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make test does it")
    path = chromium()
    if path is None:
        pytest.skip(
            "no Chromium on this machine: install Debian's package chromium, or set HYBRID_SEARCH_TEST_CHROMIUM"
        )
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=[*QUIET, *sandbox])
        yield launched
        launched.close()


@pytest.fixture
def page(browser, served) -> Iterator[object]:
    """A page on the workbench; what its console says of errors, and any request to another host, fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)  # a busy machine is no fault of the page
    opened = context.new_page()
    faults: list[str] = []
    opened.faults = faults
    opened.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    own = served.url
    opened.on("request", lambda sent: faults.append(sent.url) if not sent.url.startswith((own, "blob:")) else None)
    yield opened
    context.close()
    assert faults == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that looks for what shuts people out."""
    package = pytest.importorskip("axe_playwright_python", reason="axe is not installed: make test does it")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
