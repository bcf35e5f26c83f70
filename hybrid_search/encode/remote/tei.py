"""Text Embeddings Inference (its HTTP interface of version 1.x), which ``hybrid-search models serve`` speaks too.

Our own server tells the fingerprints of its models, so that an index made with local weights is searched through it
and the other way round; another server is known by its model's name, its revision and a probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_search.encode.protocols import QueryLimit, Tokenizer
from hybrid_search.encode.remote import answers
from hybrid_search.encode.remote.answers import PROBE_TEXT
from hybrid_search.encode.remote.post import Service
from hybrid_search.probes import PROBE
from hybrid_search.records import Fingerprint, SparseVector
from hybrid_search.settings import DENSE_MODEL, DenseSettings, RerankSettings, SparseSettings

OWN = "hybrid_search"
"""The key of ``/info`` under which our own server tells more than the interface asks for."""
SERVED = "served"
"""The name of whatever model the server has."""
MAX_TOKENS = 512


class TeiDense:
    """Vectors by ``/embed``; a :class:`~hybrid_search.encode.pair.DenseHalf`."""

    def __init__(self, service: Service, settings: DenseSettings) -> None:
        self._service = service
        info = _info(service, settings.model, DENSE_MODEL)
        self._own = info.get(OWN)
        self._prompts = {True: settings.query_prompt or "", False: settings.document_prompt or ""}
        self._dimension: int | None = None
        self._wanted = settings.dimension
        self.tokenizer: Tokenizer = TeiSpans(service)
        if self._own is not None:
            self.fingerprint, limits = told_of(service, self._own, "dense")
            if any(self._prompts.values()):
                raise service.refused("its prompts are its own", "Leave out dense.query_prompt and .document_prompt")
            self.max_tokens, query_tokens = limits
        else:
            self.fingerprint = self._probed(settings, info)
            self.max_tokens = settings.max_tokens or _limit(info)
            query_tokens = self.max_tokens
        self._dimension = self.fingerprint.dimension
        self.query_limit: QueryLimit | None = QueryLimit(query_tokens, self.tokenizer)

    def encode_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of passages, shape (n, dimension)."""
        return self._encode(texts, query=False)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries, shape (n, dimension)."""
        return self._encode(texts, query=True)

    def _encode(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        asked = self._service.post_all(texts, lambda batch: list(self._asked(batch, query=query)))
        return np.vstack(asked) if asked else np.empty((0, self._dimension or 0), np.float32)

    def _asked(self, batch: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        prompt = self._prompts[query]
        body: dict[str, Any] = {"inputs": [prompt + text for text in batch], "truncate": True}
        if self._own is not None:
            body["prompt_name"] = "query" if query else "document"
        if self._wanted is not None:
            body["dimensions"] = self._wanted
        return answers.dense_rows(self._service, self._service.post("/embed", body), self._dimension)

    def _probed(self, settings: DenseSettings, info: Mapping[str, Any]) -> Fingerprint:
        vector = self._encode([PROBE_TEXT], query=False)[0]
        name, said = str(info.get("model_id") or settings.model), {"revision": info.get("model_sha")}
        return answers.fingerprint_of_probe(settings, name=name, vector=vector, said=said)


class TeiSparse:
    """Sparse vectors by ``/embed_sparse``; a :class:`~hybrid_search.encode.pair.SparseHalf`."""

    def __init__(self, service: Service, settings: SparseSettings) -> None:
        self._service = service
        info = _info(service, settings.model, SparseSettings().model)
        self._own = info.get(OWN)
        self.tokenizer: Tokenizer = TeiSpans(service)
        if self._own is not None:
            self.fingerprint, (self.max_tokens, query_tokens) = told_of(service, self._own, "sparse")
        else:
            self.fingerprint = self._probed(info, settings)
            self.max_tokens = query_tokens = _limit(info)
        self.query_limit: QueryLimit | None = QueryLimit(query_tokens, self.tokenizer)

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of passages."""
        return self._service.post_all(texts, lambda batch: self._asked(batch, query=False))

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of queries."""
        return self._service.post_all(texts, lambda batch: self._asked(batch, query=True))

    def _asked(self, batch: Sequence[str], *, query: bool) -> list[SparseVector]:
        body: dict[str, Any] = {"inputs": list(batch), "truncate": True}
        if self._own is not None:
            body["prompt_name"] = "query" if query else "document"
        return [answers.sparse_row(self._service, row) for row in self._service.post("/embed_sparse", body)]

    def _probed(self, info: Mapping[str, Any], settings: SparseSettings) -> Fingerprint:
        vector = self.encode_documents([PROBE_TEXT])[0]
        heaviest = sorted(vector, key=lambda term: -vector[term])[: answers.PROBED]
        said = {"service": "tei", "model": info.get("model_id"), "revision": info.get("model_sha")}
        probe = {PROBE: {term: float(f"{vector[term]:.5g}") for term in heaviest}}
        name = str(info.get("model_id") or settings.model)
        return Fingerprint(kind="sparse", name=name, weights="", extra={**said, **probe})


class TeiReranker:
    """Scores by ``/rerank``, on the model's own scale; a :class:`~hybrid_search.encode.protocols.Reranker`."""

    def __init__(self, service: Service, settings: RerankSettings) -> None:
        self._service = service
        self.name = str(_info(service, settings.model, RerankSettings().model).get("model_id") or settings.model)

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape (n,), in the order of ``passages``."""
        scored = self._service.post_all(passages, lambda batch: list(self._asked(query, batch)))
        return np.asarray(scored, dtype=np.float32)

    def _asked(self, query: str, batch: Sequence[str]) -> NDArray[np.float32]:
        body = {"query": query, "texts": list(batch), "raw_scores": True, "truncate": True}
        return answers.ranked_scores(self._service, self._service.post("/rerank", body), len(batch), "score")


class TeiSpans:
    """Tokens by ``/tokenize``; a :class:`~hybrid_search.encode.protocols.Tokenizer`.

    Some versions count characters and some bytes of UTF-8: a text of both tells which.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_bytes: bool | None = None

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Character offsets ``(start, end)`` of each text's tokens, special tokens left out."""
        if self._by_bytes is None:
            self._by_bytes = max(end for _, end in self._asked(["été x"])[0]) > len("été x")
        found = self._service.post_all(texts, self._asked)
        if not self._by_bytes:
            return found
        return [_by_characters(text, spans) for text, spans in zip(texts, found, strict=True)]

    def _asked(self, batch: Sequence[str]) -> list[list[tuple[int, int]]]:
        rows = self._service.post("/tokenize", {"inputs": list(batch), "add_special_tokens": False})
        try:
            return [[(int(one["start"]), int(one["stop"])) for one in row if not one.get("special")] for row in rows]
        except (TypeError, KeyError, ValueError):
            raise self._service.refused("what /tokenize gives are no tokens") from None


