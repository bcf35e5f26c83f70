"""What fields say of languages, in all the ways in which people and programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.languages import ANALYZERS, analyzer_of, matching, tag_of

SAID = {
    "de": "de",
    "DE": "de",
    " de ": "de",
    "de_AT": "de-at",
    "de-AT": "de-at",
    "de_AT.UTF-8@euro": "de-at",
    "zh-Hant-TW": "zh-hant-tw",
    "deu": "de",
    "ger": "de",
    "ger-AT": "de-at",
    "German": "de",
    "DEUTSCH": "de",
    "français": "fr",
    "pt_BR": "pt-br",
    "brazilian": "pt-br",
    "日本語": "ja",
    "ckb": "ckb",
    "sw": "sw",
}
NONE = ["", "  ", "xx", "us", "english!", "en/de", "de,fr", "n/a", "und", None, 7, True, {}, [], [None], "x" * 10_000]


@pytest.mark.parametrize("said", SAID)
def test_a_language_by_any_name(said) -> None:
    """Codes of two and three letters, tags, locales, and names in their own language."""
    assert tag_of(said) == SAID[said]
    assert tag_of([said, "fr"]) == SAID[said]


@pytest.mark.parametrize("said", NONE, ids=lambda said: repr(said)[:20])
def test_what_names_no_language(said) -> None:
    """Empty values, codes of countries, and other types."""
    assert tag_of(said) is None
    assert matching(said, ANALYZERS) is None


def test_the_nearest_language_that_is_known() -> None:
    """A dialect goes with its language, unless it is known itself."""
    known = {"de", "pt", "pt-br", "zh-hant"}
    given = ["de-CH-1996", "pt-PT", "pt-BR", "zh-Hant-TW", "zh-CN", "fr"]
    assert [matching(said, known) for said in given] == ["de", "pt", "pt-br", "zh-hant", None, None]
    assert [analyzer_of(said) for said in ("pt-BR", "pt-PT", "nn", "Farsi", "pl")] == [
        "brazilian",
        "portuguese",
        "norwegian",
        "persian",
        None,
    ]


@given(st.text(max_size=40) | st.sampled_from(sorted(SAID)))
def test_a_tag_names_itself(said) -> None:
    """Whatever is read of a value, reading it again changes nothing, and nothing is an error."""
    tag = tag_of(said)
    assert tag is None or tag_of(tag) == tag
    assert matching(said, ANALYZERS) in {None, *ANALYZERS}
