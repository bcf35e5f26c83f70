"""The page of a tuning: its plots are well-formed, hold what was found, and load nothing."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring

from hybrid_search.evaluate import Experiment, Row, Scores, System
from hybrid_search.evaluate.html import experiment_page, tuned_page
from hybrid_search.evaluate.html.svg import shade, simplex_map
from hybrid_search.evaluate.html.tuned import leg_finds
from hybrid_search.evaluate.tuning import Collected, Weighting, tune, weightings
from hybrid_search.evaluate.tuning.collected import QueryRuns
from hybrid_search.evaluate.tuning.weighting import simplex
from hybrid_search.search.fusion import Fusion, in_order

LEGS = ("bm25", "dense", "sparse")


def task(legs: tuple[str, ...], count: int = 30) -> tuple[Collected, dict[str, dict[str, int]]]:
    """Legs of different strength: the later ones rank the relevant document higher."""
    random = np.random.default_rng(4)
    queries, qrels = {}, {}
    for number in range(count):
        runs = {}
        for strength, leg in enumerate(legs):
            scores = random.random(15)
            scores[0] += 0.25 * strength
            runs[leg] = in_order((f"d{n}", float(score)) for n, score in enumerate(scores))
        queries[f"q{number}"] = QueryRuns(runs, {})
        qrels[f"q{number}"] = {"d0": 1}
    return Collected(legs, 100, queries), qrels


def drawings(page: str) -> list[Element]:
    """Every SVG of the page, parsed."""
    return [fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


@pytest.mark.parametrize("count", [2, 3])
def test_the_page_shows_weights_changes_and_legs(count: int) -> None:
    """Three well-formed drawings with a label each; texts are escaped; no script, and nothing that is loaded."""
    collected, qrels = task(LEGS[:count])
    even = Weighting("min-max", (1 / count,) * count)
    tuned = tune(collected, qrels, even, weightings(count, steps=10, windows=(100,), methods=("min-max",)))
    texts = dict.fromkeys(qrels, "<script>alert(1)</script>")
    page = tuned_page(tuned, collected, qrels, texts)
    found = drawings(page)
    assert len(found) == 3
    assert all(one.get("aria-label") for one in found)
    cells = [one for one in found[0].iter() if one.tag == ("polygon" if count == 3 else "polyline")]
    assert len(cells) == (66 if count == 3 else 1)
    assert len(list(found[1].iter("rect"))) == 30
    assert "<script" not in page
    assert not re.search(r"(src|href|url)\s*[=(]", page)
    assert "default-src 'none'" in page


def test_what_one_leg_alone_found_is_counted() -> None:
    """a finds r1 and r2, b finds r1, and s in another query: r2 is a's alone, s is b's; a window of 1 hides r2."""
    runs = {"q": QueryRuns({"a": [("r1", 2.0), ("r2", 1.0)], "b": [("r1", 1.0), ("x", 0.5)]}, {})}
    runs["p"] = QueryRuns({"a": [], "b": [("s", 1.0)]}, {})
    collected = Collected(("a", "b"), 100, runs)
    qrels = {"q": {"r1": 1, "r2": 2, "x": 0}, "p": {"s": 1}}
    assert [(one.leg, one.found, one.alone, one.queries) for one in leg_finds(collected, qrels, 10)] == [
        ("a", 2, 1, 1),
        ("b", 2, 1, 1),
    ]
    assert [(one.found, one.alone) for one in leg_finds(collected, qrels, 1)] == [(1, 0), (2, 1)]


def test_an_evaluation_shows_every_system_and_what_the_best_changes() -> None:
    """Two legs and their fusion, which gains a half for one query and loses a quarter for another."""
    alone = Fusion("rrf")
    values = {("a",): (0.5, 0.5), ("b",): (0.25, 0.25), ("a", "b"): (1.0, 0.25)}
    rows = [
        Row(
            System(legs, alone), Scores({"nDCG@10": sum(some) / 2}, {"nDCG@10": dict(zip("qp", some, strict=True))}), {}
        )
        for legs, some in values.items()
    ]
    page = experiment_page(Experiment(rows, 2, 0, None, ("nDCG@10",)), {"q": "a <b> lamp"})
    bars, changes = drawings(page)
    assert {"0.5000", "0.2500", "0.6250"} <= {one.text for one in bars.iter("text")}
    assert len(list(bars.iter("rect"))) == 3
    assert len(list(changes.iter("rect"))) == 2
    assert "a &lt;b&gt; lamp" in page
    assert "+0.5000" in page
    assert "-0.2500" in page


def test_darker_is_more() -> None:
    """Luminance alone tells values apart, so that the map is read in grey; equal ones are in the middle."""
    light = [float(re.findall(r"([\d.]+)%\)", shade(value, 0, 1))[0]) for value in (0, 0.5, 1)]
    assert light == sorted(light, reverse=True)
    assert shade(3, 3, 3) == shade(0.5, 0, 1)


def test_the_map_has_its_corners_where_they_belong() -> None:
    """The cell of a leg alone stands above its name, left, right and at the top."""
    values = {weights: weights[2] for weights in simplex(3, 4)}
    drawn = fromstring(simplex_map(values, LEGS, {"in use": (0.5, 0.25, 0.25)}, "nDCG@10"))
    at = {one.findtext("title"): one.get("points", "").split()[0].split(",") for one in drawn.iter("polygon")}
    corners = [next(place for title, place in at.items() if title and f"{leg} 1.00" in title) for leg in LEGS]
    left, right, top = (tuple(map(float, place)) for place in corners)
    assert left[0] < top[0] < right[0]
    assert top[1] < left[1] == right[1]
