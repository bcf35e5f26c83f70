"""The languages of a field's texts, and the analyzer that suits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from hybrid_search.languages import ANALYZERS

LEAST_BYTES = 60
"""Of shorter texts, such as names of products, a guess is little better than a coin; of Han, 20 characters will do."""
LOOKED_AT = 200
LEAST_SHARE = 0.1
MOST = 0.8


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


def analyzer_for(shares: Mapping[str, float]) -> str | None:
    """The analyzer of the language that four fifths of the texts have; None where there is none such."""
    return next((ANALYZERS.get(code) for code, share in shares.items() if share >= MOST), None)


def listed(shares: Mapping[str, float]) -> str:
    """``en 62%, de 20%``."""
    return ", ".join(f"{code} {share:.0%}" for code, share in shares.items())
