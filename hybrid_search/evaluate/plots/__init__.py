"""Figures as PNG files, drawn by matplotlib (extra ``[plots]``): greys alone, so that they are read in print too."""

from __future__ import annotations

from hybrid_search.evaluate.plots.canvas import require_plots
from hybrid_search.evaluate.plots.measured import experiment_pngs
from hybrid_search.evaluate.plots.swept import sweep_png
from hybrid_search.evaluate.plots.tuned import tuned_pngs

__all__ = ["experiment_pngs", "require_plots", "sweep_png", "tuned_pngs"]
