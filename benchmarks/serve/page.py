"""The page in a browser: its first paint, and how long a slider takes to rank 300 hits anew and lay them out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from statistics import median
from typing import Any
from urllib.parse import quote

MOVES = 30
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")

# The slider's event is handled at once; reading a height lays the page out; the next frame paints it.
MOVE = """async moves => {
    const slider = document.querySelector('#weight-dense'), took = [];
    for (let n = 0; n < moves; n++) {
        slider.value = (n % 20) / 20;
        const begin = performance.now();
        slider.dispatchEvent(new Event('input'));
        document.body.offsetHeight;
        took.push(performance.now() - begin);
        await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    }
    return [took, document.querySelectorAll('[data-list=fused] .hit').length];
}"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"


def measured_page(url: str, queries: Sequence[str]) -> dict[str, float]:
    """Milliseconds; nothing where there is no browser."""
    path = os.environ.get("HYBRID_SEARCH_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        return {}
    from playwright.sync_api import sync_playwright

    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*QUIET, *sandbox])
        looked = [_look(browser, url, query) for query in queries]
        browser.close()
    moves = sorted(took for _, moved, _ in looked for took in moved)
    return {
        "first paint, ms": median(paint for paint, _, _ in looked),
        "hits that were moved": median(hits for _, _, hits in looked),
        "slider at 300 hits, p50 ms": median(moves),
        "slider at 300 hits, p95 ms": moves[int(0.95 * len(moves))],
    }


def _look(browser: Any, url: str, query: str) -> tuple[float, list[float], int]:
    """In a browser that has nothing kept."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{url}/#q={quote(query)}&n=300&rerank=0")
    page.wait_for_selector("html[data-ready]")
    paint = page.evaluate(PAINT)
    took, hits = page.evaluate(MOVE, MOVES)
    context.close()
    return paint, took, hits
