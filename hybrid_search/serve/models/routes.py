"""The paths of the model server."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from hybrid_search.encode.protocols import QueryLimit
from hybrid_search.errors import RefusedError
from hybrid_search.serve.models.bodies import Embed, Embeddings, EmbedSparse, Encode, Rerank, Tokenize
from hybrid_search.serve.models.served import Dense, Served, missing

models = APIRouter()

REFUSALS: dict[int | str, dict[str, Any]] = {
    413: {"description": "A text is longer than the model reads, or the body is too large."},
    424: {"description": "No such model is served here."},
    429: {"description": "Too much is waiting; `Retry-After` says when to ask again."},
}
SHARED = {"prompt_name", "dimensions"}
"""Keys that OpenAI's interface and the other one have in common."""


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


def _of(request: Request) -> Served:
    served: Served = request.app.state.served
    return served


@models.post("/embed", responses=REFUSALS)
async def embed(body: Embed, request: Request) -> Response:
    """Dense vectors of texts."""
    return _json(await _dense(_of(request), body))


@models.post("/embed_sparse", responses=REFUSALS)
async def embed_sparse(body: EmbedSparse, request: Request) -> Response:
    """Sparse vectors of texts: vocabulary ids and weights."""
    served = _of(request)
    if not served.sparse:
        raise missing("sparse model", "sparse.model")
    _check_lengths(body, served.limit("sparse"))
    vectors = await served.sparse[body.is_query].ask(body.texts)
    return _json([[{"index": int(term), "value": weight} for term, weight in vector.items()] for vector in vectors])


@models.post("/encode", responses=REFUSALS)
async def encode(body: Encode, request: Request) -> Response:
    """The vectors of all legs in one pass, for clients of this package; texts that are too long are cut."""
    served = _of(request)
    served.encoding()
    found = await served.both[body.is_query].ask(body.texts)
    dense, sparse = ([one[leg] for one in found] for leg in (0, 1))
    has_dense, has_sparse = served.fingerprint("dense") is not None, served.fingerprint("sparse") is not None
    return _json({"dense": dense if has_dense else None, "sparse": sparse if has_sparse else None})


@models.post("/rerank", responses=REFUSALS)
async def rerank(body: Rerank, request: Request) -> Response:
    """Scores of passages against a query, the best first."""
    served = _of(request)
    if served.pairs is None:
        raise missing("reranker", "rerank.model")
    scores = await served.pairs.ask([(body.query, text) for text in body.texts])
    shown = scores if body.raw_scores else [float(1 / (1 + np.exp(-np.float64(score)))) for score in scores]
    ranked = sorted(range(len(shown)), key=lambda row: -shown[row])
    texts = [{"text": body.texts[row]} if body.return_text else {} for row in ranked]
    return _json([{"index": row, "score": shown[row], **text} for row, text in zip(ranked, texts, strict=True)])


@models.post("/tokenize")
async def tokenize(body: Tokenize, request: Request) -> Response:
    """The tokens of texts, with the characters at which they begin and end; special ones are not told."""
    spans = _of(request).encoding().tokenizer.spans(body.texts)
    return _json(
        [
            [{"text": text[start:stop], "special": False, "start": start, "stop": stop} for start, stop in row]
            for text, row in zip(body.texts, spans, strict=True)
        ]
    )


@models.post("/v1/embeddings", responses=REFUSALS)
async def embeddings(body: Embeddings, request: Request) -> Response:
    """Dense vectors as OpenAI's interface gives them."""
    served = _of(request)
    if body.model not in {served.name, served.name.rpartition("/")[2]}:
        raise RefusedError(404, "there is no such model", f"This server has {served.name}.")
    asked = Embed.model_validate({"inputs": body.texts, "truncate": True, **body.model_dump(include=SHARED)})
    vectors = await _dense(served, asked)
    tokens = sum(map(len, served.encoding().tokenizer.spans(body.texts)))
    return _json(
        {
            "object": "list",
            "model": served.name,
            "data": [
                {"object": "embedding", "index": row, "embedding": _written(vector, body.encoding_format)}
                for row, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


@models.get("/info")
async def info(request: Request) -> Response:
    """What is served: names, limits, and the fingerprints that an index is compared with."""
    return _json(_of(request).info())


@models.get("/health")
async def health() -> Response:
    """The models are loaded."""
    return Response(status_code=200)


@models.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    return Response(_of(request).measures.text(), media_type="text/plain; version=0.0.4")


async def _dense(served: Served, body: Embed) -> NDArray[np.float32]:
    """Vectors of shape (texts, dimensions)."""
    if not served.dense:
        raise missing("dense model", "dense.model")
    _check_lengths(body, served.limit("dense"))
    rows = await served.dense[body.is_query].ask(body.texts)
    vectors = np.vstack(rows) if rows else np.empty((0, 0), np.float32)
    if body.dimensions is not None and body.dimensions > vectors.shape[1]:
        raise RefusedError(422, f"the vectors have {vectors.shape[1]:,} components", "Ask for fewer dimensions.")
    fingerprint = served.fingerprint("dense")
    cut: Dense = np.ascontiguousarray(vectors[:, : body.dimensions])
    is_unit = fingerprint is not None and bool(fingerprint.normalized) if body.normalize is None else body.normalize
    if not is_unit:
        return cut
    lengths = np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
    return np.asarray(cut / lengths, dtype=np.float32)


def _check_lengths(body: EmbedSparse, limit: QueryLimit) -> None:
    """Refuse a text that the model would not read to its end, unless it may be cut."""
    long = [] if body.truncate else [text for text in body.texts if len(text.encode()) > limit.max_tokens]
    most = max(map(len, limit.tokenizer.spans(long))) if long else 0
    if most > limit.max_tokens:
        what = f"a text has {most:,} tokens, and the model reads {limit.max_tokens:,}"
        raise RefusedError(413, what, 'Send shorter texts, or "truncate": true.')


def _written(vector: Sequence[float] | Dense, encoding: str) -> Any:
    """A vector as numbers, or as little-endian float32 in base64."""
    return b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode() if encoding == "base64" else vector
