"""Vectors in an index that somebody else owns: its mapping extended, its documents given our part beside theirs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from hybrid_search.attachment import Attachment
from hybrid_search.encode.protocols import TextEncoder
from hybrid_search.engine import indices, layout
from hybrid_search.engine.attached import ATTACHED_VERSION, attached_properties, text_digest, text_of
from hybrid_search.engine.bulk import dense_json, sparse_json
from hybrid_search.engine.connection import Connection
from hybrid_search.engine.foreign import ForeignIndex, foreign_index
from hybrid_search.engine.protocols import Dialect, Request
from hybrid_search.engine.templates import META
from hybrid_search.errors import IngestError, SettingsError
from hybrid_search.fields import value_at, words_in
from hybrid_search.ingest.attach.encoding import PassOptions, PassReport, Progress, Task, encode_all, raise_if_refused
from hybrid_search.ingest.attach.plan import AttachPlan, attached_schema, check_attachable
from hybrid_search.ingest.attach.scan import NEWEST, Hit
from hybrid_search.ingest.patience import patient
from hybrid_search.ingest.stages.chunk import passages_of
from hybrid_search.ingest.stages.chunking import LONGEST
from hybrid_search.records import Document, IndexSchema, Passage, SparseVector, Vector
from hybrid_search.settings import ChunkingSettings, Settings

SAMPLED = 16
"""Documents that are encoded to tell how long all of them will take."""

SPARSE_BYTES = 1_200
"""About what the term weights of a passage take on disk: some 150 terms."""

OURS = frozenset({"models", "digest", "passages"})

MANY = 100_000
"""Vectors up to which comparing a query with every one of them takes some tens of milliseconds."""

NO_GRAPH = (
    "index.knn is not true, and OpenSearch lets nobody set it after an index was made (a final setting, open or"
    " closed): a query is compared with every vector instead of searching a graph. That is exact, and takes longer the"
    " more documents there are; for a graph copy the index into one of ours: hybrid-search index os:INDEX"
)


@dataclass(frozen=True, slots=True)
class OwnersIndex:
    """The documents of another owner, as the pass sees them."""

    index: str
    shards: int
    schema: IndexSchema
    dialect: Dialect
    encoder: TextEncoder
    chunking: ChunkingSettings
    query: Mapping[str, Any] = field(default_factory=lambda: {"match_all": {}})

    @property
    def attached(self) -> Attachment:
        """Where everything is."""
        return self.schema.attached or Attachment(())

    @property
    def source(self) -> Any:
        """Their texts, and what is under our name but passages."""
        title = self.schema.passage_title
        texts = dict.fromkeys((*self.attached.texts, *([] if title is None else [title])))
        return {"includes": [*texts, layout.ATTACHED], "excludes": [layout.ATTACHED_PASSAGES]}

    def tasks(self, hits: Sequence[Hit]) -> Sequence[Task | None]:
        """Those whose vectors are of another text, of other models, or not there."""
        texts = [text_of(hit.get("_source") or {}, self.attached.texts) for hit in hits]
        lacking = [self._lacks(hit, text) for hit, text in zip(hits, texts, strict=True)]
        read = [self._document(hit, text) for hit, text, lacks in zip(hits, texts, lacking, strict=True) if lacks]
        cut = iter(self._passages(read))
        return [
            self._task(hit, text, next(cut)) if lacks else None
            for hit, text, lacks in zip(hits, texts, lacking, strict=True)
        ]

    def _lacks(self, hit: Hit, text: str) -> bool:
        ours = (hit.get("_source") or {}).get(layout.ATTACHED) or {}
        if not isinstance(ours, Mapping) or ours.keys() - OURS or (ours and "models" not in ours):
            raise IngestError(
                f"the document {hit['_id']!r} has a field {layout.ATTACHED!r} that is not ours",
                where=self.index,
                remedy="Rename it; nothing of it was changed",
            )
        return (ours.get("models"), ours.get("digest")) != (self.attached.models, text_digest(text))

    def _document(self, hit: Hit, text: str) -> Document:
        title = self.schema.passage_title
        found = "" if title is None else words_in(value_at(hit.get("_source") or {}, title))
        return Document(str(hit["_id"]), text, texts={} if title is None else {title: found})

    def _passages(self, read: Sequence[Document]) -> list[list[Passage]]:
        """The passages of each; of a document without text none."""
        written = [one for one in read if one.text.strip()]
        cut = iter(cut_as_settings_say(written, self.encoder, self.chunking, self.schema.passage_title))
        return [next(cut) if one.text.strip() else [] for one in read]

    def _task(self, hit: Hit, text: str, passages: Sequence[Passage]) -> Task:
        kept = passages[: self.attached.most]
        made = partial(self._written, text, kept)
        return Task(hit, [one.for_models for one in kept], made, is_cut=len(kept) < len(passages))

    def _written(
        self,
        text: str,
        passages: Sequence[Passage],
        vectors: Sequence[tuple[Vector | None, SparseVector | None, bytes | None]],
    ) -> Mapping[str, Any]:
        """Our part of the document, all of it anew."""
        inside = []
        for one, (dense, sparse, _) in zip(passages, vectors, strict=True):
            passage: dict[str, Any] = {layout.START: one.start, layout.END: one.end}
            if dense is not None and self.attached.dense is not None:
                passage[self.attached.dense] = dense_json(dense, one.document, self.dialect)
            if sparse is not None and self.attached.sparse is not None:
                passage[self.attached.sparse] = sparse_json(sparse, one.document)
            inside.append(passage)
        return {layout.ATTACHED: {"models": self.attached.models, "digest": text_digest(text), "passages": inside}}


def cut_as_settings_say(
    documents: Sequence[Document], encoder: TextEncoder, chunking: ChunkingSettings, title: str | None
) -> list[list[Passage]]:
    """The passages of each document, as a load cuts them."""
    limit = min(encoder.max_tokens, LONGEST) if chunking.max_tokens is None else chunking.max_tokens
    titles = None if title is None else [one.texts.get(title, "") for one in documents]
    overlap = min(chunking.overlap, limit - 1)
    return passages_of(documents, encoder.tokenizer, max_tokens=limit, overlap=overlap, titles=titles)


def plan_attachment(
    connection: Connection,
    index: str,
    encoder: TextEncoder,
    settings: Settings,
    *,
    texts: Sequence[str] = (),
    most: int | None = None,
) -> AttachPlan:
    """What attaching vectors to an index would do; nothing is changed.

    Args:
        connection: the cluster.
        index: an index that somebody else owns, or an alias of one.
        encoder: whose vectors they will be.
        settings: how texts are cut, and how vectors are indexed.
        texts: the fields that models read, in their order; none for those of the settings, else all text fields.
        most: passages of a document that have vectors, at most.

    Raises:
        IndexMismatchError: the index is one of ours, or a partial update would not leave its documents as they are.
        SettingsError: a text field that the index has not, or models of no leg.
        UnsupportedError: this engine cannot index vectors as the settings say.
    """
    connection = patient(connection)
    found = foreign_index(connection, index)
    check_attachable(found)
    if encoder.dense is None and encoder.sparse is None:
        raise SettingsError(
            "there is no model to encode with", where="dense.model", remedy="Name a dense or sparse model"
        )
    schema = attached_schema(found, connection, encoder, settings, texts=texts, most=most)
    plan = AttachPlan(
        index=found.name,
        schema=schema,
        added=_added(found, schema, connection.dialect),
        documents=indices.count(connection, found.name, {"match_all": {}}),
        lacking=indices.count(connection, found.name, without_vectors(schema)),
        notes=_notes(found, schema),
    )
    return _measured(
        plan, OwnersIndex(found.name, found.shards, schema, connection.dialect, encoder, settings.chunking), connection
    )


def without_vectors(schema: IndexSchema) -> dict[str, Any]:
    """What documents match that have no vectors of the models of an attached index."""
    mark = schema.attached.models if schema.attached else ""
    return {"bool": {"must_not": [{"term": {layout.ATTACHED_MODELS: mark}}]}}


def _added(found: ForeignIndex, schema: IndexSchema, dialect: Dialect) -> dict[str, Any]:
    """Our fields that the index lacks, by their paths, with their types."""
    wanted = attached_properties(schema, dialect)[layout.ATTACHED]["properties"]
    inside = wanted["passages"]["properties"]
    paths = {f"{layout.ATTACHED}.{name}": said for name, said in wanted.items()}
    paths |= {f"{layout.ATTACHED_PASSAGES}.{name}": said for name, said in inside.items()}
    return {path: said.get("type", "object") for path, said in paths.items() if path not in found.fields}


def _notes(found: ForeignIndex, schema: IndexSchema) -> list[str]:
    attached = schema.attached or Attachment(())
    notes = [] if attached.has_graph or schema.dense is None else [NO_GRAPH]
    before = _attached_before(found.meta.get(META) or {})
    if before is not None and before.attached is not None and before.attached.models != attached.models:
        named = [one.name for one in (before.dense, before.sparse) if one is not None]
        notes.append(f"vectors of other models are there ({', '.join(named)}), and all is encoded anew")
    unsearched = [name for name in attached.texts if not found.fields[name].is_indexed]
    if unsearched:
        notes.append(f"not indexed, so that words do not find them: {', '.join(unsearched)}")
    return notes


def _measured(plan: AttachPlan, place: OwnersIndex, connection: Connection) -> AttachPlan:
    """With what a sample promises of the time and the space that all will take."""
    body = {"size": SAMPLED, "query": without_vectors(plan.schema), "_source": place.source, "sort": ["_doc"]}
    path = f"/{quote(plan.index, safe='')}/_search"
    hits = connection.send(Request.json("POST", path, body))["hits"]["hits"]
    tasks = [one for one in place.tasks(hits) if one is not None]
    texts = [text for one in tasks for text in one.texts]
    if not texts:
        return plan
    begun = time.perf_counter()
    place.encoder.encode_documents(texts)
    each = (time.perf_counter() - begun) / len(hits)
    dense = plan.schema.dense
    size = (0 if dense is None or dense.dimension is None else 4 * dense.dimension) + SPARSE_BYTES * (
        plan.schema.sparse is not None
    )
    return replace(plan, seconds=each * plan.lacking, bytes=round(size * len(texts) / len(hits) * plan.lacking))


def attach(
    connection: Connection,
    plan: AttachPlan,
    encoder: TextEncoder,
    settings: Settings,
    *,
    options: PassOptions | None = None,
    progress: Progress | None = None,
) -> PassReport:
    """Do what a plan says: extend the mapping, then give every document its vectors; run again, it goes on.

    Raises:
        IngestError: the engine has refused vectors of some documents; the others are written.
        EngineError: the cluster refuses, or the patience with it is exhausted.
    """
    options = options or PassOptions()
    schema = _begun(patient(connection, options.retry), plan)
    found = foreign_index(connection, plan.index)
    place = OwnersIndex(plan.index, found.shards, schema, connection.dialect, encoder, settings.chunking)
    named = options.first if options.first == NEWEST else _path_of(options.first, schema)
    report = encode_all(connection, place, encoder, replace(options, first=named), progress)
    indices.refresh(connection, plan.index)
    raise_if_refused(report)
    if schema.vectors is not None and indices.count(connection, plan.index, without_vectors(schema)) == 0:
        _write_schema(connection, plan.index, replace(schema, vectors=None))
    return report


def _begun(connection: Connection, plan: AttachPlan) -> IndexSchema:
    """The schema as it is written into the index, with our fields, before any document is touched.

    Where another model was attached before, the vectors that it made are not searched from now on.
    """
    known = _attached_before(indices.read_meta(connection, plan.index))
    mark = plan.schema.attached.models if plan.schema.attached else None
    is_change = known is not None and known.attached is not None and known.attached.models != mark
    goes_on = known is not None and known.vectors == mark
    schema = replace(plan.schema, vectors=mark if is_change or goes_on else None)
    _write_schema(connection, plan.index, schema, attached_properties(schema, connection.dialect))
    return schema


def _attached_before(meta: Mapping[str, Any]) -> IndexSchema | None:
    """The schema of an earlier attachment, from our part of ``_meta``."""
    before = meta.get("schema")
    return None if before is None else msgspec.convert(before, IndexSchema)


def _write_schema(
    connection: Connection, index: str, schema: IndexSchema, properties: Mapping[str, Any] | None = None
) -> None:
    """Keep the schema in ``_meta`` beside what its owner has there; with our fields, where they are to be added."""
    content = connection.send(indices.opening(index))[index]["mappings"]
    meta = content.get("_meta") or {}
    key = (meta.get(META) or {}).get(indices.CURSOR_KEY) or secrets.token_hex(16)
    ours = {
        "schema_version": ATTACHED_VERSION,
        "schema": msgspec.to_builtins(schema),
        indices.CURSOR_KEY: key,
    }
    change: dict[str, Any] = {"_meta": {**meta, META: ours}}
    if properties is not None:
        change["properties"] = properties
    path = f"/{quote(index, safe='')}/_mapping"
    connection.send(Request.json("PUT", path, change, timeout=indices.ADMIN_TIMEOUT))


def _path_of(name: str, schema: IndexSchema) -> str:
    paths = schema.attached.paths if schema.attached else {}
    if name not in paths:
        raise SettingsError(
            f"{name!r} is no field that documents can be ordered by",
            where="--first",
            remedy=f"Say newest, or one of: {', '.join(paths) or 'none'}",
        )
    return paths[name]
