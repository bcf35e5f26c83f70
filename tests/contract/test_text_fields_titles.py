"""Titles before passages, on real engines: what models read, what is shown, and what an index does not mix."""

from __future__ import annotations

import json

import msgspec
import pytest
from loading import GeneratedEncoder

from hybrid_search import read
from hybrid_search.engine.indices import open_index, refresh
from hybrid_search.engine.layout import text_paths
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.files import LoadFiles
from hybrid_search.ingest.maintain.stored import spoiled
from hybrid_search.records import Query
from hybrid_search.reindex import Encoders, Judged, reindex
from hybrid_search.search import SearchClient
from hybrid_search.settings import (
    ChunkingSettings,
    DocumentSettings,
    EngineSettings,
    SearchSettings,
    Settings,
    TextFieldSettings,
)

TITLE = "Quiet lamps"
BODY = "One is very red. Two are very blue. Three are very green."
ROWS = [
    {"_id": "long", "title": TITLE, "text": BODY},
    {"_id": "short", "title": "A stone", "text": "It lies."},
    {"_id": "none", "text": "Nothing heads this. It is two sentences."},
]


def settings_of(*, with_title: bool | None = True, **documents: object) -> Settings:
    """Passages of eight words, none of which is in two of them."""
    return Settings(
        documents=DocumentSettings(**documents),
        chunking=ChunkingSettings(max_tokens=8, overlap=0, with_title=with_title),
        search=SearchSettings(legs=("bm25", "dense")),
        engine=EngineSettings(analyzer="standard"),
    )


@pytest.fixture
def load(connection, index_name, tmp_path):
    """Loads rows into one index, and gives the encoder that read the passages, or what came of it."""
    source, index = tmp_path / "rows.jsonl", index_name()

    def load(settings: Settings, rows: list[dict[str, str]] = ROWS):
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        encoder = GeneratedEncoder(max_tokens=64)
        found = read.documents(source, settings.documents)
        load.report = index_documents(found, index, connection, encoder, settings)
        return encoder.texts

    load.index, load.source = index, source
    return load


def test_models_read_the_title_before_every_passage(load) -> None:
    """Once where the passage begins with it; a document without a title, and one of one passage, are as they are."""
    texts = load(settings_of())
    assert texts == [
        "Quiet lamps\nOne is very red.",
        "Quiet lamps\nTwo are very blue.",
        "Quiet lamps\nThree are very green.",
        "A stone\nIt lies.",
        "Nothing heads this. It is two sentences.",
    ]
    assert max(len(text.split()) for text in texts) <= 8


def test_without_titles_passages_are_read_as_they_are(load) -> None:
    """The room that a title takes holds more of the text."""
    assert load(settings_of(with_title=False))[:2] == [
        "Quiet lamps\nOne is very red.",
        "Two are very blue. Three are very green.",
    ]


def test_a_title_that_is_no_text_heads_the_first_passage_too(load) -> None:
    """``documents.title`` beside ``documents.text``: no passage begins with it."""
    texts = load(settings_of(title="title", text=("text",)))
    assert texts == [
        "Quiet lamps\nOne is very red.",
        "Quiet lamps\nTwo are very blue.",
        "Quiet lamps\nThree are very green.",
        "A stone\nIt lies.",
        "Nothing heads this. It is two sentences.",
    ]


def test_what_is_shown_is_the_passage(load, connection) -> None:
    """Offsets are of the document's text; a word of the title finds every passage of its document."""
    load(settings_of())
    with SearchClient(load.index, settings=settings_of(), encoder=GeneratedEncoder(), connection=connection) as client:
        hits = client.search("lamps", legs=["bm25"], collapse=False)
        third = next(hit for hit in hits if "Three" in hit.text)
        both = client.search("lamps green", legs=["bm25"])
    whole = f"{TITLE}\n{BODY}"
    assert {hit.text for hit in hits} == {whole[hit.start : hit.end] for hit in hits}
    assert len(hits) == 3
    assert (third.text, third.fields["title"]) == ("Three are very green.", TITLE)
    assert both.hits[0].text == "Three are very green."


