"""Searching by an image: what a query may give as one, which legs can answer, and the thumbnails of what is found."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybrid_search.encode.protocols import Pixels, TextEncoder, image_encoder
from hybrid_search.engine import layout
from hybrid_search.errors import QueryError, RecordError
from hybrid_search.images import ImageSource
from hybrid_search.read.images.content import content_of
from hybrid_search.read.images.decode import Decoding
from hybrid_search.read.images.decoders import decoder_of_queries
from hybrid_search.read.images.named import images_in
from hybrid_search.records import Query
from hybrid_search.search import legs
from hybrid_search.search.asking import Budget, Target, ask
from hybrid_search.search.fusion import Fusion
from hybrid_search.search.plan import Plan
from hybrid_search.search.similar_held import answered
from hybrid_search.search.steps import Step
from hybrid_search.settings import ImageSettings

WHERE = "the image of the query"


def with_image(query: Query) -> Query:
    """The query with its image as an :class:`ImageSource`; paths are those of whoever asks, wherever they lead.

    Raises:
        QueryError: it is neither a path, an address, nor bytes.
    """
    given = query.image
    if given is None or isinstance(given, ImageSource):
        return query
    if isinstance(given, Path):
        given = str(given)
    try:
        [image] = images_in(given, Path("/"), follow_links=True) if not _is_path(given) else [_file(given)]
    except (RecordError, ValueError):
        remedy = "Give a path, or the bytes of a file."
        kind = "empty, or no base64" if isinstance(given, str | bytes) else type(given).__name__
        raise QueryError(f"the image is {kind}", where=query.id, remedy=remedy) from None
    return replace(query, image=image)


def _is_path(given: Any) -> bool:
    return isinstance(given, str) and not given.lower().startswith(("data:", "http://", "https://"))


def _file(name: str) -> ImageSource:
    return ImageSource(path=str(Path(name).absolute()))


def check_image(query: Query, encoder: TextEncoder | None) -> None:
    """Raise QueryError for an image that no model here reads."""
    if query.image is not None and query.dense is None and image_encoder(encoder) is None:
        raise QueryError(
            "no model of this index reads images",
            where=query.id,
            remedy="Search by a text, or index with a model of images and texts, such as CLIP.",
        )


def is_without_text(query: Query) -> bool:
    """Whether an image is all that some legs could search by."""
    return query.image is not None and not query.text.strip()


def plan_for(query: Query, plan: Plan) -> Plan:
    """The plan with the legs that can answer a query of an image without text: the dense leg, unless it gives more.

    Raises:
        QueryError: there is none among those that are asked for.
    """
    if not is_without_text(query):
        return plan
    given = {"dense": True, "sparse": query.sparse is not None, "text": query.bm25 is not None}
    able = tuple(leg for leg in plan.legs if leg.part is None or given[leg.part])
    if not able:
        remedy = "Add the dense leg, or a text."
        raise QueryError(f"no leg that is named reads images: {', '.join(plan.names)}", remedy=remedy)
    fusion = Fusion() if plan.fusion.by_server else plan.fusion
    return replace(plan, legs=able, reranking=None, fusion=fusion)


def pixels_of(image: ImageSource, settings: ImageSettings) -> Pixels:
    """The image of a query, decoded as those of documents are.

    Raises:
        QueryError: it is not there, no image, too large, or at an address that is not asked.
    """
    try:
        data = content_of(image, settings, WHERE)
        how = Decoding.of(settings, only_pixels=True)
        return decoder_of_queries().decode(data, how, WHERE).take()
    except RecordError as error:
        raise QueryError(error.what, where=error.where, remedy="Give another image.") from error


def key_of(image: ImageSource) -> tuple[str | None, ...]:
    """What tells images of queries apart."""
    return image.path, image.url, None if image.data is None else hashlib.sha256(image.data).hexdigest()


def thumbnails(ids: Sequence[str], target: Target, budget: Budget) -> Generator[Step, Any, dict[str, bytes]]:
    """The JPEG of the first image of each document, by its id; those without are left out.

    Raises:
        EngineError: the engine refuses, or does not answer in time.
    """
    if not ids or target.schema.attached is not None:
        return {}
    answers = yield from ask([lambda within: legs.thumbnail_fetch(ids, timeout=within)], target, budget)
    found = answered(answers[0]).hits
    return {hit["_source"][layout.DOC_ID]: data for hit in found if (data := layout.thumbnail_in(hit["_source"]))}
