"""Answers as plain JSON types: what a search found, with explanations, and the runs that the page ranks by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybrid_search.records import SearchResult, StoredPassage
from hybrid_search.search.as_json import result_json
from hybrid_search.search.explain import explanation
from hybrid_search.search.retrieved import Retrieved
from hybrid_search.search.snippet import Snippet, snippet

SNIPPET = 260
"""Characters of a passage that a list shows."""
MAX_VALUE = 200
"""Characters of a field's value that a list shows."""
MAX_FIELDS = 24
MAX_VALUES = 20


def explained_json(result: SearchResult) -> dict[str, Any]:
    """A result whose hits say in words why they stand where they do."""
    answer = result_json(result)
    for shown, hit in zip(answer["hits"], result.hits, strict=True):
        shown["explanation"] = explanation(hit, result)
    return answer


def runs_json(result: SearchResult, stored: Mapping[str, StoredPassage], title: str) -> dict[str, Any]:
    """Every leg's whole window, and what a list shows of each passage: enough to fuse and to show, in any order.

    ``runs[leg].hits`` are ``[document, passage, score]`` in rank order, and ``missing`` what other documents scored,
    where that is known. Passages that are gone are left out of ``passages``.
    """
    retrieved: Retrieved = result.retrieved  # type: ignore[assignment]  # a search always says it
    query = result.query.plain
    return {
        "query": result.query.text,
        "runs": {
            leg: {
                "hits": [[best.id, best.passage_id, best.score] for best in run.values()],
                "missing": retrieved.missing.get(leg),
            }
            for leg, run in retrieved.runs.items()
        },
        "legs": result_json(result)["legs"],
        "passages": {id_: _passage(passage, query, title) for id_, passage in stored.items()},
        "documents": documents_json(retrieved, stored, title),
        "took_ms": {step: round(took, 3) for step, took in result.took_ms.items()},
        "warnings": [str(warning) for warning in result.warnings],
    }


def passages_found(result: SearchResult) -> list[str]:
    """The ids of all passages that any leg found."""
    retrieved: Retrieved = result.retrieved  # type: ignore[assignment]  # a search always says it
    return list(dict.fromkeys(best.passage_id for run in retrieved.runs.values() for best in run.values()))


def documents_json(retrieved: Retrieved, stored: Mapping[str, StoredPassage], title: str) -> dict[str, dict[str, Any]]:
    """The title and the fields of each document of which a passage is there."""
    shown: dict[str, dict[str, Any]] = {}
    for run in retrieved.runs.values():
        for best in run.values():
            if best.id not in shown and (passage := stored.get(best.passage_id)) is not None:
                fields = {name: _short(value) for name, value in passage.fields.items() if name != title}
                shown[best.id] = {
                    "title": _short(passage.fields.get(title)),
                    "fields": dict(list(fields.items())[:MAX_FIELDS]),
                }
    return shown


def _passage(passage: StoredPassage, query: str, title: str) -> dict[str, Any]:
    """What a list shows of a passage; a text that begins with the title of its document goes on behind it."""
    text, heading = passage.text, passage.fields.get(title)
    if isinstance(heading, str) and heading and text.startswith(heading) and len(text) > len(heading):
        text = text[len(heading) :].lstrip(" .:\n\t")
    best = snippet(text, query, width=SNIPPET)
    return {"parts": _parts(best), "is_begun": best.start > 0, "goes_on": best.end < len(text)}


def _parts(shown: Snippet) -> list[tuple[str, bool]]:
    """A snippet in pieces, those marked that are words of the query: characters count differently in a browser."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for begin, stop in shown.marks:
        parts += [(shown.text[end:begin], False), (shown.text[begin:stop], True)]
        end = stop
    return [(text, marked) for text, marked in [*parts, (shown.text[end:], False)] if text]


def _short(value: Any) -> Any:
    """A value as a list shows it: nothing longer than a line."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_short(one) for one in value[:MAX_VALUES]]
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
