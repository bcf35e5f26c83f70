"""Reports as one HTML file each: tables and SVG of our own, without a script and without a request to any host."""

from __future__ import annotations

from hybrid_search.evaluate.html.measured import experiment_page
from hybrid_search.evaluate.html.tuned import tuned_page

__all__ = ["experiment_page", "tuned_page"]
