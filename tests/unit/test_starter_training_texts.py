"""Parsers of the training texts, on small made-up inputs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import parse
from training.pairs import choose, extracted, is_prose, unlike

LONG = "It reads the heights of tides from a gauge and writes them to a table every ten minutes."


def test_a_debian_description_loses_its_layout():
    """Continuation lines are joined, ` .` parts paragraphs, short paragraphs and their bullets go."""
    text = f"Package: tidal\nDescription-md5: 0\nDescription-en: logs tides\n {LONG[:40]}\n {LONG[40:]}\n .\n * fast\n"
    (pair,) = parse.debian_descriptions(text)
    assert pair == ("logs tides", f"{LONG[:40]} {LONG[40:]}")


@pytest.mark.parametrize("name", ["tidal-dbg", "tidal-l10n-fr", "tidal-dbgsym"])
def test_debug_and_language_packages_are_left_out(name):
    """Their descriptions repeat those of the package they belong to."""
    assert not list(parse.debian_descriptions(f"Package: {name}\nDescription-en: logs tides\n {LONG}\n"))


def test_a_description_that_begins_like_an_earlier_one_is_left_out():
    """A library's packages share a first paragraph: one of them is enough."""
    block = f"Package: %s\nDescription-en: %s\n {LONG}\n"
    text = "\n".join([block % ("tidal", "logs tides"), block % ("tidal-dev", "headers for tides")])
    assert [short for short, _ in parse.debian_descriptions(text)] == ["logs tides"]


def test_a_wordnet_line_becomes_a_synset():
    """Words, gloss, examples and both directions of the hypernym relation are read by the counts before them."""
    line = (
        '00012 13 n 02 tide_gauge 0 mareograph 1 002 @ 00007 n 0000 ~ 00044 n 0000 | records tides; "the gauge froze"'
    )
    (synset,) = parse.wordnet_synsets(["  1 licence text", line])
    assert synset == parse.Synset(
        key="n00012",
        words=("tide gauge", "mareograph"),
        gloss="records tides",
        examples=("the gauge froze",),
        broader=("n00007",),
        narrower=("n00044",),
    )
    assert synset.entry() == "tide gauge, mareograph: records tides"


def test_an_adjective_satellite_has_the_key_of_adjectives():
    """Pointers name satellites (s) by the part of speech a."""
    (synset,) = parse.wordnet_synsets(["00099 00 s 01 tidal(p) 0 001 & 00098 a 0000 | of tides"])
    assert (synset.key, synset.words) == ("a00099", ("tidal",))


MAN = f".TH TIDAL 1\n.SH NAME\ntidal \\- log the \\fBtides\\fR\n.SH DESCRIPTION\n.PP\n{LONG}\n.SH FILES\nx\n"
MDOC = f'.Dd May 1\n.Sh NAME\n.Nm tidal\n.Nd log the tides\n.Sh DESCRIPTION\n{LONG}\n.\\" comment\n'


@pytest.mark.parametrize("page", [MAN, MDOC], ids=["man", "mdoc"])
def test_a_manual_page_gives_purpose_and_description(page):
    """Both macro packages are read; fonts, comments and other sections are dropped."""
    assert parse.man_page(page) == ("log the tides", LONG)


def test_a_manual_page_without_description_is_none():
    """Pages that only point to another page teach nothing."""
    assert parse.man_page(".so man1/tidal.1\n") is None


def test_a_docstring_is_its_summary_and_its_body_without_examples():
    """Interpreter sessions are code, not text."""
    source = f'def tide():\n    """Return the height of the tide.\n\n    {LONG}\n\n    >>> tide()\n    """\n'
    assert list(parse.docstring_pairs(source)) == [("Return the height of the tide.", LONG)]


def test_a_file_that_is_not_python_gives_nothing():
    """The standard library holds files that its own parser refuses."""
    assert list(parse.docstring_pairs("print 'no")) == []


def test_html_sections_leave_code_and_navigation_out():
    """A short heading gets the page's first heading before it; section numbers and paragraph marks go."""
    text = " ".join(["tides rise and fall twice a day"] * 5)
    html = f"<nav>menu</nav><h1>2.1. Tide logging</h1><p>{text}</p><h2>Usage<a>¶</a></h2><p>{text}</p><pre>code</pre>"
    assert list(parse.html_sections(html)) == [("Tide logging", text), ("Tide logging Usage", text)]


@given(st.text(max_size=300))
def test_parsers_take_any_text(text):
    """Packages hold every kind of broken file: no parser fails on one, and none yields an empty text."""
    found = [*parse.debian_descriptions(text), *parse.docstring_pairs(text), *parse.html_sections(text)]
    page = parse.man_page(text)
    assert all(short and long for short, long in [*found, *([page] if page else [])])


def test_code_is_not_prose():
    """Signatures as queries and listings as passages are refused."""
    assert is_prose("log the tides", LONG)
    assert not is_prose("fn log<T>(self) -> T", LONG)
    assert not is_prose("log the tides", "x = 1 ; y = 2 ; z = x + y")


def test_an_extracted_sentence_leaves_its_passage():
    """The query is one sentence, the passage all others in order."""
    parts = [f"The station number {word} reports its tides daily." for word in ("one", "two", "three", "four", "five")]
    query, passage = extracted(" ".join(parts), random.Random(3))
    assert query in parts
    assert passage == " ".join(part for part in parts if part != query)


def test_a_short_passage_is_not_cut_up():
    """Fewer than five sentences would leave too little to find."""
    assert extracted(LONG, random.Random(0)) is None


def test_pairs_are_chosen_once_and_always_the_same():
    """Repeated queries and repeated passage beginnings are dropped; the same seed gives the same pairs."""
    passage = " ".join([LONG] * 2)
    pairs = [(f"query {word}", f"{word} {passage}") for word in ("alpha", "beta", "gamma")]
    assert list(unlike([*pairs, pairs[0], ("Query ALPHA", LONG), ("new", pairs[1][1])])) == pairs
    first, second = (choose("debian", pairs, 2, random.Random(7)) for _ in range(2))
    assert first == second
    assert len(first) == 2
