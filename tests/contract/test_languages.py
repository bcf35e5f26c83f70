"""Documents of several languages on every engine: each is searched by the words that its own analyzer makes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loading import GeneratedEncoder
from msgspec.structs import replace as changed

from hybrid_search.engine import indices
from hybrid_search.engine.analyzers import has_analyzer
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError, SettingsError
from hybrid_search.ingest import index_documents
from hybrid_search.ingest.maintain.verify import verify
from hybrid_search.records import Document
from hybrid_search.search import SearchClient
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings, TextFieldSettings

DOCUMENTS = {
    "de-1": ("de", "Die Häuser am Fluss sind alt."),
    "de-2": ("de-AT", "Ein Haus mit Garten."),
    "en-1": ("en", "The houses by the river are old."),
    "en-2": ("English", "A house that is running late."),
    "fr-1": ("fr", "Les chevaux courent dans la prairie."),
    "fr-2": ("fra", "Un cheval dort sous l'arbre."),
    "pl-1": ("pl", "Domy nad rzeką są stare."),
    "none": (None, "Notes about Haus and horses."),
    "odd": ("???", "Chevaux"),
}
SETTINGS = Settings(
    documents=DocumentSettings(text=("text",), keyword=("lang",), language="lang"),
    chunking=ChunkingSettings(max_tokens=64, overlap=0),
    engine=EngineSettings(analyzer="standard", analyzers={"de": "german", "en": "english", "fr": "french"}),
)


@pytest.fixture
def loaded(connection, index_name):
    """Loads documents into one new index; a client on it."""
    if not has_analyzer(connection, "german"):
        pytest.skip("this node was built with the English analyzer alone")
    name = index_name()

    def load(found, settings=SETTINGS, encoder=None):
        encoder = encoder or GeneratedEncoder(max_tokens=64)
        report = index_documents(found, name, connection, encoder, settings)
        client = SearchClient(name, settings=settings, encoder=encoder, connection=connection)
        return client, report

    load.name = name
    return load


def given(**more):
    """The documents, with other fields."""
    return [
        Document(id_, text, {**({} if lang is None else {"lang": lang}), **more})
        for id_, (lang, text) in DOCUMENTS.items()
    ]


def found(client, query, **options):
    """The ids of the hits of BM25 alone."""
    return {hit.id for hit in client.search(query, legs=["bm25"], **options).hits}


def test_each_document_is_matched_by_its_own_analyzer(loaded) -> None:
    """What one language's analyzer makes of a word finds the documents of that language alone."""
    client, _ = loaded(given())
    assert {word: found(client, word) for word in ("Haus", "Häuser", "house", "cheval", "run", "Domy", "dom")} == {
        "Haus": {"de-1", "de-2", "none"},  # german: Häuser -> haus, Haus -> haus; standard: haus
        "Häuser": {"de-1", "de-2"},  # german: haus; standard: häuser
        "house": {"en-1", "en-2"},  # english: houses -> hous, house -> hous
        "cheval": {"fr-1", "fr-2"},  # french: chevaux -> cheval; the document of an unknown language has chevaux
        "run": {"en-2"},  # english: running -> run
        "Domy": {"pl-1"},  # standard: domy
        "dom": set(),  # no Polish analyzer here: domy is not dom
    }
    assert found(client, "die") == set()  # a stop word of German, and in no other document


def test_a_passage_is_in_the_field_of_one_analyzer(connection, loaded) -> None:
    """Dialects go with their language; what names no language that has an analyzer goes with all others."""
    loaded(given())
    indices.refresh(connection, loaded.name)
    fields = ["doc_id", "analyzed", "text"]
    body = {"size": 100, "query": {"exists": {"field": "doc_id"}}, "_source": fields}
    hits = connection.send(Request.json("POST", f"/{loaded.name}/_search", body))["hits"]["hits"]
    stored = {hit["_source"]["doc_id"]: hit["_source"] for hit in hits}
    analyzers = ["german", "german", "english", "english", "french", "french", "standard", "standard", "standard"]
    assert {id_: [*stored[id_]["analyzed"]] for id_ in DOCUMENTS} == {
        id_: [name] for id_, name in zip(DOCUMENTS, analyzers, strict=True)
    }
    for source in stored.values():
        assert [*source["analyzed"].values()] == [{"text": source["text"]}]


def test_one_analyzer_for_two_languages_is_one_field(loaded) -> None:
    """Chinese and Japanese are read by ``cjk`` as one; the rest is read by it too where it is that of all others."""
    engine = EngineSettings(analyzer="cjk", analyzers={"zh": "cjk", "ja": "cjk"})
    texts = {"zh": "東京大学", "ja": "東京の家", "x": "東京"}
    documents = [Document(id_, text, {"lang": id_}) for id_, text in texts.items()]
    client, _ = loaded(documents, changed(SETTINGS, engine=engine))
    hits = client.search("東京", legs=["bm25"]).hits
    assert [hit.id for hit in hits] == ["x", "ja", "zh"]  # 1, 3 and 3 pairs of characters; equal ones by id
    assert hits[1].legs["bm25"].score == hits[2].legs["bm25"].score


