"""What tests do with the page in a browser."""

from __future__ import annotations

import pytest


def open_page(page, served, state: str = "", *, rerank: bool = False) -> None:
    page.goto(f"{served.url}/#{state}" + ("" if rerank else "&rerank=0"))
    page.wait_for_selector("html[data-ready]")


def until(page, condition: str) -> None:
    """Wait for a condition, asked from outside: the page's policy forbids what Playwright would do inside."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"in vain: {condition}")


def ids(page, name: str = "fused") -> list[str]:
    return page.eval_on_selector_all(f'[data-list="{name}"] .hit', "hits => hits.map(hit => hit.dataset.id)")


def move(page, leg: str, weight: float) -> None:
    page.locator(f"#weight-{leg}").evaluate(
        "(s, v) => { s.value = v; s.dispatchEvent(new Event('input')) }", str(weight)
    )
