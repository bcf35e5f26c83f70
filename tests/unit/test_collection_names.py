"""The indices of a benchmark's collections: their names."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.frameworks.collection import _plain


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_collections_share_an_index(one: str, other: str) -> None:
    """Whatever they are called, both engines take the name."""
    assert (_plain(one) == _plain(other)) == (one == other)
    assert re.fullmatch(r"[a-z0-9_-]+", _plain(one))


def test_usual_names_stay_themselves() -> None:
    """As a user looks for them."""
    assert _plain("scifact-test") == "scifact-test"
    assert _plain("SciFact").startswith("scifact-")
