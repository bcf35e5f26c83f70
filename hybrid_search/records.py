"""The records that stages hand to each other: documents in, hits out.

All are frozen. Stages import this file and never each other. Vectors are numpy arrays of float32; a sparse
vector maps a feature name (for models: the vocabulary id in decimal) to a strictly positive, finite weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.attachment import Attachment
from hybrid_search.errors import QueryError
from hybrid_search.fingerprint import PRECISION as PRECISION  # noqa: PLC0414 records are imported from here
from hybrid_search.fingerprint import TRUNCATED_FROM as TRUNCATED_FROM  # noqa: PLC0414 records are imported from here
from hybrid_search.fingerprint import Fingerprint as Fingerprint  # noqa: PLC0414 records are imported from here
from hybrid_search.found import FacetCounts, Highlighted
from hybrid_search.found import LegReport as LegReport  # noqa: PLC0414 records are imported from here
from hybrid_search.found import StoredPassage as StoredPassage  # noqa: PLC0414 records are imported from here
from hybrid_search.images import ImageSource
from hybrid_search.provenance import DiversityScore as DiversityScore  # noqa: PLC0414 records are imported from here
from hybrid_search.provenance import FoundPassage as FoundPassage  # noqa: PLC0414 records are imported from here
from hybrid_search.provenance import LegScore as LegScore  # noqa: PLC0414 records are imported from here
from hybrid_search.provenance import Placed as Placed  # noqa: PLC0414 records are imported from here
from hybrid_search.provenance import RerankScore as RerankScore  # noqa: PLC0414 records are imported from here
from hybrid_search.search_warnings import SearchWarning, WarningCode

MAX_DOCUMENT_ID_BYTES = 504
"""Both engines take ids of 512 bytes of UTF-8, of which a passage's id needs ``#`` and up to seven digits."""

LAYOUT = 2
"""How an index is laid out that is made now; release 0.1 made those of layout 1."""

Vector = NDArray[np.float32]
SparseVector = Mapping[str, float]


class Leg(StrEnum):
    """The names of the legs that come with the package; a leg of one's own has a name of its own."""

    BM25 = "bm25"
    DENSE = "dense"
    SPARSE = "sparse"


ALL_LEGS = (Leg.BM25, Leg.DENSE, Leg.SPARSE)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A place between two records of a split, where reading can go on.

    Attributes:
        offset: the bytes of the file before it (JSON lines, CSV, TSV), its rows (Parquet), or the files of the split
            (texts).
        line: the lines or rows of the file before it, for messages.
        left_out: the records of the split before it that became no documents.
    """

    offset: int = 0
    line: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What a source yields.

    ``text`` is what is searched; ``fields`` is what is stored beside it and can be filtered on. ``dense`` (shape
    ``(dimension,)``) and ``sparse`` are given only by sources that carry vectors. ``origin`` is ``file:line``;
    ``position`` is where reading goes on behind the document, None where the source cannot go on (a pipe, compressed
    data). ``texts`` are the text fields one by one, by name, and the title; one that is not there is looked up in
    ``fields`` (:func:`hybrid_search.fields.own_text`). One with ``images`` may be without text.
    """

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    dense: Vector | None = None
    sparse: SparseVector | None = None
    origin: str | None = None
    position: ResumePoint | None = field(default=None, compare=False, repr=False)
    texts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    images: tuple[ImageSource, ...] = ()

    @property
    def carries_vectors(self) -> bool:
        """Whether the source gave a vector, which stands for all of the text."""
        return self.dense is not None or self.sparse is not None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a passage comes from: what is written beside it by a load, and orders it among other loads.

    ``source`` names the source; ``load`` is the load's number, which ascends (about epoch milliseconds); ``digest`` is
    the document's content hash; ``passages`` counts the passages of its document.
    """

    source: str
    load: int
    digest: str
    passages: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document within the encoder's token limit: ``document.text[start:end]``.

    ``head`` is what models read before it: the document's title, or nothing where the piece begins with it. ``image``
    is the number of the document's image that the passage is; its text is empty then.
    """

    document: Document
    number: int
    start: int
    end: int
    head: str = ""
    image: int | None = None

    @property
    def id(self) -> str:
        """Deterministic: ``doc#n``, n from 0."""
        return f"{self.document.id}#{self.number}"

    @property
    def text(self) -> str:
        return self.document.text[self.start : self.end]

    @property
    def for_models(self) -> str:
        """The text as encoders read it, under its head."""
        return f"{self.head}\n{self.text}" if self.head else self.text


