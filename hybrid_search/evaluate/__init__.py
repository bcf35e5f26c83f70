"""Evaluation: how good and how fast each leg, each fusion and each reranking is on judged queries."""

from __future__ import annotations

from hybrid_search.evaluate.comparison import Comparison
from hybrid_search.evaluate.experiment import Experiment, Row, System, run_experiment
from hybrid_search.evaluate.measures import MEASURES, Scores, measure
from hybrid_search.evaluate.runs import Ranking, Rankings, rankings_of, read_run, run_of, write_run
from hybrid_search.evaluate.significance import difference_interval, holm, randomisation_p
from hybrid_search.evaluate.timing import Timing, time_searches

__all__ = [
    "MEASURES",
    "Comparison",
    "Experiment",
    "Ranking",
    "Rankings",
    "Row",
    "Scores",
    "System",
    "Timing",
    "difference_interval",
    "holm",
    "measure",
    "randomisation_p",
    "rankings_of",
    "read_run",
    "run_experiment",
    "run_of",
    "time_searches",
    "write_run",
]
