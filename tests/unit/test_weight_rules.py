"""Rules that give some queries other weights: what they look at, how they are written, and what they change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_search.errors import EngineError, QueryError, SettingsError
from hybrid_search.records import Query
from hybrid_search.search.collapse import Best
from hybrid_search.search.fusion import METHODS, Fusion, fuse, in_order, min_max
from hybrid_search.search.outcomes import Failed, Found
from hybrid_search.search.retrieved import LegRun, Retrieved
from hybrid_search.settings import SearchSettings
from hybrid_search.weight_rules import Condition, Signals, WeightRule, gap_of, parse_rule, unknown_share, words_of

LEGS = ["bm25", "dense", "sparse"]
SHORT = parse_rule("words <= 2: bm25=0.6 dense=0.4")
EVEN = Fusion("min-max", {"bm25": 1.0, "dense": 1.0})
RULED = Fusion("min-max", {"bm25": 1.0, "dense": 1.0}, rules=(SHORT,))

weights = st.floats(0, 100).map(lambda weight: round(weight, 3))
conditions = st.one_of(
    st.builds(Condition, st.just("words"), st.sampled_from(["<=", ">"]), st.integers(0, 50).map(float)),
    st.builds(
        Condition,
        st.sampled_from(["unknown", "gap.bm25", "gap.dense", "gap.sparse"]),
        st.sampled_from(["<=", ">"]),
        st.integers(0, 99).map(lambda share: share / 100),
    ),
)
rules = st.builds(
    WeightRule,
    conditions,
    st.dictionaries(st.sampled_from(["bm25", "dense", "sparse"]), weights, min_size=1).map(
        lambda one: tuple(one.items())
    ),
)
signals = st.builds(
    Signals,
    st.none() | st.integers(1, 60),
    st.none() | st.floats(0, 1),
    st.dictionaries(st.sampled_from(["bm25", "dense", "sparse"]), st.floats(0, 1)),
)


@given(rules)
def test_a_rule_is_read_back_as_it_is_written(rule: WeightRule) -> None:
    """The text of a rule is the rule; so are settings that hold it."""
    assert parse_rule(str(rule)) == rule
    assert parse_rule(str(rule).replace("<=", "<= ").replace(": ", " :")) == rule


@given(st.text())
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    """What is no rule is a QueryError that shows one."""
    try:
        parse_rule(text)
    except QueryError as error:
        said = error.remedy
    else:
        said = "a rule"
    assert said


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("short queries", "'short queries' is no rule", "words <= 2: bm25"),
        ("word <= 2: bm25=1", "unknown signal 'word'", "Did you mean words?"),
        ("gap <= .2: bm25=1", "unknown signal 'gap'", "gap.LEG"),
        ("words < 2: bm25=1", "unknown comparison '<'", "<= and >"),
        ("words <= two: bm25=1", "the bound 'two'", "words <= 2"),
        ("unknown > 1: bm25=1", "the bound of unknown is 1", "from 0 to below 1"),
        ("words <= -1: bm25=1", "the bound of words is -1", "number of words"),
        ("words <= nan: bm25=1", "the bound of words is nan", "number of words"),
        ("words <= 2:", "gives no weights", "bm25=0.6"),
        ("words <= 2: bm25", "'bm25' in", "bm25=0.6"),
        ("words <= 2: bm25=much", "'bm25=much'", "bm25=0.6"),
        ("words <= 2: bm25=-1", "must be 0 or more", "0 leaves a leg out"),
        ("words <= 2: bm25=inf", "must be 0 or more", "0 leaves a leg out"),
        ("words <= 2: bm25=1 bm25=2", "weighs bm25 twice", "Leave one out"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text: str, what: str, remedy: str) -> None:
    """What, and what to write instead."""
    with pytest.raises(QueryError) as raised:
        parse_rule(text)
    assert what in str(raised.value)
    assert remedy in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"rules": ["words <= 2: bn25=1"]}, "must be one of bm25, dense, sparse, got 'bn25'"),
        ({"rules": ["gap.bn25 <= .2: bm25=1"]}, "must be one of bm25, dense, sparse, got 'bn25'"),
        ({"rules": ["soon"]}, "'soon' is no rule"),
        (
            {"rules": ["words <= 2: bm25=0 dense=0 sparse=0"]},
            "every leg of search.legs (bm25, dense, sparse) the weight 0",
        ),
        ({"rules": ["words <= 2: bm25=1"], "fusion": "server"}, "the engine fuses"),
    ],
)
def test_settings_refuse_a_rule_that_cannot_be(given: dict[str, object], what: str) -> None:
    """With the key as the place."""
    with pytest.raises(SettingsError, match=r"search\.rules") as raised:
        SearchSettings(**given)
    assert what in str(raised.value)


def test_a_rule_is_said_in_words() -> None:
    """As the table and the report show it."""
    assert SHORT.in_words == "queries of at most 2 words: bm25 .6, dense .4"
    assert parse_rule("words > 1: bm25=1").in_words == "queries of more than 1 word: bm25 1"
    strange = parse_rule("unknown > .5: bm25=2 dense=0").in_words
    assert strange == "queries of whose words more than 50% are unknown to the model: bm25 2, dense 0"
    lead = parse_rule("gap.dense > 0.25: dense=.8").in_words
    assert lead == "queries whose first dense hit leads by more than 25% of the leg's scores: dense .8"


def test_the_gap_is_the_lead_of_the_first_hit() -> None:
    """Of 10, 7 and 5 it is (10 - 7) / (10 - 5); with a lowest of 0 (10 - 7) / 10."""
    assert gap_of([10, 7, 5]) == pytest.approx(3 / 5)
    assert gap_of([10, 7, 5], 0.0) == pytest.approx(3 / 10)
    assert gap_of([]) == gap_of([], 0.0) == 0.0  # nothing was found: nothing leads
    assert gap_of([4]) == gap_of([4], 0.0) == 1.0  # nothing else was
    assert gap_of([4, 4, 4]) == 0.0


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.none() | st.just(0.0))
def test_a_gap_is_a_share(scores: list[float], missing: float | None) -> None:
    """From 0 to 1, whatever the scores."""
    assert 0 <= gap_of(sorted(scores, reverse=True), missing) <= 1


def test_the_gap_is_what_min_max_makes_of_the_second() -> None:
    """1 minus what the second hit is worth."""
    scores = [9.0, 8.0, 3.0, 2.0]
    assert gap_of(scores) == pytest.approx(1 - min_max(scores)[1])


def test_words_that_the_vocabulary_has_in_pieces_are_unknown() -> None:
    """Of "the usb-c cable" with the tokens the, usb, -, c, ca, ble one of four words is in two pieces."""
    tokens = [(0, 3), (4, 7), (7, 8), (8, 9), (10, 12), (12, 15)]
    assert unknown_share("the usb-c cable", tokens) == 1 / 4
    assert unknown_share("... !", [(0, 3), (4, 5)]) is None
    assert unknown_share("cafés", [(0, 2), (2, 2), (2, 5)]) == 1
    assert words_of("  the usb-c  cable ") == 3


@given(signals)
def test_a_signal_that_is_not_known_makes_no_rule_hold(one: Signals) -> None:
    """Neither "at most" nor "above"; and of what is known exactly one of the two holds."""
    for signal, bound in (("words", 3.0), ("unknown", 0.5), ("gap.bm25", 0.5)):
        held = [Condition(signal, comparison, bound).holds(one) for comparison in ("<=", ">")]
        assert sum(held) == (one.of(signal) is not None)


def test_the_first_rule_that_holds_gives_the_weights() -> None:
    """A leg that it does not name weighs what it does otherwise."""
    other = parse_rule("words <= 5: dense=3")
    fusion = Fusion("rrf", {"bm25": 1.0, "dense": 2.0}, rules=(SHORT, other))
    assert fusion.for_query(Signals(2), ["bm25", "dense"]).weights == {"bm25": 0.6, "dense": 0.4}
    assert fusion.for_query(Signals(4), ["bm25", "dense"]).weights == {"bm25": 1.0, "dense": 3.0}
    assert fusion.for_query(Signals(6), ["bm25", "dense"]).weights == {"bm25": 1.0, "dense": 2.0}
    assert fusion.for_query(Signals(2), ["bm25", "dense"]).by_rule == SHORT
    assert fusion.for_query(Signals(6), ["bm25", "dense"]).by_rule is None


def test_legs_that_are_left_weigh_something() -> None:
    """A rule for a leg that failed is passed over; where no leg that answered weighs anything, they weigh the same."""
    only = parse_rule("words <= 2: bm25=1 dense=0")
    fusion = Fusion("rrf", {"bm25": 0.0, "dense": 1.0}, rules=(only,))
    assert fusion.for_query(Signals(1), ["dense"]).shares(["dense"]) == {"dense": 1.0}
    assert fusion.for_query(Signals(9), ["bm25"]).shares(["bm25"]) == {"bm25": 1.0}


@given(
    signals,
    st.lists(rules, max_size=3),
    st.sampled_from(sorted(METHODS)),
    st.sets(st.sampled_from(["bm25", "dense", "sparse"]), min_size=1),
)
def test_every_query_can_be_fused(one: Signals, some: list[WeightRule], method: str, legs: set[str]) -> None:
    """Whatever the rules and whichever legs answered: there are weights, and no rule is left."""
    fusion = Fusion(method, {"bm25": 1.0, "dense": 0.0, "sparse": 0.0}, rules=tuple(some))
    made = fusion.for_query(one, sorted(legs))
    assert not some or made.rules == ()
    if some:
        assert fuse({leg: [("a", 1.0)] for leg in legs}, made)


def retrieved(text: str, **runs: list[tuple[str, float]]) -> Retrieved:
    legs = {
        leg: Found(LegRun({id_: Best(id_, f"{id_}#0", score) for id_, score in in_order(run)}))
        for leg, run in runs.items()
    }
    return Retrieved(Query(text), legs)


def test_a_rule_changes_the_contributions_of_its_queries() -> None:
    """Short: .6 of BM25's best and .4 of the dense one's; long: half and half."""
    runs = {"bm25": [("a", 4.0), ("b", 2.0)], "dense": [("b", 0.9), ("a", 0.5)]}
    short, long = retrieved("two words", **runs), retrieved("not so few words", **runs)
    assert [(hit.id, hit.score) for hit in short.fused(RULED)] == [("a", 0.6), ("b", 0.4)]
    assert list(long.fused(RULED)) == list(long.fused(EVEN))
    assert short.fusion(RULED).label == "min-max bm25=0.6 dense=0.4 (words <= 2)"
    assert RULED.label == "min-max (rule: words <= 2: bm25=0.6 dense=0.4)"


def test_a_lead_is_of_the_runs() -> None:
    """The first dense hit leads by .4 of .4: its leg is believed."""
    fusion = Fusion("min-max", {"bm25": 1.0, "dense": 1.0}, rules=(parse_rule("gap.dense > .5: bm25=0"),))
    one = retrieved("q", bm25=[("a", 4.0), ("b", 2.0)], dense=[("b", 0.9), ("a", 0.5)])
    assert [hit.id for hit in one.fused(fusion)] == ["b", "a"]
    assert "bm25" not in one.fused(fusion)[0].legs


def test_a_rule_of_a_leg_that_failed_is_passed_over() -> None:
    """The other leg's ranking is the answer."""
    only = Fusion("min-max", {"bm25": 1.0, "dense": 1.0}, rules=(parse_rule("words <= 2: bm25=1 dense=0"),))
    one = retrieved("q", dense=[("b", 0.9), ("a", 0.5)])
    failed = Retrieved(one.query, {"bm25": Failed(EngineError("gone")), **one.legs})
    assert [hit.id for hit in failed.fused(only)] == ["b", "a"]


def test_a_leg_that_only_a_rule_weighs_searches() -> None:
    """One of weight 0 else is not asked."""
    fusion = Fusion("rrf", {"bm25": 1.0, "dense": 0.0, "sparse": 0.0}, rules=(parse_rule("words > 2: dense=1"),))
    assert fusion.having_a_say(["bm25", "dense", "sparse"]) == ("bm25", "dense")
