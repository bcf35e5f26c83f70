"""What the options of an index cost: recall against exact search, latency, size, memory and build time."""

from __future__ import annotations

from hybrid_search.evaluate.sweep.cheapest import Row, cheapest, pareto
from hybrid_search.evaluate.sweep.options import Build, Grid, Way
from hybrid_search.evaluate.sweep.run import Sweep, SweepRequest, run_sweep
from hybrid_search.evaluate.sweep.vectors import Asked, Sample, asked_of, read_sample

__all__ = [
    "Asked",
    "Build",
    "Grid",
    "Row",
    "Sample",
    "Sweep",
    "SweepRequest",
    "Way",
    "asked_of",
    "cheapest",
    "pareto",
    "read_sample",
    "run_sweep",
]
