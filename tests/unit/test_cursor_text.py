"""The text form of cursors: what goes in comes out, fits into 8 KB, and is taken from nobody else."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_fakes import SCHEMA as PLAIN

from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.errors import CursorError, SettingsError
from hybrid_search.filters import Eq, In, parse
from hybrid_search.records import Query
from hybrid_search.search import Fusion
from hybrid_search.search.cursor import LONGEST, Bound, FrozenList, Kept, Kind, Seal, read, written
from hybrid_search.search.cursor_binding import bound_to
from hybrid_search.search.cursor_seal import seal_of
from hybrid_search.search.fusion import Fused
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranked, combine, lines_below
from hybrid_search.settings import SearchSettings

SCHEMA = replace(PLAIN, keyword_fields=("brand",), date_fields=("seen",))
SEAL = Seal(b"a key", "docs", 60.0)
BOUND = Bound(b"query", b"filter", b"option")
KIND = Kind("min-max(bm25, dense)", "late")
NOW = 1_773_156_600.0

FLOATS = st.floats(-1e6, 1e6, width=32)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
IDS = TEXTS | st.integers(0, 10**9).map(lambda n: f"d{n}#{n % 7}")
HITS = st.lists(st.builds(Kept, IDS, FLOATS, FLOATS), max_size=60)


@given(HITS, st.integers(1, 10_000), st.booleans())
def test_what_goes_in_comes_out(hits, rank, is_cut):
    """Ids of any text, ranks, scores of 32 bits, and what made the list."""
    rest = FrozenList(hits, rank, KIND, is_cut)
    text = written(rest, BOUND, SEAL, now=NOW)
    found = read(text, BOUND, SEAL, now=NOW)
    assert len(text) <= LONGEST
    assert found.hits == hits[: len(found.hits)]
    assert (found.rank, found.kind) == (rank, KIND)
    assert found.is_cut == (is_cut or len(found.hits) < len(hits))


def made(ids):
    """A list of these ids whose scores fall, as those of a fusion do."""
    draw = random.Random(3)
    scores = sorted((draw.random() for _ in ids), reverse=True)
    return [Kept(id_, score, score) for id_, score in zip(ids, scores, strict=True)]


DRAW = random.Random(7)
CAPACITY = {
    "numbers": ([f"{DRAW.randrange(10**9)}#0" for _ in range(3000)], 700, 780),
    "counted": ([f"doc-{n}#0" for n in DRAW.sample(range(100_000), 3000)], 930, 1030),
    "UUIDs": ([f"{uuid.UUID(int=DRAW.getrandbits(128))}#0" for _ in range(3000)], 225, 250),
    "passages": ([f"{DRAW.randrange(10**9)}#{DRAW.randrange(30)}" for _ in range(3000)], 620, 690),
    "the longest": ([f"{DRAW.randbytes(252).hex()}#0" for _ in range(30)], 18, 22),
}


@pytest.mark.parametrize("kind", CAPACITY)
def test_how_many_hits_fit(kind):
    """What docs/search.md says; the rest is cut off, and the text is nearly full."""
    ids, least, most = CAPACITY[kind]
    text = written(FrozenList(made(ids), 11, KIND), BOUND, SEAL, now=NOW)
    found = read(text, BOUND, SEAL, now=NOW)
    assert least <= len(found.hits) <= most
    assert found.is_cut
    assert LONGEST * 0.9 < len(text) <= LONGEST


def test_the_longest_ids_of_all_fit_a_page():
    """504 bytes of which none can be foretold: ideographs."""
    draw = random.Random(5)
    ids = ["".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(168)) + "#0" for _ in range(40)]
    text = written(FrozenList(made(ids), 11, KIND), BOUND, SEAL, now=NOW)
    assert len(read(text, BOUND, SEAL, now=NOW).hits) >= 10


TEXT = written(FrozenList(made([f"doc-{n}#0" for n in range(30)]), 11, KIND), BOUND, SEAL, now=NOW)


@given(st.integers(0, len(TEXT) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_changed_cursor_is_refused(place, character):
    """Whichever character it is."""
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    try:
        found = read(changed, BOUND, SEAL, now=NOW)
    except CursorError:
        return
    assert found == read(TEXT, BOUND, SEAL, now=NOW)  # the same bytes: base64 has bits to spare at its end


@given(st.text() | st.binary() | st.none() | st.from_regex(r"[A-Za-z0-9_-]{30,200}", fullmatch=True))
def test_no_other_text_is_a_cursor(text):
    """It is an error, and nothing else is."""
    with pytest.raises(CursorError):
        read(text, BOUND, SEAL, now=NOW)


@pytest.mark.parametrize(
    ("text", "seal", "bound", "now", "why"),
    [
        (TEXT, Seal(b"another", "docs", 60.0), BOUND, NOW, "changed, or signed with another key"),
        (TEXT, Seal(b"a key", "other", 60.0), BOUND, NOW, "of another index than other"),
        (TEXT, SEAL, BOUND, NOW + 75, r"expired 15 s ago. Begin again .* or set search.cursor_lifetime"),
        (TEXT, SEAL, replace(BOUND, query=b"?"), NOW, "another query"),
        (TEXT, SEAL, replace(BOUND, filter=b"?"), NOW, "another filter"),
        (TEXT, SEAL, replace(BOUND, options=b"?"), NOW, "another options"),
        (TEXT[:20], SEAL, BOUND, NOW, "not the whole of it"),
        ("x" * 9000, SEAL, BOUND, NOW, "no cursor"),
        ("B" + TEXT[1:], SEAL, BOUND, NOW, "another version"),
    ],
)
def test_errors_say_what_is_wrong(text, seal, bound, now, why):
    """And to begin again."""
    with pytest.raises(CursorError, match=why):
        read(text, bound, seal, now=now)


def test_a_key_is_not_shown():
    """Wherever a seal is printed."""
    assert "a key" not in repr(SEAL)


def test_which_key_signs():
    """That of the settings, else that of the index, else, where an index has none, one of this process."""
    made, old = (
        OpenedIndex("docs", SCHEMA, "here", cursor_key="a key of the index"),
        OpenedIndex("docs", SCHEMA, "here"),
    )
    given, none = SearchSettings(cursor_key="a key of the settings"), SearchSettings()
    assert seal_of(made, given).key == b"a key of the settings"
    assert seal_of(made, none).key == b"a key of the index"
    assert seal_of(old, none) == seal_of(old, none)
    assert len(seal_of(old, none).key) == 32
    assert "a key" not in repr((made, given))
    with pytest.raises(SettingsError, match="has fewer than 16 characters"):
        SearchSettings(cursor_key="short")


def bound(query="lamp", **options):
    return bound_to(query if isinstance(query, Query) else Query(query), SearchRequest.of(**options), SCHEMA)


def test_what_a_cursor_is_bound_to():
    """The size of the page and the time are free; filters are equal that say the same, whatever their form and day."""
    plain = bound()
    assert bound(k=3, timeout=1.0, opaque_id="x", cursor="y", offset=20) == plain
    assert bound("lamps").query != plain.query
    assert bound(Query("lamp", bm25={"match_all": {}})).query != plain.query
    assert bound(fusion="rrf").options != plain.options
    assert bound(fusion=Fusion("rrf")).options == bound(fusion=Fusion("rrf")).options != bound(fusion="rrf").options
    assert bound(collapse=False).options != plain.options
    sets = [bound(Query("lamp", filter=In("brand", values))) for values in ({"a", "b"}, ("b", "a"), ["a", "b"])]
    assert len(set(sets)) == 1
    assert bound(Query("lamp", filter=Eq("brand", "a"))).filter != plain.filter
    relative = [bound(Query("lamp", filter=parse("seen>=now-7d"), now=now)) for now in (1, 2)]
    assert relative[0] == relative[1]


def test_scores_go_on_below_a_reranked_list():
    """On the line that reranking draws: (1 - .5) * (.1 - .4) / (.8 - .4) = -.375."""
    fused = [Fused(id_, score, {}) for id_, score in [("a", 0.8), ("b", 0.4), ("c", 0.1)]]
    whole = combine(fused, [1.0, 3.0], 0.5)
    begun = combine(fused[:2], [1.0, 3.0], 0.5)
    assert lines_below(begun, fused[2:], 0.5) == whole[2:]
    assert whole[2].score == pytest.approx(-0.375)
    plain = [Reranked(hit, hit.score, None) for hit in fused]
    assert lines_below(plain[:1], fused[1:], 0.5) == plain[1:]
