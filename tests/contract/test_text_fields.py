"""Fields that BM25 searches on their own, on real engines: what a word in them counts, and by whose word."""

from __future__ import annotations

import math
from uuid import uuid4

import msgspec
import pytest
from loading import GeneratedEncoder
from typer.testing import CliRunner

from hybrid_search.cli.app import app
from hybrid_search.engine.indices import delete_index, open_index
from hybrid_search.engine.layout import text_paths
from hybrid_search.errors import IndexMismatchError, QueryError
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.search import SearchClient, TextScoring
from hybrid_search.settings import (
    ChunkingSettings,
    DenseSettings,
    EngineSettings,
    SearchSettings,
    Settings,
    SparseSettings,
    TextFieldSettings,
)

K1, B = 0.9, 0.4
TITLED = {"title": TextFieldSettings(weight=2.0)}


def settings_of(**text: TextFieldSettings) -> Settings:
    """BM25 alone, words as they are written, no title before passages unless it is named."""
    return Settings(
        text=text,
        chunking=ChunkingSettings(with_title=False),
        dense=DenseSettings(model="none"),
        sparse=SparseSettings(model="none"),
        search=SearchSettings(legs=("bm25",)),
        engine=EngineSettings(analyzer="standard"),
    )


class Corpus:
    """Documents of a title and a body that were loaded with some settings, and how to search them."""

    def __init__(self, connection, index: str, settings: Settings, records: dict[str, dict[str, str]]) -> None:
        self.connection, self.index, self.settings = connection, index, settings
        self.load(settings, records)

    def load(self, settings: Settings, records: dict[str, dict[str, str]]):
        found = [Document(id_, record["body"], record) for id_, record in records.items()]
        return index_documents(found, self.index, self.connection, GeneratedEncoder(None, None, 512), settings)

    def client(self, settings: Settings | None = None) -> SearchClient:
        return SearchClient(self.index, settings=settings or self.settings, connection=self.connection)

    def search(self, query: str, settings: Settings | None = None, **options: object) -> dict[str, float]:
        return {hit.id: hit.legs["bm25"].score for hit in self.client(settings).search(query, **options)}


@pytest.fixture
def corpus(connection, index_name):
    """Makes one on the engine in turn."""

    def made(settings: Settings, **records: dict[str, str]) -> Corpus:
        return Corpus(connection, index_name(), settings, records)

    return made


FRUIT = {
    "once": {"title": "plum", "body": "apple tart"},
    "thrice": {"title": "apple", "body": "apple apple"},
    "both": {"title": "pie", "body": "apple tart"},
}


def bm25f(query: dict[str, int], fields: list[tuple[float, dict[str, list[str]]]], id_: str) -> float:
    """BM25F of a document: each term as often as its fields weigh, by the length of all fields together."""
    documents = len(fields[0][1])
    length = {one: sum(weight * len(texts[one]) for weight, texts in fields) for one in fields[0][1]}
    average = sum(length.values()) / documents
    score = 0.0
    for term in query:
        often = sum(weight * texts[id_].count(term) for weight, texts in fields)
        holding = max(sum(term in words for words in texts.values()) for _, texts in fields)
        rarity = math.log(1 + (documents - holding + 0.5) / (holding + 0.5))
        score += rarity * often / (often + K1 * (1 - B + B * length[id_] / average))
    return score


def test_a_word_in_two_fields_is_one_hit(corpus) -> None:
    """Scores are those of BM25F: Elasticsearch's times ``k1 + 1``, which changes no ranking."""
    found = corpus(settings_of(**TITLED), **FRUIT).search("apple pie")
    bodies = {id_: record["body"].split() for id_, record in FRUIT.items()}
    titles = {id_: record["title"].split() for id_, record in FRUIT.items()}
    expected = {id_: bm25f({"apple": 1, "pie": 1}, [(1.0, bodies), (2.0, titles)], id_) for id_ in FRUIT}
    factor = found["both"] / expected["both"]
    assert factor == pytest.approx(1.0, rel=1e-5) or factor == pytest.approx(K1 + 1, rel=1e-5)
    assert found == pytest.approx({id_: score * factor for id_, score in expected.items()}, rel=1e-5)
    assert list(found) == ["both", "thrice", "once"]  # two words, once each, before one word in every place