def test_the_signs_of_simple_queries_are_read_by_each_analyzer(loaded) -> None:
    """Phrases, words to leave out, beginnings, likeness, and the language as a filter."""
    client, _ = loaded(given())
    asked = {
        '"alte Haus"': set(),
        '"Häuser am Fluss"': {"de-1"},
        '"houses by the river"': {"en-1"},
        "Haus -Garten": {"de-1", "none"},
        "Haus -Häuser": {"none"},
        "river*": {"en-1"},
        "chevol~": {"fr-1", "fr-2"},
        "house lang:en": {"en-1"},
        "Haus lang:de": {"de-1"},
    }
    assert {query: found(client, query, syntax="simple") for query in asked} == asked


def test_a_quoted_stop_word_of_one_language_lets_no_other_pass(loaded) -> None:
    """In German, ``die`` says nothing, so that every German document may be meant; in English it is a word."""
    client, _ = loaded([*given(), Document("en-3", "They die young by the river.", {"lang": "en"})])
    assert found(client, 'river Fluss "die"', syntax="simple") == {"de-1", "en-3"}


def test_why_nothing_was_found_is_asked_of_every_analyzer(loaded) -> None:
    """A word for one of them is a word; what is one for none is said to be none."""
    client, _ = loaded(given())
    (warning,) = client.search("Zebra", legs=["bm25"]).warnings
    assert "holds a word of the query" in warning
    (warning,) = client.search("the", legs=["bm25"]).warnings  # a stop word of English, a word for the others
    assert "holds a word of the query" in warning
    (warning,) = client.search("?!", legs=["bm25"]).warnings
    assert "the query holds no word to search for" in warning


def test_the_language_is_detected_where_none_is_said(connection, loaded) -> None:
    """It is kept with the document, can be filtered on, and what is loaded again is known again."""
    settings = changed(SETTINGS, documents=changed(SETTINGS.documents, detect_language=True))
    documents = [
        Document("a", "Die alten Häuser am Fluss wurden im letzten Sommer renoviert und neu gestrichen."),
        Document("b", "The old houses by the river were renovated and painted again last summer."),
        Document("c", "Les vieilles maisons au bord de la rivière ont été rénovées et repeintes l'été dernier."),
        Document("said", "The old houses by the river were renovated and painted again last summer.", {"lang": "de"}),
        Document("short", "Häuser"),
    ]
    client, _ = loaded(documents, settings)
    result = client.search("Haus house maison Häuser", legs=["bm25"], k=10)
    assert {hit.id: hit.fields.get("lang") for hit in result.hits} == {
        "a": "de",
        "b": "en",
        "c": "fr",
        "said": "de",  # which makes hous of houses too
        "short": None,
    }
    assert found(client, "Haus", filter="lang=de") == {"a"}
    _, again = loaded(documents, settings)
    assert (again.unchanged, again.indexed) == (5, 0)
    assert verify(documents, loaded.name, connection, settings.chunking).is_equal


def test_a_language_that_changes_moves_the_document(loaded) -> None:
    """It is found by the new analyzer and no more by the old one."""
    client, _ = loaded([Document("a", "Häuser", {"lang": "de"})])
    assert found(client, "Haus") == {"a"}
    client, report = loaded([Document("a", "Häuser", {"lang": "en"})])
    assert report.indexed == 1
    assert found(client, "Haus") == set()


def test_other_languages_need_a_new_index(loaded) -> None:
    """Where a text stands depends on them; the difference is named."""
    loaded(given())
    analyzers = {"de": "german", "fr": "english", "es": "spanish"}
    other = changed(SETTINGS, engine=changed(SETTINGS.engine, analyzers=analyzers))
    with pytest.raises(IndexMismatchError) as caught:
        loaded(given(), other)
    named = "analyzer of en: english / none; analyzer of es: none / spanish; analyzer of fr: french / english"
    assert named in caught.value.what
    plain = changed(SETTINGS, documents=changed(SETTINGS.documents, language=None), engine=EngineSettings())
    with pytest.raises(IndexMismatchError, match="language: lang / none"):
        loaded(given(), plain)


def test_an_analyzer_of_a_language_that_the_node_lacks(connection, loaded) -> None:
    """It is named by its key before anything is made."""
    engine = changed(SETTINGS.engine, analyzers={"de": "german", "pl": "polish"})
    with pytest.raises(SettingsError) as caught:
        loaded(given(), changed(SETTINGS, engine=engine))
    assert (caught.value.where, "analysis-stempel" in str(caught.value)) == ("engine.analyzers.pl", True)
    assert not indices.exists(connection, loaded.name)


def test_a_long_query_is_cut_for_all_analyzers_together(loaded) -> None:
    """Four analyzers make up to four clauses of a word, so that 250 words are searched for."""
    client, _ = loaded(given())
    result = client.search(" ".join(f"Haus{n}" for n in range(400)) + " Haus", legs=["bm25"])
    assert result.legs["bm25"].failure is None
    assert "the bm25 leg searched for the first 250 words of the query" in result.warnings


