"""How much of a text may go into one query: at most as many terms as an engine allows clauses.

Every term that the analyzer makes becomes a clause. Counted here is the most that a word-breaking analyzer makes of a
text (Unicode Standard Annex #29, which both engines' standard tokenizer follows): scripts that are written without
blanks and pictures give a term per character, other scripts one per word, or per 255 characters of a longer one. What
analyzers of another kind make (n-grams, synonyms) shows when the engine refuses it, and less is asked then
(:mod:`hybrid_search.search.retrieve`).
"""

from __future__ import annotations

import re

LONGEST_TERM = 255
"""Characters after which the standard tokenizer begins another term."""

# Thai to Tibetan, Myanmar, Khmer; radicals and ideographs, kana, iteration marks; half-width kana; ideographs beyond.
_WITHOUT_BLANKS = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
    "\u2e80-\u2fff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
# Arrows to dingbats, and the planes of emoji.
_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff"
# ASCII, Latin-1, general, ideographic and full-width punctuation, and selectors of variants.
_BETWEEN = (
    "!-/:-@\\[-\\^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u2000-\u206f"
    "\u3000-\u3004\u3008-\u303f\ufe00-\ufe0f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3d\uff5b-\uff65"
)
_TERM = re.compile(f"[{_WITHOUT_BLANKS}{_PICTURES}]|[^\\s{_BETWEEN}{_WITHOUT_BLANKS}{_PICTURES}]{{1,{LONGEST_TERM}}}")


def first_words(text: str, limit: int) -> str:
    """``text`` up to its ``limit``-th term."""
    if len(text) <= limit:
        return text
    for count, term in enumerate(_TERM.finditer(text), start=1):
        if count == limit:
            return text[: term.end()]
    return text
