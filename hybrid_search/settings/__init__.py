"""The settings of one index, as typed, frozen sections with named defaults.

One TOML file holds them (``hybrid-search init`` writes a commented one); environment variables and flags override
it, in that order. Reading and merging live in :mod:`hybrid_search.read.settings_file`; ranges and contradictions are
checked here, whenever a section is made, and raise SettingsError with the key as ``where``.
"""

from __future__ import annotations

from hybrid_search.settings.documents import ChunkingSettings, DocumentSettings
from hybrid_search.settings.engine import ENGINES, EngineSettings
from hybrid_search.settings.images import ImageSettings
from hybrid_search.settings.models import (
    DENSE_MODEL,
    MAX_DIMENSION,
    NO_MODEL,
    DenseSettings,
    EncodeSettings,
    RerankSettings,
    SparseSettings,
)
from hybrid_search.settings.search import FUSIONS, LEGS, MAX_WINDOW, SearchSettings
from hybrid_search.settings.section import IN_HEADERS, MASKED, SECRETS, Section, require
from hybrid_search.settings.source import SourceSettings
from hybrid_search.settings.text import TextFieldSettings, require_text_fields

__all__ = [
    "DENSE_MODEL",
    "ENGINES",
    "FUSIONS",
    "IN_HEADERS",
    "LEGS",
    "MASKED",
    "MAX_DIMENSION",
    "MAX_WINDOW",
    "NO_MODEL",
    "SECRETS",
    "ChunkingSettings",
    "DenseSettings",
    "DocumentSettings",
    "EncodeSettings",
    "EngineSettings",
    "ImageSettings",
    "RerankSettings",
    "SearchSettings",
    "Section",
    "Settings",
    "SourceSettings",
    "SparseSettings",
    "TextFieldSettings",
]


class Settings(Section, frozen=True):
    """All sections; ``text`` has one for each field that BM25 also searches on its own."""

    documents: DocumentSettings = DocumentSettings()
    text: dict[str, TextFieldSettings] = {}  # noqa: RUF012  # a struct copies its default
    chunking: ChunkingSettings = ChunkingSettings()
    images: ImageSettings = ImageSettings()
    encode: EncodeSettings = EncodeSettings()
    dense: DenseSettings = DenseSettings()
    sparse: SparseSettings = SparseSettings()
    rerank: RerankSettings = RerankSettings()
    search: SearchSettings = SearchSettings()
    engine: EngineSettings = EngineSettings()
    source: SourceSettings = SourceSettings()

    def __post_init__(self) -> None:
        """At least one leg that is searched must also be indexed, and what is searched as text must be text."""
        documents = self.documents
        vectors = {"documents.dense": documents.dense, "documents.sparse": documents.sparse}
        require_text_fields(self.text, {name: key for key, name in vectors.items() if name is not None})
        off = {leg for leg in ("dense", "sparse") if getattr(self, leg).model == NO_MODEL}
        require(
            bool(set(self.search.legs) - off),
            "search.legs",
            f"names only legs that are switched off ({', '.join(self.search.legs)})",
            "Add bm25, or give the leg a model",
        )
        self._require_languages()
        require(
            self.rerank.model != "late" or self.dense.model != NO_MODEL,
            "rerank.model",
            'is "late", which reads the token states of the dense model, but dense.model is "none"',
            "Give dense.model, or a cross-encoder as rerank.model",
        )

    def _require_languages(self) -> None:
        """Analyzers of languages, and what says the language of a document, are of no use without each other."""
        require(
            self.documents.language is None or bool(self.engine.analyzers),
            "documents.language",
            "is of no use without analyzers of languages",
            'Name them: engine.analyzers = { de = "german", fr = "french" }',
        )
        require(
            not self.engine.analyzers or self.documents.language is not None,
            "engine.analyzers",
            "are of no use where nothing says the language of a document",
            "Name the field that does: documents.language; or have it detected: documents.detect_language",
        )
