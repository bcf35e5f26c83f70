"""Take the pictures of the workbench that ``docs/workbench.md`` shows: ``python docs/screenshots.py --url URL``.

Indexes ``examples/kitchen`` under a name of its own, which it deletes again, serves it and looks at it in the Chromium
of this machine. Colours are reduced to 256, which keeps a picture below 100 kB.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from uuid import uuid4

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from hybrid_search import connect, load_settings
from hybrid_search.engine.indices import delete_index

ROOT = Path(__file__).parents[1]
KITCHEN = ROOT / "examples" / "kitchen"
SETTINGS = {"documents.title": "title", "documents.keyword": '["kind"]', "documents.number": '["minutes"]'}
QUERY = "the pot is scorched, can I still save dinner?"
COLOURS = 256


@dataclass(frozen=True)
class Picture:
    """What is looked at, and how."""

    name: str
    state: dict[str, str]
    size: tuple[int, int] = (1360, 850)
    scheme: str = "light"
    click: str | None = None


PICTURES = (
    Picture("workbench", {"q": QUERY, "doc": "burnt-rice"}),
    Picture(
        "workbench-compare",
        {
            "q": "coffee that keeps for several days",
            "fusion": "min-max",
            "weights": "bm25=0.2,dense=1,sparse=0.1",
            "a.fusion": "rrf",
            "panel": "queries",
        },
        scheme="dark",
    ),
    Picture("workbench-why-not", {"q": "soup too salty", "why": "knife"}),
    Picture("workbench-phone", {"q": "leftover rice"}, size=(390, 800)),
)


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="the cluster (default: the local node)")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent / "screenshots")
    options = parser.parse_args()
    options.into.mkdir(exist_ok=True)
    with kitchen(options.url) as url, sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=[*quiet, *sandbox])
        for picture in PICTURES:
            take(browser, url, picture, options.into / f"{picture.name}.png")
        browser.close()


def take(browser: Browser, url: str, picture: Picture, path: Path) -> None:
    """One picture, in as few colours as it needs."""
    width, height = picture.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{url}#{urlencode(picture.state)}")
    page.wait_for_selector("html[data-ready]")
    for selector in (
        "#why-answer table" if "why" in picture.state else None,
        "#queries li" if "panel" in picture.state else None,
    ):
        if selector is not None:
            page.wait_for_selector(selector)
    page.wait_for_timeout(1500)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    context.close()


@contextmanager
def kitchen(url: str | None) -> Iterator[str]:
    """The address of a workbench over the kitchen."""
    index = f"kitchen-{uuid4().hex[:6]}"
    chosen = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    engine = ["--url", url] if url else []
    with TemporaryDirectory() as folder:
        hybrid_search(folder, "index", str(KITCHEN), index, *chosen, *engine)
        judged = ["--queries", str(KITCHEN), "--qrels", str(KITCHEN)]
        command = [sys.executable, "-m", "hybrid_search", "serve", index, "--port", "0", *judged, *chosen, *engine]
        with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as server:
            try:
                said = "" if server.stdout is None else server.stdout.readline()
                yield re.findall(r"http://\S+", said)[0]
            finally:
                server.terminate()
                server.wait()
                with connect(load_settings(None, {"engine.url": url} if url else {}).engine) as connection:
                    delete_index(connection, index)


def hybrid_search(folder: str, *arguments: str) -> None:
    """A command of the package."""
    command = [sys.executable, "-m", "hybrid_search", *arguments]
    subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    """With this checkout's package."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    main()
