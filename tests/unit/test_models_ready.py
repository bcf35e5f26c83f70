"""Models made ready before the first search: what runs them is chosen, and a first pass is made, in their threads."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from search_fakes import SCHEMA, PlaneEncoder, async_connection, connection

from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import ModelError
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.search.workers import WARMING


class Network:
    """Tells when it was asked to choose."""

    def __init__(self, told):
        self._told = told

    def prepare(self):
        self._told.append(("chosen", threading.current_thread().name))


class Encoder(PlaneEncoder):
    """Tells what it encodes."""

    def __init__(self, told):
        super().__init__()
        self._told = told
        self.networks = [Network(told)]

    def encode_queries(self, texts):
        self._told.append((tuple(texts), threading.current_thread().name))
        return super().encode_queries(texts)


class Reranker:
    """Tells what it scores."""

    name = "told"

    def __init__(self, told):
        self._told = told

    def score(self, query, passages):
        self._told.append(((query, *passages), threading.current_thread().name))
        return np.zeros(len(passages), np.float32)


def index(_):
    """An engine that is asked for nothing but its index."""
    return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})


def both(told, encoder=None):
    """What both clients do."""
    models = {"encoder": encoder or Encoder(told), "reranker": Reranker(told)}
    with SearchClient("docs", connection=connection(index), **models) as client:
        client.prepare()
        yield client

    async def later():
        async with AsyncSearchClient("docs", connection=async_connection(index), **models) as client:
            await client.prepare()
            return client

    yield asyncio.run(later())


def test_each_model_is_made_ready_in_its_own_thread():
    """Choosing first, then a pass; sessions of a graph belong to a thread, and a search must find them made."""
    told = []
    wanted = [
        ("chosen", "hybrid-search-encoder"),
        ((WARMING,), "hybrid-search-encoder"),
        ((WARMING, WARMING), "hybrid-search-reranker"),
    ]
    for client in both(told):
        assert told == wanted
        assert len(client.query_cache) == client.query_cache.misses == 0
        told.clear()


def test_a_model_that_fails_says_so():
    """The caller decides what that means: the workbench starts all the same."""

    class Broken(Encoder):
        def encode_queries(self, texts):
            raise ModelError(f"it is broken by {len(texts)} text", where="the model")

    with pytest.raises(ModelError, match="it is broken"):
        next(both([], Broken([])))