@dataclass(frozen=True, slots=True)
class EncodedPassage:
    """A passage with its vectors; a leg that is switched off has None. ``late`` are token states, compressed.

    ``without`` are the legs that have no vector of this passage and want none: the sparse leg reads no image.
    """

    passage: Passage
    dense: Vector | None
    sparse: SparseVector | None
    late: bytes | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A query as text, as vectors, or both; a vector that is given is not encoded again.

    ``image`` is a path, bytes, or an :class:`~hybrid_search.images.ImageSource`; the dense leg then searches by it, and
    alone where there is no text.

    ``filter`` is a filter of :mod:`hybrid_search.filters`, pushed into every leg. ``now`` is what ``now`` means in its
    dates, in epoch milliseconds; a search sets it, the same for all its queries. ``bm25`` is a query of the engine by
    which the BM25 leg searches instead of by the text (:mod:`hybrid_search.search.expert`). ``read`` is set by a search
    that reads the text for signs (:mod:`hybrid_search.search.query_syntax`); ``unknown`` by one whose rules for weights
    look at it, the share of the words that the model's vocabulary has only in pieces.
    """

    text: str = ""
    dense: Vector | None = None
    sparse: SparseVector | None = None
    filter: Any | None = None
    id: str | None = None
    bm25: Mapping[str, Any] | None = None
    now: int | None = field(default=None, compare=False, repr=False)
    read: Any | None = field(default=None, repr=False)
    unknown: float | None = field(default=None, compare=False, repr=False)
    image: Any | None = field(default=None, repr=False)

    @property
    def plain(self) -> str:
        """The text as models read it: without the signs of a query syntax."""
        text: str = self.text if self.read is None else self.read.text
        return text

    @property
    def is_filtered(self) -> bool:
        """Whether passages must pass anything."""
        return self.filter is not None or (self.read is not None and self.read.filter is not None)


@dataclass(frozen=True, slots=True)
class Hit:
    """One document of the answer, with the reasons for its rank.

    ``passage_id``, ``start`` and ``end`` name its best passage; ``text`` is that passage. ``fused`` is the score of
    the fusion, ``score`` the final one (equal unless boosted or reranked). A leg that did not find the hit is not in
    ``legs``, which go by name. ``boosts`` are factors on the fused score, by name; ``placed`` is None for a hit that
    stands where its score puts it. ``diversity`` is None for a hit that was not weighed against those above it.
    ``passages`` are further ones of the document, and ``highlights`` pieces that show why it was found, where they were
    asked for.
    """

    rank: int
    id: str
    score: float
    fused: float
    text: str
    passage_id: str
    start: int
    end: int
    fields: Mapping[str, Any]
    legs: Mapping[str, LegScore]
    rerank: RerankScore | None = None
    boosts: Mapping[str, float] = field(default_factory=dict)
    placed: Placed | None = None
    diversity: DiversityScore | None = None
    passages: Sequence[FoundPassage] = ()
    highlights: Sequence[Highlighted] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits in rank order, and what was done to get them. ``took_ms`` has the wall milliseconds of each step.

    ``facets`` are by their names, in the order they were asked for. ``retrieved`` is what the hits were fused from, the
    whole window of each leg (:class:`~hybrid_search.search.retrieved.Retrieved`): another fusion of it needs no other
    retrieval. ``rest`` writes a cursor for what comes behind the page (:mod:`hybrid_search.search.cursor_pages`), and
    ``shown`` what a notebook shows (:mod:`hybrid_search.search.notebook`).
    """

    query: Query
    hits: Sequence[Hit]
    legs: Mapping[str, LegReport]
    fusion: str
    reranker: str | None
    took_ms: Mapping[str, float]
    warnings: Sequence[SearchWarning] = ()
    facets: Mapping[str, FacetCounts] = field(default_factory=dict)
    retrieved: Any | None = field(default=None, repr=False, compare=False)
    rest: Any | None = field(default=None, repr=False, compare=False)
    shown: Any | None = field(default=None, repr=False, compare=False)

    def to_pandas(self) -> Any:
        """A frame of pandas with a row for each hit, in rank order.

        Columns: ``rank``, ``id``, ``score``, ``fused``, ``text``, ``passage_id``, ``start``, ``end``; ``rank``,
        ``score`` and ``contribution`` of each leg (``bm25.rank``); ``reranked`` where there is a reranker; the stored
        fields by their names, those of a name that is taken with ``fields.`` before it.

        Raises:
            MissingExtraError: pandas is not installed.
            QueryError: no search has made the result.
        """
        if self.shown is None:
            raise QueryError("only what a search found has a frame", remedy="Search, or make one of result.hits.")
        return self.shown.frame(self)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the table of the command line."""
        html: str | None = None if self.shown is None else self.shown.html(self)
        return html

    @property
    def cursor(self) -> str | None:
        """What ``search(cursor=...)`` takes for the next page of the same list; None where the list ends here."""
        text: str | None = None if self.rest is None else self.rest.cursor()
        return text

    @property
    def degraded(self) -> dict[str, WarningCode]:
        """What the answer lacks: the first code of each part that failed, was late or is not whole; empty is whole."""
        found: dict[str, WarningCode] = {}
        for warning in self.warnings:
            if isinstance(warning, SearchWarning) and warning.code.degrades:
                found.setdefault(warning.part or "search", warning.code)
        return found

    def __iter__(self) -> Any:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True)
class FieldReading:
    """How the values of a field to filter on are read, where they are not plain.

    Attributes:
        boolean: words for yes and no, in a keyword field, are ``true`` and ``false``.
        separator: what stands between the values of one cell; ``[]`` for printed lists, None for one value a cell.
        decimal: ``.`` or ``,``, the mark that is no separator of thousands in ``1,234`` or ``1.234``.
        date_order: ``day`` or ``month``, what comes first in ``05/07/2022``; None where that is not known.
        lenient: a value that cannot be read is stored and not filtered on, rather than refused.
    """

    boolean: bool = False
    separator: str | None = None
    decimal: str = "."
    date_order: str | None = None
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class TextField:
    """A field of the documents that BM25 also searches on its own.

    Attributes:
        name: the user's name.
        analyzer: the engine's analyzer of it.
        weight: how much one of its words counts, where the search does not say.
    """

    name: str
    analyzer: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """What an index must hold, engine-neutral; each dialect turns it into its own mapping.

    ``dense`` and ``sparse`` are None where the leg is off. ``keyword_fields`` ... are the user's fields to filter
    on, by the user's names; they live under ``filter.`` in the index so that no name can collide (``fields.`` in
    ``layout`` 1, that of release 0.1). ``readings`` says of those of them that are not plain how they are read.
    ``title`` is the field that names a document. ``replicas`` None is the engine's default.

    ``text_fields`` are searched on their own, beside the whole text, which weighs ``text_weight``. ``passage_title`` is
    the field that models read before every passage; None where they read passages as they are.

    ``language`` is the field that says the language of a document, and ``analyzers`` has those of languages (BCP 47, in
    lower case); ``analyzer`` is that of all others. ``detects_language`` fills the field in where it says nothing.

    ``late`` is the identity of the token states that are stored beside passages; None where none are.

    ``vectors`` marks passages whose vectors these models made, while others may be there: a change of models is under
    way. ``attached`` says where everything is in an index that somebody else owns.
    """

    dense: Fingerprint | None
    sparse: Fingerprint | None
    keyword_fields: tuple[str, ...] = ()
    number_fields: tuple[str, ...] = ()
    date_fields: tuple[str, ...] = ()
    geo_fields: tuple[str, ...] = ()
    analyzer: str = "english"
    bm25_k1: float = 0.9
    bm25_b: float = 0.4
    dense_index: str = "hnsw"
    sparse_index: str = "rank_features"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 128
    shards: int = 1
    replicas: int | None = None
    layout: int = LAYOUT
    readings: Mapping[str, FieldReading] = field(default_factory=dict)
    title: str | None = None
    text_fields: tuple[TextField, ...] = ()
    text_weight: float = 1.0
    passage_title: str | None = None
    language: str | None = None
    analyzers: Mapping[str, str] = field(default_factory=dict)
    detects_language: bool = False
    late: Fingerprint | None = None
    vectors: str | None = None
    attached: Attachment | None = None
