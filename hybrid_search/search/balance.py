"""Words of several languages weighed alike, however few documents one of them has.

BM25 counts a word by how rare it is among the passages of its analyzer: a word of one passage counts
``ln(1 + (N - 1 + 0.5) / (1 + 0.5))`` (Robertson and Zaragoza, 2009, as Lucene computes it), 2 of 10 passages and 6.5 of
a thousand. A name that both have would count three times as much in the larger language, and German words nothing
beside it. So each analyzer's scores are multiplied by what makes its rarest word count as much as that of the largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import quote

from hybrid_search.engine.layout import TEXT, text_paths
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import EngineError
from hybrid_search.records import IndexSchema
from hybrid_search.search.steps import Send, Step


def passages_by_analyzer(
    index: str, schema: IndexSchema, made: Callable[[Request], Request]
) -> Generator[Step, Any, dict[str, int]]:
    """How many passages each analyzer of an index of several languages has read; none where the engine does not say."""
    if not schema.analyzers:
        return {}
    wholes = [path for path in text_paths(schema) if path.name == TEXT]
    filters = {path.analyzer: {"exists": {"field": path.path}} for path in wholes}
    body = {"size": 0, "track_total_hits": False, "aggs": {"analyzers": {"filters": {"filters": filters}}}}
    try:
        answer = yield Send(made(Request.json("POST", f"/{quote(index, safe='')}/_search", body)))
        buckets = answer["aggregations"]["analyzers"]["buckets"]
        return {name: int(buckets[name]["doc_count"]) for name in filters}
    except (EngineError, KeyError, TypeError, ValueError):
        return {}


def balance_of(passages: Mapping[str, int]) -> dict[str, float]:
    """What the scores of each analyzer are multiplied by; 1 for the one with most passages, and for one without any."""
    most = max(passages.values(), default=0)
    return {name: rarest(most) / rarest(count) if count else 1.0 for name, count in passages.items()}


def rarest(passages: int) -> float:
    """What a word of one passage counts among so many, at least one."""
    return math.log(1 + (passages - 1 + 0.5) / (1 + 0.5))