def _by_characters(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of bytes of UTF-8 as spans of characters."""
    if text.isascii():
        return list(spans)
    place, places = 0, {0: 0}
    for number, character in enumerate(text, 1):
        place += len(character.encode("utf-8", "surrogatepass"))
        places[place] = number
    return [(places[start], places[end]) for start, end in spans if start in places and end in places]


def _info(service: Service, model: str, default: str) -> Mapping[str, Any]:
    """What the server tells of its model.

    Raises:
        ModelError: it has another one than the settings name.
    """
    info = served_info(service)
    told = info.get("model_id")
    if model not in {default, SERVED} and told is not None and str(told) != model and OWN not in info:
        what = f"it serves {told}, and {service.section}.model is {model}"
        raise service.refused(what, f"Leave {service.section}.model out, or name the model that is served")
    return info


def served_info(service: Service) -> Mapping[str, Any]:
    """What ``/info`` answers.

    Raises:
        ModelError: it tells of no model.
    """
    info = service.get("/info")
    if not isinstance(info, Mapping):
        raise service.refused("/info tells of no model", f"Check {service.section}.service")
    return info


def told_of(service: Service, own: Mapping[str, Any], leg: str) -> tuple[Fingerprint, tuple[int, int]]:
    """The fingerprint of a leg, and the tokens that its passages and its queries may have.

    Raises:
        ModelError: our server has no such leg.
    """
    told = own.get(leg)
    if told is None:
        raise service.refused(f"it serves no {leg} model", f"Start it with {leg}.model")
    try:
        return Fingerprint(**told["fingerprint"]), (int(told["max_tokens"]), int(told["query_tokens"]))
    except (TypeError, KeyError, ValueError):
        raise service.refused("it is of another version", "Use one version of hybrid-search on both sides") from None


def _limit(info: Mapping[str, Any]) -> int:
    """Tokens of a text; two are kept for the special ones."""
    told = info.get("max_input_length")
    return (int(told) if isinstance(told, int) and told > 2 else MAX_TOKENS) - 2
