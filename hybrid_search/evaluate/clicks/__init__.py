"""Judgements from click logs, corrected for the position at which a document was shown."""

from __future__ import annotations

from hybrid_search.evaluate.clicks.judged import ClickJudgements, judge_clicks
from hybrid_search.evaluate.clicks.log import ClickLog, read_clicks
from hybrid_search.evaluate.clicks.position_model import PositionModel, fit

__all__ = ["ClickJudgements", "ClickLog", "PositionModel", "fit", "judge_clicks", "read_clicks"]
