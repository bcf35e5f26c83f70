"""Everybody can use the page: axe finds nothing, in light and dark, wide and narrow, full and empty."""

from __future__ import annotations

import pytest

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}
VIEWS = {
    "empty": "#",
    "lists": "#q=tea+coffee+rice&rerank=0",
    "reranked": "#q=tea+coffee+rice",
    "compared": "#q=tea+coffee+rice&a.fusion=rrf&rerank=0&a.rerank=0",
    "queries": "#q=morning+tea&panel=queries&rerank=0",
}


LOOKS = {"light": (1400, 900), "dark": (390, 844)}
"""Colours do not depend on the width, nor the structure on the colours."""


def violations(page, axe: str) -> list[str]:
    page.evaluate(axe + "; void 0")
    found = page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:160]}" for one in found for node in one["nodes"]
    ]


def everywhere(page, axe: str) -> list[str]:
    """What is found in light and dark, on a wide and on a narrow screen; what is wider than the screen is found too."""
    found = []
    for scheme, (width, height) in LOOKS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += violations(page, axe)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"wider than {width}")
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page, served, axe, view) -> None:
    """Of WCAG 2.1 A and AA and of good practice."""
    page.goto(f"{served.url}/{VIEWS[view]}")
    page.wait_for_selector("html[data-ready]")
    assert everywhere(page, axe) == []


@pytest.mark.parametrize("path", ["/docs", "/nowhere"])
def test_other_pages_too(page, served, axe, path) -> None:
    """The description of the API and the page of an error."""
    page.goto(served.url + path)
    assert everywhere(page, axe) == []
    page.faults[:] = [fault for fault in page.faults if "404" not in fault]  # the browser notes the status itself


def test_dialogs_too(page, served, axe) -> None:
    """While they are open."""
    page.goto(served.url)
    page.wait_for_selector("html[data-ready]")
    for opens, closes in (("#open-help", "#help"), ("#export", "#exported")):
        page.click(opens)
        assert violations(page, axe) == []
        page.click(f"{closes} button:has-text('Close')")
