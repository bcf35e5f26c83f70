"""Evaluation: how good and how fast each leg, each fusion and each reranking is on judged queries."""

from __future__ import annotations

from hybrid_search.evaluate.experiment import Experiment, Row, System, run_experiment
from hybrid_search.evaluate.measures import MEASURES, Scores, measure
from hybrid_search.evaluate.runs import Ranking, Rankings, read_run, write_run
from hybrid_search.evaluate.significance import randomisation_p
from hybrid_search.evaluate.timing import Timing, time_searches

__all__ = [
    "MEASURES",
    "Experiment",
    "Ranking",
    "Rankings",
    "Row",
    "Scores",
    "System",
    "Timing",
    "measure",
    "randomisation_p",
    "read_run",
    "run_experiment",
    "time_searches",
    "write_run",
]
