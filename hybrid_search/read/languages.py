"""The languages of a field's texts, and the analyzer that suits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hybrid_search.languages import ANALYZERS, matching, tag_of

LEAST_BYTES = 60
"""Of shorter texts, such as names of products, a guess is little better than a coin; of Han, 20 characters will do."""
LOOKED_AT = 200
LOOKED_INTO = 2_000
"""Characters of a text from which its language shows."""
LEAST_SHARE = 0.1
MOST = 0.8
LEAST_UNREAD = 0.2
"""Of texts in languages that have no analyzer: what is detected of fewer are rather names and numbers."""
SAID = 0.95
"""Of the values of a field that names languages."""
PLAIN_ANALYZER = "standard"
"""What breaks words of any language, for texts of one that has no analyzer."""


def languages(texts: Sequence[str]) -> dict[str, float]:
    """ISO 639-1 codes and their shares of the texts, the largest first; those of less than a tenth are left out.

    Looked at are 200 texts of at least 60 bytes, drawn by lot; without any the answer is empty.
    """
    long = [text for text in texts if len(text.encode("utf-8", "replace")) >= LEAST_BYTES]
    if not long:
        return {}
    from py3langid import classify  # reads its model for half a second, once

    drawn = Random(0).sample(long, min(LOOKED_AT, len(long)))  # noqa: S311  # the same ones each time
    found = Counter(str(classify(text)[0]) for text in drawn)
    total = sum(found.values())
    return {code: count / total for code, count in found.most_common() if count >= LEAST_SHARE * total}


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of one text's language; None of a text of less than 60 bytes. It takes .1 to .5 ms."""
    looked_into = text[:LOOKED_INTO].encode("utf-8", "replace")
    if len(looked_into) < LEAST_BYTES:
        return None
    from py3langid import classify

    return str(classify(looked_into.decode())[0])


def analyzer_for(shares: Mapping[str, float]) -> str | None:
    """The analyzer of the language that four fifths of the texts have; None where there is none such."""
    return next((ANALYZERS.get(code) for code, share in shares.items() if share >= MOST), None)


def listed(shares: Mapping[str, float]) -> str:
    """``en 62%, de 20%``."""
    return ", ".join(f"{code} {share:.0%}" for code, share in shares.items())


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts of some languages are read by BM25: settings of ``documents`` and ``engine``.

    Attributes:
        analyzer: that of all texts, or of those that ``analyzers`` have none for; None for the default.
        analyzers: by language, where there are several.
        field: the field that names a document's language; with ``detects`` it is one that the documents lack.
        detects: whether their language is detected.
    """

    analyzer: str | None = None
    analyzers: Mapping[str, str] = field(default_factory=dict)
    field: str | None = None
    detects: bool = False


def reading_of(shares: Mapping[str, float], named: str | None, new: str) -> Reading:
    """How texts with these shares of languages should be read.

    Args:
        shares: of the texts, by code or tag, the largest first.
        named: the field that names the language of each, where there is one.
        new: a name that no field has, for what is detected.
    """
    found = {known: ANALYZERS[known] for code in shares if (known := matching(code, ANALYZERS)) is not None}
    unread = sum(share for code, share in shares.items() if matching(code, ANALYZERS) is None)
    several = len(set(found.values())) + (bool(unread) if named is not None else unread >= LEAST_UNREAD) > 1
    if found and several and named is not None:
        return Reading(PLAIN_ANALYZER, found, named)
    first = next(iter(shares), None)
    if found and several and shares[str(first)] < MOST:
        return Reading(PLAIN_ANALYZER, found, new, detects=True)
    known = None if first is None else matching(first, ANALYZERS)
    is_unread = known is None and unread >= MOST
    return Reading(PLAIN_ANALYZER if is_unread else None if known is None else ANALYZERS[known])


def languages_said(values: Sequence[Any]) -> dict[str, float]:
    """Languages that the values of a field name, as tags, with their shares, the largest first.

    Empty where more than a twentieth of the values name none.
    """
    tags = Counter(tag for value in values if (tag := tag_of(value)) is not None)
    total = sum(tags.values())
    return {tag: count / total for tag, count in tags.most_common()} if total and total >= SAID * len(values) else {}