def test_weights_change_without_indexing_again(corpus) -> None:
    """The search's word before that of the settings, and theirs before that of the index."""
    made = corpus(
        settings_of(**TITLED), title={"title": "apple", "body": "plum"}, body={"title": "plum", "body": "apple"}
    )
    assert list(made.search("apple")) == ["title", "body"]
    light = settings_of(title=TextFieldSettings(weight=0.5))
    assert list(made.search("apple", light)) == ["body", "title"]
    assert list(made.search("apple", light, text=TextScoring({"title": 3}))) == ["title", "body"]
    assert list(made.search("apple", text=TextScoring({"title": 0}))) == ["body"]
    assert list(made.search("apple", text=TextScoring({"text": 0}))) == ["title"]
    assert list(made.search("apple", Settings(search=SearchSettings(legs=("bm25",))))) == ["title", "body"]


def test_each_field_has_its_own_analyzer(corpus) -> None:
    """A code is one word with its dashes; of a word that two analyzers read the better text counts, not both."""
    settings = settings_of(code=TextFieldSettings(analyzer="whitespace"))
    made = corpus(
        settings,
        whole={"code": "AB-12-C", "body": "a lamp"},
        parts={"code": "AB-99", "body": "ab 12 c"},
        double={"code": "lamp", "body": "a lamp"},
    )
    assert [path.analyzer for path in text_paths(open_index(made.connection, made.index).schema)] == [
        "standard",
        "whitespace",
    ]
    assert "whole" in made.search("AB-12-C")
    assert set(made.search("AB-12-C", text=TextScoring({"text": 0}))) == {"whole"}
    one, other = (made.search("lamp", text=TextScoring({name: 0}))["double"] for name in ("code", "text"))
    assert made.search("lamp")["double"] == pytest.approx(max(one, other))


def test_two_words_in_texts_of_two_analyzers_are_two_hits(corpus) -> None:
    """A brand and a word of the text, against the brand alone and the word alone."""
    made = corpus(
        settings_of(brand=TextFieldSettings(analyzer="simple")),
        both={"brand": "Sol", "body": "a lamp"},
        brand={"brand": "Sol", "body": "a stone"},
        word={"brand": "Nord", "body": "a lamp"},
        neither={"brand": "Nord", "body": "a stone"},
    )
    found = made.search("sol lamp")
    assert found.keys() == {"both", "brand", "word"}
    assert found["both"] == pytest.approx(found["brand"] + found["word"])


def test_words_in_a_row_and_near_each_other_count(corpus) -> None:
    """Off by default; the same words in the same numbers, in three orders."""
    made = corpus(
        settings_of(),
        far={"body": "red x x x x x x x x x x x wine"},
        near={"body": "wine x red x x x x x x x x x x"},
        row={"body": "x x x red wine x x x x x x x x"},
    )
    plain = made.search("red wine")
    assert len(set(plain.values())) == 1
    phrased = made.search("red wine", text=TextScoring(phrase=1.0))
    assert list(phrased) == ["row", "far", "near"]
    assert phrased["far"] == phrased["near"] == plain["far"]
    assert list(made.search("red wine", text=TextScoring(proximity=1.0))) == ["row", "near", "far"]
    boosted = msgspec.structs.replace(settings_of(), search=SearchSettings(legs=("bm25",), phrase=1.0))
    assert made.search("red wine", boosted) == phrased
    assert made.search("red wine", boosted, text=TextScoring(phrase=0.0)) == plain
    assert made.search("red", text=TextScoring(phrase=1.0)) == made.search("red")  # one word is no phrase


SIGNED = {
    "title:lamp": {"titled"},
    'title:"desk lamp"': {"titled"},
    "-title:lamp lamp": {"body"},
    '"desk lamp"': {"titled"},
    "-brass lamp": {"body"},
    "bras* lamp": {"titled", "body"},
}


@pytest.fixture(scope="module")
def signed(connection):
    """Two lamps, one of which says so in its title."""
    records = {
        "titled": {"title": "brass desk lamp", "body": "it shines"},
        "body": {"title": "a light", "body": "this lamp is for the desk"},
    }
    made = Corpus(connection, f"test-text-signs-{uuid4().hex[:12]}", settings_of(**TITLED), records)
    yield made
    delete_index(connection, made.index)


