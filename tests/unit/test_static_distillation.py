"""The static encoder of the experiment, on a tiny generated set."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from training.static import weights_of


def test_what_is_in_every_text_weighs_least():
    """SIF: a / (a + p), with a = .25 and shares 3/4 and 1/4 of four pieces, and none: .25, .5, 1."""
    weights = weights_of(np.array([0, 0, 0, 1]), 3, 0.25)
    np.testing.assert_allclose(weights, [0.25, 0.5, 1.0])
