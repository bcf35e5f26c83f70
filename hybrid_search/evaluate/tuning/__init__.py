"""Tuning: the fusion, weights, rank constant and window that judged queries like best, and how sure that is."""

from __future__ import annotations

from hybrid_search.evaluate.tuning.choice import Fold, Tuned, tune
from hybrid_search.evaluate.tuning.collected import Collected, RunCache, collect
from hybrid_search.evaluate.tuning.run import run_tuning
from hybrid_search.evaluate.tuning.weighting import Weighting, weightings

__all__ = ["Collected", "Fold", "RunCache", "Tuned", "Weighting", "collect", "run_tuning", "tune", "weightings"]
