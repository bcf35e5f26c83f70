"""Vectors for what was loaded into an index of ours without them, or with those of other models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices, layout
from hybrid_search.engine.attached import models_mark
from hybrid_search.engine.bulk import dense_json, late_json, sparse_json
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.coverage import expect_vectors_later, lacking
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.protocols import Dialect
from hybrid_search.errors import IndexMismatchError, SettingsError
from hybrid_search.fields import filter_kinds, value_at, words_in
from hybrid_search.ingest.attach.encoding import PassOptions, PassReport, Progress, Task, encode_all, raise_if_refused
from hybrid_search.ingest.attach.scan import NEWEST, Hit
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.stages.heads import heads_of
from hybrid_search.ingest.stages.images import has_image_model
from hybrid_search.records import Document, Fingerprint, IndexSchema, SparseVector, Vector


@dataclass(frozen=True, slots=True)
class OurIndex:
    """The passages of an index of ours that lack vectors, as the pass sees them: each is a document of the engine."""

    index: str
    shards: int
    schema: IndexSchema
    dialect: Dialect
    encoder: TextEncoder
    mark: str

    @property
    def query(self) -> Mapping[str, Any]:
        """Those without vectors, and those of other models while the models change."""
        return lacking(self.schema)

    @property
    def source(self) -> Any:
        """Their texts, the title that models read before them, and whose vectors they have."""
        title = self.schema.passage_title
        heading = [] if title is None else [f"{layout.FIELDS}.{layout.escape(title)}", f"{layout.FIELDS}.{title}"]
        return [layout.DOC_ID, layout.TEXT, layout.VECTORS, *heading]

    def tasks(self, hits: Sequence[Hit]) -> Sequence[Task | None]:
        """Those that still lack vectors: one that was loaded again meanwhile may have them."""
        found = [hit for hit in hits if self._lacks(hit)]
        texts = iter(self._texts(found))
        return [self._task(hit, next(texts)) if self._lacks(hit) else None for hit in hits]

    def _lacks(self, hit: Hit) -> bool:
        said = hit["_source"].get(layout.VECTORS)
        return bool(said == layout.LATER if self.schema.vectors is None else said != self.schema.vectors)

    def _texts(self, hits: Sequence[Hit]) -> list[str]:
        """What models read of each passage: its text under the title of its document, as when it is loaded."""
        texts = [str(hit["_source"].get(layout.TEXT, "")) for hit in hits]
        title = self.schema.passage_title
        if title is None or not hits:
            return texts
        titles = [words_in(value_at(layout.user_fields(hit["_source"]), title)) for hit in hits]
        heads = heads_of(titles, self.encoder.tokenizer, self.encoder.max_tokens)
        below = zip(heads, texts, strict=True)
        return [text if text.startswith(head.title) else head.over(text) for head, text in below]

    def _task(self, hit: Hit, text: str) -> Task:
        return Task(hit, [text], partial(self._written, str(hit["_id"])))

    def _written(
        self, id_: str, vectors: Sequence[tuple[Vector | None, SparseVector | None, bytes | None]]
    ) -> Mapping[str, Any]:
        dense, sparse, late = vectors[0]
        document = Document(id_, "")
        written: dict[str, Any] = {layout.VECTORS: self.mark}
        if dense is not None and self.schema.dense is not None:
            written[layout.DENSE] = dense_json(dense, document, self.dialect)
        if sparse is not None and self.schema.sparse is not None:
            written[layout.SPARSE] = sparse_json(sparse, document)
        if late is not None and self.schema.late is not None:
            written[layout.LATE] = late_json(late)
        return written


def enrich(
    connection: Connection,
    index: str,
    encoder: TextEncoder,
    *,
    changes_models: bool = False,
    options: PassOptions | None = None,
    progress: Progress | None = None,
) -> PassReport:
    """Give what an index of ours holds without vectors its vectors; run again, it goes on.

    With an encoder of other models than those of the index, all of it is encoded anew in place, if ``changes_models``.
    Until that is done the dense and sparse legs find what the new models have encoded alone. A new model must make
    vectors of the dimension that the index has; :mod:`hybrid_search.reindex` takes any, and has a way back.

    Args:
        connection: the cluster.
        index: an index of ours, or an alias of one.
        encoder: the models of the index, or those that are to take their place.
        changes_models: whether they may.
        options: the order, and the patience with the cluster.
        progress: called after every few documents.

    Raises:
        IndexMismatchError: the index is none of ours, has other models that are not to be changed, or cannot hold
            vectors of these.
        IngestError: the engine has refused some vectors; the others are written.
        EngineError: the cluster refuses, or the patience with it is exhausted.
    """
    options = options or PassOptions()
    waiting = patient(connection, options.retry)
    opened = indices.open_index(waiting, index)
    if not changes_models:
        indices.check_models(opened, encoder)
    schema = _begun(waiting, opened, encoder)
    shards = int(indices.read_settings(waiting, opened.name)["index.number_of_shards"])
    place = OurIndex(opened.name, shards, schema, connection.dialect, encoder, models_mark(schema.dense, schema.sparse))
    first = options.first if options.first == NEWEST else _path_of(options.first, schema)
    report = encode_all(connection, place, encoder, replace(options, first=first), progress)
    indices.refresh(waiting, opened.name)
    raise_if_refused(report)
    if schema.vectors is not None and indices.count(waiting, opened.name, lacking(schema)) == 0:
        _write_schema(waiting, opened.name, replace(schema, vectors=None))
    return report


def _begun(connection: Connection, opened: OpenedIndex, encoder: TextEncoder) -> IndexSchema:
    """The schema, in which the models of ``encoder`` stand from now on; written before any vector is."""
    expect_vectors_later(connection, opened.name)
    schema = opened.schema
    if _is_same(schema.dense, encoder.dense) and _is_same(schema.sparse, encoder.sparse):
        return schema
    _check_fits(opened, encoder)
    mark = models_mark(encoder.dense, encoder.sparse)
    # Token states of the old model stay where they are, and nobody reads them any more: reindex stores new ones.
    changed = replace(schema, dense=encoder.dense, sparse=encoder.sparse, vectors=mark, late=None)
    _write_schema(connection, opened.name, changed)
    return changed


def _is_same(ours: Fingerprint | None, theirs: Fingerprint | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return not ours.difference(theirs)


def _check_fits(opened: OpenedIndex, encoder: TextEncoder) -> None:
    """Refuse models that the fields of the index cannot hold: a mapped field does not change."""
    ours = opened.schema
    if has_image_model(ours):
        raise IndexMismatchError(
            "the index has vectors of images, which are not stored, so that no other model can read them",
            where=opened.where,
            remedy="Load the source again with the other model: hybrid-search reindex",
        )
    unlike = [
        leg
        for leg, mine, theirs in (("dense", ours.dense, encoder.dense), ("sparse", ours.sparse, encoder.sparse))
        if (mine is None) != (theirs is None)
    ]
    sizes = [None if one is None else one.dimension for one in (ours.dense, encoder.dense)]
    what = f"its vectors have {sizes[0]} components, those of this model {sizes[1]}" if sizes[0] != sizes[1] else None
    if unlike:
        what = f"it has {'no ' if getattr(ours, unlike[0]) is None else ''}{unlike[0]} vectors, unlike these models"
    if what is not None:
        raise IndexMismatchError(
            f"the index cannot change to these models in place: {what}",
            where=opened.where,
            remedy="Build a new index beside it: hybrid-search reindex",
        )


def _write_schema(connection: Connection, index: str, schema: IndexSchema) -> None:
    indices.update_meta(connection, index, {"schema": msgspec.to_builtins(schema)})


def _path_of(name: str, schema: IndexSchema) -> str:
    kinds = filter_kinds(schema)
    if name not in kinds:
        raise SettingsError(
            f"{name!r} is no field that documents can be ordered by",
            where="--first",
            remedy=f"Say newest, or one of: {', '.join(kinds) or 'none'}",
        )
    return layout.field_path(name, schema)
