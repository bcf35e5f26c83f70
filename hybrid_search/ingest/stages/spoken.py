"""What the texts of a load are written in, where its models read English alone: a warning before hours are encoded."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from hybrid_search.model_languages import english_models, warning
from hybrid_search.read.languages import LEAST_BYTES, LOOKED_AT, LOOKED_INTO, languages
from hybrid_search.records import Document, IndexSchema

log = logging.getLogger(__name__)

ENOUGH = 32
"""Texts after which it is said, while the load goes on."""


class Spoken:
    """Looks at the first texts of a load, and says once what is wrong with its models."""

    def __init__(self, schema: IndexSchema) -> None:
        models = {"dense.model": schema.dense, "sparse.model": schema.sparse}
        self._models = english_models({key: model.name for key, model in models.items() if model is not None})
        self._texts: list[str] = []
        self._said: str | None = None

    def look(self, documents: Iterable[Document]) -> None:
        """At some more documents; those that carry vectors are encoded by others."""
        if not self._models:
            return
        texts = (document.text[:LOOKED_INTO] for document in documents if not document.carries_vectors)
        self._texts += [text for text in texts if len(text.encode("utf-8", "replace")) >= LEAST_BYTES]
        if len(self._texts) >= ENOUGH and (said := self._judged()):
            log.warning("%s", said)

    def notes(self) -> list[str]:
        """The warning, where there is one."""
        self._judged()
        return [] if self._said is None else [self._said]

    def _judged(self) -> str | None:
        """The warning, once."""
        if not self._models or not self._texts:
            return None
        self._said = warning(languages(self._texts[:LOOKED_AT]), self._models)
        self._models, self._texts = {}, []
        return self._said
