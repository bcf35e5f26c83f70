"""The static encoder of the experiment, on a tiny generated set."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.static import Bags, Recipe, distil, weights_of


def test_what_is_in_every_text_weighs_least():
    """SIF: a / (a + p), with a = .25 and shares 3/4 and 1/4 of four pieces, and none: .25, .5, 1."""
    weights = weights_of(np.array([0, 0, 0, 1]), 3, 0.25)
    np.testing.assert_allclose(weights, [0.25, 0.5, 1.0])


def test_pieces_learn_the_directions_of_texts():
    """Four texts of two pieces, each with a direction of its own, from small vectors that know nothing of it."""
    chance = np.random.default_rng(0)
    directions = chance.standard_normal((4, 16)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bags = Bags(np.arange(8), np.array([0, 2, 4, 6]), directions)
    pieces = (0.1 * chance.standard_normal((8, 16))).astype(np.float32)
    found = distil(bags, pieces, Recipe(steps=1000, batch=4, rate=0.01))
    means = found.reshape(4, 2, 16).mean(axis=1)
    cosines = (means / np.linalg.norm(means, axis=1, keepdims=True) * directions).sum(axis=1)
    assert cosines.min() > 0.95
