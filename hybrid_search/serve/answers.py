"""Answers as plain JSON types: what a search found, with explanations, and the runs that the page ranks by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybrid_search.records import SearchResult, StoredPassage
from hybrid_search.search.as_json import result_json
from hybrid_search.search.boosts import Boosts
from hybrid_search.search.explain import explanation
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.serve.shown import TEXT, documents_json, passage_json


def explained_json(result: SearchResult) -> dict[str, Any]:
    """A result whose hits say in words why they stand where they do."""
    answer = result_json(result)
    for shown, hit in zip(answer["hits"], result.hits, strict=True):
        shown["explanation"] = explanation(hit, result)
    return answer


def runs_json(
    result: SearchResult, stored: Mapping[str, StoredPassage], title: str, boosts: Boosts, usual: Fusion
) -> dict[str, Any]:
    """Every leg's whole window, and what a list shows of each passage: enough to fuse and to show, in any order.

    ``runs[leg].hits`` are ``[document, passage, score]`` in rank order, and ``missing`` what other documents scored,
    where that is known. Passages that are gone are left out of ``passages``. ``rule`` is what rules of the ``usual``
    fusion give this query.
    """
    retrieved: Retrieved = result.retrieved  # type: ignore[assignment]  # a search always says it
    query, answer = result.query.plain, result_json(result)
    pieces = {hit.passage_id: piece for hit in result.hits for piece in reversed(hit.highlights) if piece.field == TEXT}
    return {
        "query": result.query.text,
        "runs": {
            leg: {
                "hits": [[best.id, best.passage_id, best.score] for best in run.values()],
                "missing": retrieved.missing.get(leg),
            }
            for leg, run in retrieved.runs.items()
        },
        "rule": _rule_json(retrieved.fusion(usual)),
        "legs": answer["legs"],
        "facets": answer["facets"],
        "boosts": _boosts_json(retrieved, boosts),
        "passages": {id_: passage_json(one, query, title, pieces.get(id_)) for id_, one in stored.items()},
        "documents": documents_json(retrieved, stored, title),
        "took_ms": {step: round(took, 3) for step, took in result.took_ms.items()},
        "warnings": [str(warning) for warning in result.warnings],
    }


def _rule_json(of_query: Fusion) -> dict[str, Any] | None:
    rule = of_query.by_rule
    return None if rule is None else {"words": rule.condition.in_words, "weights": rule.legs}


def passages_found(result: SearchResult) -> list[str]:
    """The ids of all passages that any leg found."""
    retrieved: Retrieved = result.retrieved  # type: ignore[assignment]  # a search always says it
    runs = [*retrieved.runs.values(), retrieved.added.hits]
    return list(dict.fromkeys(best.passage_id for run in runs for best in run.values()))


def _boosts_json(retrieved: Retrieved, boosts: Boosts) -> dict[str, Any]:
    """The factor of each document that has one other than 1, and what stands first and last whatever its score."""
    values = retrieved.values if boosts.rules else {}
    factors = {id_: math.prod(boosts.factors(brought).values()) for id_, brought in values.items()}
    return {
        "factors": {id_: factor for id_, factor in factors.items() if factor != 1},
        "pinned": list(boosts.pinned),
        "buried": sorted(boosts.buried),
        "added": {id_: best.passage_id for id_, best in retrieved.added.hits.items()},
    }
