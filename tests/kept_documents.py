"""Documents that are put and come back: of one passage, and of several with white space of every kind."""

from __future__ import annotations

from hybrid_search.records import Document
from hybrid_search.settings import ChunkingSettings, DocumentSettings, Settings

SETTINGS = Settings(
    documents=DocumentSettings(text=("text",), keyword=("kind",), number=("size",)),
    chunking=ChunkingSettings(overlap=2),
)
BRIEF = Document("brief", "three words only", {"kind": "a", "size": 1})
LONG = Document(
    "long", "\n\t One two three four five.\n\nSix seven  eight nine ten.\r\n eleven twelve\n", {"kind": "b"}
)
OTHER = Document("other", "ä b", {"kind": "a", "size": 3, "nested": {"a.b": [1, 2.5, None]}, "50%": True})
