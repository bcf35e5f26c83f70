"""Highlights in an index of several languages: the words as each document's own analyzer matches them."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder

from hybrid_search.engine.analyzers import has_analyzer
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.search import SearchClient
from hybrid_search.settings import ChunkingSettings, DocumentSettings, EngineSettings, Settings

SETTINGS = Settings(
    documents=DocumentSettings(text=("text",), keyword=("lang",), language="lang"),
    chunking=ChunkingSettings(max_tokens=64, overlap=0),
    engine=EngineSettings(analyzer="standard", analyzers={"de": "german", "en": "english"}),
)
TEXTS = {"de": "Die Häuser am Fluss & das Tal.", "en": "Houses by a river."}


def test_words_are_marked_as_the_analyzer_of_their_language_matches_them(connection, index_name) -> None:
    """A singular of each language marks the plural; offsets are those of the document."""
    if not has_analyzer(connection, "german"):
        pytest.skip("this node was built with the English analyzer alone")
    name, encoder = index_name(), GeneratedEncoder(max_tokens=64)
    documents = [Document(lang, text, {"lang": lang}) for lang, text in TEXTS.items()]
    index_documents(documents, name, connection, encoder, SETTINGS)
    with SearchClient(name, settings=SETTINGS, encoder=encoder, connection=connection) as client:
        result = client.search("Haus house", legs=["bm25"], highlight=True)
    found = {hit.id: [(one.field, one.start, one.html) for one in hit.highlights] for hit in result}
    assert found == {
        "de": [("text", 0, "Die <mark>Häuser</mark> am Fluss &amp; das Tal.")],
        "en": [("text", 0, "<mark>Houses</mark> by a river.")],
    }
