"""The synchronous client: opening, models, threads."""

from __future__ import annotations

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from search_fakes import SCHEMA, PlaneEncoder, connection, engine

from hybrid_search import errors
from hybrid_search.engine.indices import OpenedIndex
from hybrid_search.engine.protocols import Answer
from hybrid_search.engine.templates import index_body
from hybrid_search.errors import EngineTimeoutError, HybridSearchError, IndexMismatchError
from hybrid_search.records import Fingerprint, Leg
from hybrid_search.search import SearchClient
from hybrid_search.search.searcher import with_models_of
from hybrid_search.settings import DenseSettings, Settings

RUNS = {Leg.BM25: [("a#0", 2.0), ("b#0", 1.0)]}


def respond(request):
    """Searches of :data:`RUNS` in an index of the plane encoder."""
    if request.path == "/docs/_mapping":
        return Answer(200, {"docs": {"mappings": index_body("opensearch", (3, 6, 0), SCHEMA)["mappings"]}})
    return engine(RUNS)(request)


def test_threads_share_a_client() -> None:
    """Every search gets its own answer, and the models are never used by two threads at once."""
    inside = threading.Semaphore(1)

    class Exclusive(PlaneEncoder):
        def encode_queries(self, texts):
            assert inside.acquire(blocking=False), "two threads in the encoder"
            time.sleep(0.002)
            inside.release()
            return super().encode_queries(texts)

    with SearchClient("docs", encoder=Exclusive(), connection=connection(respond)) as client:
        queries = [f"query {n}" for n in range(40)]
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(client.search, queries))
    assert [result.query.text for result in results] == queries


def test_a_given_connection_stays_open() -> None:
    """Who opened it closes it."""
    closed = []
    given = connection(respond)
    given.transport.close = lambda: closed.append(True)
    with SearchClient("docs", encoder=PlaneEncoder(), connection=given):
        pass
    assert closed == []


def test_a_model_left_at_its_default_is_that_of_the_index() -> None:
    """The index knows its models: no caller has to repeat them."""
    schema = replace(SCHEMA, sparse=Fingerprint(kind="idf", name="idf", weights="1", extra={"max_terms": 64}))
    settings = with_models_of(OpenedIndex("docs", schema, "index docs"), Settings())
    assert (settings.dense.model, settings.sparse.model, settings.sparse.max_terms) == ("plane", "idf", 64)


def test_a_leg_that_the_index_lacks_needs_no_model() -> None:
    """Nothing is loaded for it."""
    opened = OpenedIndex("docs", replace(SCHEMA, dense=None, sparse=None), "index docs")
    settings = with_models_of(opened, Settings())
    assert settings.dense.model == settings.sparse.model == "none"


def test_a_model_that_is_named_stays() -> None:
    """Whoever names a model gets that one, or an error if it is not that of the index."""
    named = Settings(dense=DenseSettings(model="another"))
    assert with_models_of(OpenedIndex("docs", SCHEMA, "index docs"), named).dense.model == "another"


def test_precomputed_vectors_name_their_dimension() -> None:
    """Queries bring their vectors; the dimension is that of the index."""
    given = Fingerprint(kind="precomputed", name="precomputed", weights="", dimension=2)
    settings = with_models_of(OpenedIndex("docs", replace(SCHEMA, dense=given), "index docs"), Settings())
    assert (settings.dense.model, settings.dense.dimension) == ("precomputed", 2)


def test_another_encoder_is_refused() -> None:
    """The difference is in the message."""

    class Other(PlaneEncoder):
        dense = Fingerprint(kind="dense", name="sphere", weights="7", dimension=2)

    with pytest.raises(IndexMismatchError, match="plane / sphere"):
        SearchClient("docs", encoder=Other(), connection=connection(respond))


def test_options_of_a_wrong_kind_are_the_packages_errors() -> None:
    """Whatever is given, what leaves is of the package's tree."""
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(respond)) as client:
        for wrong in ({"legs": 5}, {"k": "ten"}, {"fusion": 3}, {"windw": 3}):
            with pytest.raises(HybridSearchError):
                client.search("q", **wrong)


def test_a_look_at_the_alias_that_fails_leaves_the_client_searching(monkeypatch) -> None:
    """A cluster that does not say what an alias stands for is searched as it was, and not asked at every search."""
    looks = []

    def aliased(request):
        if request.path == "/docs/_mapping":
            looks.append(request.timeout)
            if len(looks) > 1:
                raise EngineTimeoutError("no answer")
            return Answer(200, {"docs-1": respond(request).body["docs"]})
        return respond(request) if request.path.endswith("_msearch") else Answer(200, {})

    monkeypatch.setattr("hybrid_search.search.searcher.FRESH", 0.01)
    with SearchClient("docs", encoder=PlaneEncoder(), connection=connection(aliased)) as client:
        time.sleep(0.02)
        assert len(client.search("q")) == 2
        monkeypatch.setattr("hybrid_search.search.searcher.FRESH", 60)
        assert len(client.search("q")) == 2
    assert looks == [None, 2.0]


def test_every_error_is_of_the_one_tree() -> None:
    """No error that can leave the package is made anywhere but in ``errors``, and its tree names every one of them."""
    tree = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    elsewhere = [
        f"{path.name}: {node.name}"
        for path in Path(errors.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and path.name != "errors.py"
        if {base.id for base in node.bases if isinstance(base, ast.Name)} & tree
    ]
    assert elsewhere == []
    assert [name for name in sorted(tree) if name not in (errors.__doc__ or "").split()] == []
