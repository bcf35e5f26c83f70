"""Two ways to search, compared without judgements: how much their rankings agree, and where they differ most."""

from __future__ import annotations

from hybrid_search.evaluate.unjudged.overlap import PERSISTENCE, rank_biased_overlap
from hybrid_search.evaluate.unjudged.side_by_side import Agreement, Pair, compare_searches

__all__ = ["PERSISTENCE", "Agreement", "Pair", "compare_searches", "rank_biased_overlap"]
