"""A language model as the judge, behind an endpoint that speaks as OpenAI's does, and how far it agrees."""

from __future__ import annotations

from hybrid_search.evaluate.judge.agreement import cohens_kappa
from hybrid_search.evaluate.judge.asking import Judge
from hybrid_search.evaluate.judge.judged import Judged, judge_searches

__all__ = ["Judge", "Judged", "cohens_kappa", "judge_searches"]