def test_fields_of_an_analyzer_that_are_gone_are_seen(connection, loaded) -> None:
    """An index whose mapping is not what it says of itself is refused."""
    loaded(given())
    meta = indices.read_meta(connection, loaded.name)
    schema = indices.open_index(connection, loaded.name).schema
    other = replace(schema, analyzers={**schema.analyzers, "es": "spanish"})
    indices.update_meta(connection, loaded.name, {"schema": {**meta["schema"], "analyzers": dict(other.analyzers)}})
    with pytest.raises(IndexMismatchError, match="no text for the analyzer spanish"):
        indices.open_index(connection, loaded.name)


def test_a_word_that_a_document_has_is_named_by_why_not(loaded) -> None:
    """Whatever the language is: its own analyzer has made it."""
    client, _ = loaded(given())
    answer = client.why_not("Haus house", "de-2", k=1)
    assert {word.text: word.passages for word in answer.words} == {"Haus": 1, "house": 0}


def test_documents_like_one_are_of_its_language(loaded) -> None:
    """By its words, as its analyzer has made them: ``alt`` of ``alten``, and no other language's."""
    texts = {"de": "Die alten Häuser am Fluss", "en": "Die Häuser, an old river song"}
    numbered = [(code, n, text) for code, text in texts.items() for n in range(3)]
    documents = [Document(f"{code}-{n}", f"{text} {n}", {"lang": code}) for code, n, text in numbered]
    client, _ = loaded(documents)
    assert {hit.id for hit in client.more_like("de-0", legs=["bm25"]).hits} == {"de-1", "de-2"}


def test_fields_on_their_own_follow_the_language(connection, loaded) -> None:
    """A title is read as its document is, but for one that has an analyzer of its own; a word in both is one hit."""
    text = {"title": TextFieldSettings(weight=2.0), "code": TextFieldSettings(analyzer="keyword")}
    settings = changed(SETTINGS, text=text)
    documents = [
        Document("de", "Ein Dach aus Stroh.", {"lang": "de", "title": "Häuser", "code": "AB-1"}),
        Document("en", "A roof of straw.", {"lang": "en", "title": "Houses", "code": "AB-2"}),
        Document("xx", "Tak av halm.", {"title": "Hus", "code": "AB-3"}),
    ]
    client, _ = loaded(documents, settings)
    asked = ("Haus", "house", "Dach", "AB-2", "hus")
    assert {word: found(client, word) for word in asked} == {
        "Haus": {"de"},
        "house": {"en"},
        "Dach": {"de"},
        "AB-2": {"en"},
        "hus": {"xx"},
    }
    assert found(client, "title:Haus", syntax="simple") == {"de"}
    assert found(client, "title:Dach", syntax="simple") == set()
    assert verify(documents, loaded.name, connection, settings.chunking).is_equal
    mapping = connection.send(Request.json("GET", f"/{loaded.name}/_mapping"))[loaded.name]["mappings"]["properties"]
    assert mapping["words"]["properties"].keys() == {"code"}
    assert mapping["analyzed"]["properties"]["german"]["properties"]["words"]["properties"].keys() == {"title"}


def test_a_name_counts_the_same_in_a_small_language(loaded) -> None:
    """Of 60 English passages and 3 German ones each says Berlin once, in as long a text as the others."""
    texts = {"en": ("weather", 60), "de": ("Wetter", 3)}
    documents = [
        Document(f"{code}-{n}", f"{'Berlin' if n == 0 else 'Paris'} {word} x{n}", {"lang": code})
        for code, (word, count) in texts.items()
        for n in range(count)
    ]
    loaded(documents)
    client, _ = loaded(documents)  # which is opened when they are there
    scores = {hit.id: hit.legs["bm25"].score for hit in client.search("Berlin", legs=["bm25"]).hits}
    assert scores.keys() == {"en-0", "de-0"}
    assert scores["de-0"] == pytest.approx(scores["en-0"], rel=1e-3)
    assert [hit.id for hit in client.search("Wetter Berlin", legs=["bm25"]).hits][:2] == ["de-0", "en-0"]


def test_documents_like_one_share_words_of_its_language(loaded) -> None:
    """Of "Ein Haus mit Garten." the house is in "Die Häuser ..." too, by the German analyzer; why_not sees it there."""
    client, _ = loaded(given())
    assert [hit.id for hit in client.more_like("de-2", legs=["bm25"])] == ["de-1"]
    held = client.why_not("Häuser", "de-2", legs=["bm25"]).words[0]
    assert (held.passages, "haus" in held.terms) == (1, True)


def test_the_words_that_matched_are_marked_in_every_language(loaded) -> None:
    """As the document's own analyzer has made them, with offsets into the document."""
    client, _ = loaded(given())
    hits = client.search("Haus house cheval", legs=["bm25"], highlight=True).hits
    marked = {hit.id: {hit.text[start:end] for piece in hit.highlights for start, end in piece.marks} for hit in hits}
    assert marked == {
        "de-1": {"Häuser"},
        "de-2": {"Haus"},
        "en-1": {"houses"},
        "en-2": {"house"},
        "fr-1": {"chevaux"},
        "fr-2": {"cheval"},
        "none": {"Haus"},
    }
