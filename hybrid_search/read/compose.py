"""Documents made of records, as the settings say which field is what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybrid_search.errors import EmptyTextError, RecordError, SourceError
from hybrid_search.fields import PLAIN, check, value_at, values_at, words_in
from hybrid_search.images import ImageSource
from hybrid_search.read.fields import field_readings, text_of, without
from hybrid_search.read.html import html_text
from hybrid_search.read.identity import IdHashes, content_id, document_id
from hybrid_search.read.images.named import images_in, is_storable
from hybrid_search.read.raw import OnBad, RawRecord, RawRecords
from hybrid_search.read.vectors import dense_vector, sparse_vector
from hybrid_search.records import Document, SparseVector, Vector
from hybrid_search.settings import DocumentSettings
from hybrid_search.settings.documents import CONTENT, FIELD, FILTERED


class Composer:
    """Makes a document of a record, and refuses what no engine would take.

    ``Document.text`` is the text fields that are not empty, joined by a newline. ``Document.fields`` is the rest of
    the record: without the id, the vectors and the text fields, which would be stored twice; but the first of several
    text fields stays, as the title that a list of hits shows, and so do the title, the source of what was HTML, and a
    text field that is also filtered on.
    ``Document.texts`` are the texts of the text fields one by one, and of the title.
    It remembers ids, where they are to be unique (16 bytes for each), and the dimension of the first dense vector.
    """

    def __init__(
        self, settings: DocumentSettings, *, unique_ids: bool = True, folder: str | Path | None = None
    ) -> None:
        self._settings = settings
        self._folder = settings.image_folder or folder
        self._ids = IdHashes() if unique_ids else None
        self._dimension: int | None = None
        readings = field_readings(settings)
        self._roles = [
            (name, "keyword" if role == "boolean" else role, readings.get(name, PLAIN))
            for role in FILTERED
            for name in getattr(settings, role)
        ]
        self._dropped = _not_stored(settings)
        self._dropped_inside = [name for name in self._dropped if "." in name]

    def document(self, record: RawRecord) -> Document:
        """The document of one record.

        Raises:
            RecordError: the id is missing, of a wrong type, too long or was there before; the text is empty; a vector
                or a field to filter on is not what it must be.
        """
        try:
            return self._composed(record)
        except RecordError as error:
            raise type(error)(error.what, where=record.where, remedy=error.remedy) from None

    def _composed(self, record: RawRecord) -> Document:
        values, names = record.values, self._settings
        identifier = self._identifier(values)
        parts = self._texts(values)
        images = self._images(record)
        text = self._text(values, parts, may_be_empty=bool(images))
        dense, sparse = self._dense(values), self._sparse(values)
        fields = self._fields(values)
        if self._ids is not None and not self._ids.add(identifier):
            remedy = "Give every document its own id, or set documents.repeated_ids: first, last or number"
            raise RecordError(f"the id {identifier!r} was given before (field {names.id!r})", remedy=remedy)
        texts = self._headed(parts, values)
        return Document(identifier, text, fields, dense, sparse, record.where, record.end, texts, images)

    def _identifier(self, values: dict[str, Any]) -> str:
        if self._settings.id_from == CONTENT:
            return content_id(values)
        value = value_at(values, self._settings.id)
        if value is None:
            what = f"there is no id: the field {self._settings.id!r} is missing"
            raise RecordError(what, remedy=f"Set documents.id; the record has: {', '.join(map(str, values))}")
        return document_id(value, self._settings.id)

    def _texts(self, values: dict[str, Any]) -> dict[str, str]:
        return {name: self._plain(text_of(value_at(values, name), name), name) for name in self._settings.text}

    def _images(self, record: RawRecord) -> tuple[ImageSource, ...]:
        """The picture that the record is, or the images that its field names."""
        if record.image is not None:
            return (ImageSource(path=str(record.image.absolute())),)
        name = self._settings.image
        value = None if name is None else value_at(record.values, name)
        if value is None:
            return ()
        folder = None if self._folder is None else Path(self._folder)
        return images_in(value, folder, follow_links=self._settings.follow_links)

    def _text(self, values: dict[str, Any], parts: Mapping[str, str], *, may_be_empty: bool) -> str:
        text = "\n".join([part for part in parts.values() if part])
        if not may_be_empty and (not text or text.isspace()):
            names = ", ".join(self._settings.text)
            what = f"the text is empty (documents.text is {names})"
            raise EmptyTextError(what, remedy=f"Set documents.text; the record has: {', '.join(map(str, values))}")
        return text

    def _plain(self, text: str, name: str) -> str:
        return html_text(text) if name in self._settings.html else text

    def _headed(self, parts: dict[str, str], values: dict[str, Any]) -> dict[str, str]:
        """The texts with that of the title, which need not be one of them."""
        title = self._settings.heading
        return parts if title is None or title in parts else {**parts, title: words_in(value_at(values, title))}

    def _dense(self, values: dict[str, Any]) -> Vector | None:
        name = self._settings.dense
        value = value_at(values, name) if name else None
        if value is None or name is None:
            return None
        vector = dense_vector(value, name)
        if self._dimension is None:
            self._dimension = vector.size
        if vector.size != self._dimension:
            what = f"the dense vector {name!r} has {vector.size} components, the first one had {self._dimension}"
            raise RecordError(what, remedy="All vectors of an index must come from one model")
        return vector

    def _sparse(self, values: dict[str, Any]) -> SparseVector | None:
        name = self._settings.sparse
        value = value_at(values, name) if name else None
        return None if value is None or name is None else sparse_vector(value, name)

    def _fields(self, values: dict[str, Any]) -> dict[str, Any]:
        dropped = self._dropped
        fields = {name: value for name, value in values.items() if name not in dropped}
        for name in self._dropped_inside:
            fields = without(fields, name)
        image = self._settings.image
        if image is not None and not is_storable(value_at(fields, image)):
            fields = without(fields, image)
        for name, role, reading in self._roles:
            for value in values_at(fields, name, role):
                check(value, name, role, reading)
        return fields


def _not_stored(settings: DocumentSettings) -> frozenset[str]:
    """Fields of a record that are not kept in ``Document.fields``."""
    body = settings.text[1:] if len(settings.text) > 1 else settings.text
    kept = {name for role in FILTERED for name in getattr(settings, role)} | {*settings.html, settings.title}
    vectors = {name for name in (settings.dense, settings.sparse) if name is not None}
    identifier = {settings.id} if settings.id_from == FIELD else set()
    return frozenset({*identifier, *vectors, *body} - kept)


def compose(
    records: RawRecords,
    settings: DocumentSettings,
    place: str,
    on_bad: OnBad,
    *,
    unique_ids: bool = True,
    may_be_empty: bool = False,
    folder: str | Path | None = None,
) -> Iterator[Document]:
    """The documents of all records; those that are refused go to ``on_bad``. Images are in the ``folder``.

    Raises:
        SourceError: the source held no document, unless it ``may_be_empty``.
    """
    composer = Composer(settings, unique_ids=unique_ids, folder=folder)
    count = 0
    for record in records:
        try:
            document = composer.document(record)
        except RecordError as error:
            on_bad(error, record.as_bytes())
            continue
        count += 1
        yield document
    if not count and not may_be_empty:
        raise SourceError("holds no document", where=place, remedy="Check the source, its format and documents.text")
