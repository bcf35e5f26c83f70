"""What one server has: the client of its index, the judgements, the measures, and what the page must know at first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hybrid_search.engine import AsyncConnection
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import HybridSearchError
from hybrid_search.ingest.stages.images import has_image_model
from hybrid_search.records import IndexSchema, SearchResult, StoredPassage
from hybrid_search.search import AsyncSearchClient
from hybrid_search.search.as_json import result_json
from hybrid_search.search.boosts import plan_boosts
from hybrid_search.search.fusion import METHODS, Fusion
from hybrid_search.search.highlight import Highlight
from hybrid_search.search.plan import indexed_legs
from hybrid_search.search.request import SearchRequest
from hybrid_search.search.rerank import Reranking
from hybrid_search.search.searcher import Searcher
from hybrid_search.serve.answers import passages_found, runs_json
from hybrid_search.serve.asked import Asked
from hybrid_search.serve.judged import JudgedQueries
from hybrid_search.serve.judgements import GRADES, Judgements
from hybrid_search.serve.measures import Measures
from hybrid_search.serve.shown import SNIPPET

NAMES = {"opensearch": "OpenSearch", "elasticsearch": "Elasticsearch"}

MAX_FACETS = 6
"""Facets that are counted where none are named."""

HIGHLIGHTED = 50
"""Hits of equal weights whose words the engine marks; of the others the page has the sentence that looks best."""

HEALTH_TIMEOUT = 2.0
"""Seconds in which the index must answer to be healthy."""


@dataclass(frozen=True)
class Workbench:
    """One index, opened, with all that is served of it."""

    index: str
    client: AsyncSearchClient
    connection: AsyncConnection
    judgements: Judgements
    judged: JudgedQueries
    title: str | None = None
    measures: Measures = field(default_factory=Measures)

    @property
    def searcher(self) -> Searcher:
        """What the client has opened."""
        return self.client.searcher

    @property
    def legs(self) -> list[str]:
        """The legs of the settings that the index has."""
        wanted = self.searcher.settings.search.legs
        return [leg.name for leg in indexed_legs(self.searcher.target.schema) if leg.name in wanted]

    @property
    def title_field(self) -> str:
        """The field that names a document: that of the settings, else of the index, else ``title``."""
        return self.title or self.searcher.target.schema.title or "title"

    async def search(self, asked: Asked) -> SearchResult:
        """What the client finds.

        Raises:
            HybridSearchError: what the client raises.
        """
        result = await self.client.search(asked.query, asked.k, **asked.options(self.searcher))
        self.measures.searched(result)
        return result

    async def runs(self, asked: Asked) -> dict[str, Any]:
        """What every leg finds, whatever it weighs, with what a list shows of all of it.

        A highlight that is asked for is by meaning too: the sentence that the encoder finds nearest.

        Raises:
            HybridSearchError: what the client raises.
        """
        searched = asked.model_copy(update={"weights": None, "fusion": None, "rank_constant": None, "rerank": False})
        options = searched.options(self.searcher)
        options["fusion"] = Fusion()
        options["facets"] = self.usual_facets() if not asked.facets else asked.facets
        options["highlight"] = Highlight(fragments=1, length=SNIPPET, meaning=asked.highlight)
        width = self.searcher.settings.search.window if asked.window is None else asked.window
        result = await self.client.search(asked.query, min(HIGHLIGHTED, width), **options)
        self.measures.searched(result)
        stored = await self._stored(result)
        settings, schema = self.searcher.settings.search, self.searcher.target.schema
        boosts = plan_boosts(SearchRequest.of(**options), settings, schema)
        return await asyncio.to_thread(runs_json, result, stored, self.title_field, boosts, self.searcher.fusion())

    async def _stored(self, result: SearchResult) -> dict[str, StoredPassage]:
        """The passages of all runs: those of the hits are there already."""
        stored = {
            hit.passage_id: StoredPassage(hit.passage_id, hit.text, hit.start, hit.end, hit.fields)
            for hit in result.hits
        }
        others = [id_ for id_ in passages_found(result) if id_ not in stored]
        return stored | (await self.client.stored(others) if others else {})

    async def facets(self, asked: Asked) -> dict[str, Any]:
        """What is counted beside the hits, without them.

        Raises:
            HybridSearchError: what the client raises.
        """
        options = asked.options(self.searcher)
        options["rerank"] = False
        if not asked.facets:
            options["facets"] = self.usual_facets()
        result = await self.client.search(asked.query, 1, **options)
        self.measures.searched(result)
        answer = result_json(result)
        return {name: answer[name] for name in ("query", "facets", "took_ms", "warnings", "codes", "degraded")}

    def usual_facets(self) -> list[str]:
        """The keyword fields, as facets."""
        return list(self.searcher.target.schema.keyword_fields[:MAX_FACETS])

    async def why_not(self, asked: Asked, document_id: str) -> dict[str, Any]:
        """Why a document is not among the hits.

        Raises:
            HybridSearchError: what the client raises.
        """
        options = asked.options(self.searcher)
        answer = await self.client.why_not(asked.query, document_id, asked.k, **options)
        return answer.as_json()

    async def thumbnail(self, document_id: str) -> bytes:
        """The JPEG of the first image of a document; empty where there is none."""
        return (await self.client.thumbnails([document_id])).get(document_id, b"")

    @property
    def has_pictures(self) -> bool:
        """Whether documents may have thumbnails, which the page then asks for."""
        searcher = self.searcher
        return has_image_model(searcher.target.schema) or searcher.settings.images.thumbnails > 0

    async def passages(self) -> int:
        """How many passages the index holds; raises where it does not answer."""
        request = Request.json("GET", f"/{quote(self.index, safe='')}/_count", timeout=HEALTH_TIMEOUT)
        return int((await self.connection.send(request))["count"])

    def about(self) -> dict[str, Any]:
        """What the page must know before the first search."""
        searcher, dialect = self.searcher, self.connection.dialect
        schema, settings = searcher.target.schema, searcher.settings
        usual = searcher.fusion()
        reranking = searcher.default_reranking() if searcher.reranker is not None else None
        return {
            "index": self.index,
            "engine": f"{NAMES[dialect.engine]} {'.'.join(map(str, dialect.version))}",
            "legs": self.legs,
            "methods": list(METHODS),
            "fusion": _fusion_json(usual, self.legs),
            "usual_weights": {
                method: _fusion_json(searcher.fusion(method), self.legs)["weights"] for method in METHODS
            },
            "rules": list(settings.search.rules),
            "can_diversify": schema.dense is not None,
            "can_mark_meaning": schema.dense is not None and searcher.encoder is not None,
            "window": settings.search.window,
            "k": settings.search.k,
            "reranker": searcher.reranker_name,
            "rerank": None if reranking is None else _reranking_json(reranking, settings.rerank.model),
            "fields": fields_json(schema),
            "pictures": self.has_pictures,
            "title": self.title_field,
            "grades": list(GRADES),
            "judging": self.judgements.folder is not None,
            "judge_folder": None if self.judgements.folder is None else str(self.judgements.folder),
        }


def fields_json(schema: IndexSchema) -> dict[str, list[str]]:
    """The fields to filter on by their kind."""
    return {
        "keyword": list(schema.keyword_fields),
        "number": list(schema.number_fields),
        "date": list(schema.date_fields),
    }


def _reranking_json(reranking: Reranking, model: str) -> dict[str, Any]:
    return {"model": model, "window": reranking.window, "weight": reranking.weight}


def _fusion_json(fusion: Fusion, legs: list[str]) -> dict[str, Any]:
    method = "rrf" if fusion.by_server else fusion.method
    weights = {leg: fusion.weights.get(leg, 1.0) for leg in legs}
    return {"method": method, "weights": weights, "rank_constant": fusion.rank_constant}


async def is_healthy(workbench: Workbench) -> HybridSearchError | None:
    """None where the index answers; else why not."""
    try:
        await workbench.passages()
    except HybridSearchError as error:
        return error
    return None