@pytest.mark.parametrize(("text", "expected"), SIGNED.items(), ids=SIGNED)
def test_signs_reach_text_fields(signed, text, expected) -> None:
    """``field:word`` is one text, what has no field is all of them; an unknown field is text."""
    assert set(signed.search(text, syntax="simple")) == expected


@pytest.mark.parametrize("name", ["meta.title", "a^2", "b*", "größe", "x y"])
def test_a_field_may_have_any_name(corpus, name) -> None:
    """Signs by which queries give weights and patterns, dots, and what is no ASCII."""
    head, _, rest = name.partition(".")
    record = {head: {rest: "apple"} if rest else "apple", "body": "plum"}
    made = corpus(settings_of(**{name: TextFieldSettings(weight=2)}), only=record)
    assert list(made.search("apple", text=TextScoring({name: 2, "text": 1.5}))) == ["only"]
    assert list(made.search("apple", text=TextScoring({name: 1.5, "text": 3}))) == ["only"]


def test_an_unknown_field_names_the_nearest(corpus) -> None:
    """In a search, with what would have to be done for another."""
    made = corpus(settings_of(**TITLED), **FRUIT)
    with pytest.raises(QueryError, match=r"no text field 'titel'.*Did you mean title.*\[text.titel\].*reindex"):
        made.search("apple", text=TextScoring({"titel": 2}))
    with pytest.raises(QueryError, match="every text field has the weight 0"):
        made.search("apple", text=TextScoring({"title": 0, "text": 0}))


def test_an_index_without_text_fields_goes_on_as_it_was(corpus) -> None:
    """It is searched and loaded as before; settings that name a field say what to do, in search and load."""
    made = corpus(settings_of(), **FRUIT)
    assert text_paths(open_index(made.connection, made.index).schema)[1:] == ()
    before = made.search("apple pie")
    assert made.load(settings_of(), FRUIT).unchanged == len(FRUIT)
    with pytest.raises(IndexMismatchError, match=r"does not search 'title' on its own.*reindex"):
        made.search("apple", settings_of(**TITLED))
    with pytest.raises(IndexMismatchError, match=r"text field title: none / standard.*reindex"):
        made.load(settings_of(**TITLED), FRUIT)
    assert made.search("apple pie") == before


def test_another_analyzer_is_refused(corpus) -> None:
    """What is in the index was read by the one that it was made with."""
    made = corpus(settings_of(**TITLED), **FRUIT)
    other = settings_of(title=TextFieldSettings(analyzer="whitespace"))
    with pytest.raises(IndexMismatchError, match="text field title: standard / whitespace"):
        made.load(other, FRUIT)
    with pytest.raises(IndexMismatchError, match="by the analyzer standard, not whitespace"):
        made.search("apple", other)


def test_a_text_field_that_changed_is_loaded_again(corpus) -> None:
    """Its text is part of what tells documents apart."""
    made = corpus(settings_of(**TITLED), **FRUIT)
    changed = {**FRUIT, "once": {"title": "quince", "body": "apple tart"}}
    report = made.load(settings_of(**TITLED), changed)
    assert (report.unchanged, report.indexed) == (2, 1)
    assert list(made.search("quince")) == ["once"]


def test_the_command_weighs_texts(corpus, engine_url) -> None:
    """``--text-weights`` and ``--phrase``; a number that is none names the option."""
    made = corpus(
        settings_of(**TITLED), title={"title": "apple", "body": "plum"}, body={"title": "plum", "body": "apple"}
    )

    def ids(*options: str) -> list[str]:
        arguments = ["search", made.index, "apple", "--legs", "bm25", "--format", "ids", *options]
        result = CliRunner().invoke(app, arguments, env={"HYBRID_SEARCH_URL": engine_url})
        return result.output.split() if result.exit_code == 0 else [result.output]

    assert ids() == ["title", "body"]
    assert ids("--text-weights", "title=.5") == ["body", "title"]
    assert ids("--set", "text.title.weight=.5", "--phrase", ".5") == ["body", "title"]
    assert "--text-weights: 'title' is no weight. Example: title=2,text=1" in ids("--text-weights", "title")[0]
    assert "no text field 'titel'" in ids("--text-weights", "titel=2")[0]