def test_the_title_is_a_text_field(load, connection) -> None:
    """Of the index's analyzer, as long as nothing else is said."""
    load(settings_of())
    schema = open_index(connection, load.index).schema
    assert schema.passage_title == "title"
    assert [(path.name, path.path, path.analyzer) for path in text_paths(schema)] == [
        ("text", "text", "standard"),
        ("title", "words.title", "standard"),
    ]


@pytest.mark.parametrize("made", [True, False])
def test_an_index_is_one_or_the_other(load, made) -> None:
    """Settings that say nothing go on as it was made; those that say otherwise are refused, and nothing is loaded."""
    load(settings_of(with_title=made))
    load(settings_of(with_title=None))
    assert load.report.unchanged == len(ROWS)
    names = ("title", "none") if made else ("none", "title")
    with pytest.raises(IndexMismatchError, match=f"title before passages: {names[0]} / {names[1]}.*reindex"):
        load(settings_of(with_title=not made))


def test_another_title_is_loaded_again(load) -> None:
    """It is read by the models, before every passage."""
    load(settings_of())
    changed = [{**ROWS[0], "title": "Loud lamps"}, *ROWS[1:]]
    texts = load(settings_of(), changed)
    assert [text.split("\n")[0] for text in texts] == ["Loud lamps"] * 3


def test_a_title_in_html_is_read_as_text(load) -> None:
    """As the text is that it heads."""
    rows = [{"_id": "a", "title": "<b>Red</b>&nbsp;sea", "text": "One is here now. Two are there now."}]
    assert load(settings_of(html=("title",)), rows)[-1] == "Red sea\nTwo are there now."


def test_composed_letters_head_passages_as_they_are_searched(load) -> None:
    """An accent that is a character of its own becomes one with its letter, in both."""
    rows = [{"_id": "a", "title": "Cafe\u0301 noir", "text": "One is here now. Two are there now."}]
    assert load(settings_of(), rows) == ["Caf\u00e9 noir\nOne is here now.", "Caf\u00e9 noir\nTwo are there now."]


def test_a_deep_look_sees_text_fields(load, connection) -> None:
    """What ``verify --deep`` compares with the source."""
    load(settings_of())
    opened = open_index(connection, load.index)
    found = list(read.documents(load.source, settings_of().documents))
    refresh(connection, load.index)
    assert spoiled(connection, opened, found) == set()
    change = {"doc": {"words": {"title": "Loud lamps"}}}
    path = f"/{load.index}/_update/long%231"
    connection.send(Request.json("POST", path, change, refresh="true"))
    assert spoiled(connection, opened, found) == {"long"}


def test_vectors_that_come_along_are_of_the_text(load) -> None:
    """A document that carries vectors is one passage without a head."""
    rows = [{**ROWS[0], "vector": [1.0] * 16, "terms": {"1": 1.0}}]
    assert load(settings_of(dense="vector", sparse="terms"), rows) == []


def test_reindex_builds_what_an_index_cannot_become(connection, load, tmp_path, request) -> None:
    """The live index has neither text fields nor titles before passages; both are measured, each as it was made."""
    plain, titled = settings_of(with_title=False), settings_of(title="title", text=("title", "text"))
    titled = msgspec.structs.replace(titled, text={"title": TextFieldSettings(weight=3.0)})
    load(plain)
    encoders = Encoders(GeneratedEncoder(max_tokens=64), GeneratedEncoder(max_tokens=64))
    judged = Judged([Query("lamps green", id="q")], {"q": {"long": 1}})
    alias, files = f"{load.index}-alias", LoadFiles(tmp_path / "journal", tmp_path / "letters.jsonl")

    def remove() -> None:
        for number in (1, 2):
            connection.transport.send(Request.json("DELETE", f"/{alias}-{number}"))

    request.addfinalizer(remove)
    reindex(load.source, alias, connection, encoders, plain, files=files)
    done = reindex(load.source, alias, connection, encoders, titled, judged=judged, files=files)
    assert (done.moved, done.scores) == (True, (1.0, 1.0))
    schema = open_index(connection, alias).schema
    assert [(one.name, one.weight) for one in schema.text_fields] == [("title", 3.0)]
    assert schema.passage_title == "title"
    with pytest.raises(IndexMismatchError, match="does not search 'title' on its own"):
        SearchClient(f"{alias}-1", settings=titled, encoder=GeneratedEncoder(), connection=connection).search("lamps")
