"""An index and the models that are elsewhere: made here and searched there, made there and searched here.

The models are tiny ones with random weights and the real architectures, behind the package's own server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.errors import IndexMismatchError
from hybrid_search.ingest import index_documents
from hybrid_search.records import Document
from hybrid_search.search import SearchClient
from hybrid_search.settings import DenseSettings, RerankSettings, Settings, SparseSettings

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("unit", "serve")]
import tiny_models as tiny
from model_server import model_server

DOCUMENTS = [
    Document("a", "the weather is lovely today"),
    Document("b", "how many people live in berlin " * 8),
    Document("c", "he drove to the stadium"),
]
QUERY = "lovely weather"


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Settings:
    """Models of this machine."""
    root = tmp_path_factory.mktemp("models")
    return Settings(
        dense=DenseSettings(model=str(tiny.save_bi_encoder(root / "bi"))),
        sparse=SparseSettings(model=str(tiny.save_splade(root / "splade"))),
        rerank=RerankSettings(model=str(tiny.save_cross_encoder(root / "cross"))),
    )


@pytest.fixture(scope="module")
def server(local):
    """The address of a server of them."""
    encoder = load_encoder(local)
    with model_server(encoder, load_reranker(local, encoder)) as (url, _):
        yield url


@pytest.fixture
def remote(server) -> Settings:
    """The same models behind the address."""
    return Settings(
        dense=DenseSettings(url=server),
        sparse=SparseSettings(url=server),
        rerank=RerankSettings(url=server, model="served"),
    )


def ranked(connection, index, settings) -> list[tuple[str, float]]:
    """Ids and scores, after reranking."""
    with SearchClient(index, connection=connection, settings=settings) as client:
        return [(hit.id, hit.score) for hit in client.search(QUERY).hits]


@pytest.mark.parametrize("made", ["local", "remote"])
def test_the_same_answers_from_either_side(connection, index_name, local, remote, made) -> None:
    """Whoever made the index and whoever searches it, the fingerprints are equal and so are the scores."""
    index = index_name()
    made_with = {"local": local, "remote": remote}[made]
    report = index_documents(DOCUMENTS, index, connection, load_encoder(made_with), made_with)
    assert report.documents == 3
    here, there = ranked(connection, index, local), ranked(connection, index, remote)
    assert [id_ for id_, _ in there] == [id_ for id_, _ in here]
    assert [score for _, score in there] == pytest.approx([score for _, score in here], abs=1e-4)


def test_another_model_behind_the_address(connection, index_name, local, tmp_path) -> None:
    """It is refused before a search, with what differs."""
    index = index_name()
    index_documents(DOCUMENTS, index, connection, load_encoder(local), local)
    other = Settings(
        dense=DenseSettings(model=str(tiny.save_bi_encoder(tmp_path / "other", seed=5))), sparse=local.sparse
    )
    with model_server(load_encoder(other)) as (url, _):
        moved = Settings(dense=DenseSettings(url=url), sparse=SparseSettings(url=url))
        with pytest.raises(IndexMismatchError, match="weights: "):
            SearchClient(index, connection=connection, settings=moved)


def test_a_query_client_without_torch(connection, index_name, local, server) -> None:
    """A process that cannot import torch searches all legs."""
    index = index_name()
    index_documents(DOCUMENTS, index, connection, load_encoder(local), local)
    program = f"""
import json, sys
for name in ("torch", "transformers", "sentence_transformers", "tokenizers"):
    sys.modules[name] = None
from hybrid_search import SearchClient, Settings
from hybrid_search.settings import DenseSettings, RerankSettings, SparseSettings
settings = Settings(dense=DenseSettings(url={server!r}), sparse=SparseSettings(url={server!r}),
                    rerank=RerankSettings(url={server!r}, model="served"))
with SearchClient({index!r}, url={connection.where!r}, settings=settings) as client:
    result = client.search({QUERY!r})
    print(json.dumps([[hit.id, hit.score] for hit in result.hits]))
    assert not result.warnings, result.warnings
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = [(id_, pytest.approx(score, abs=1e-4)) for id_, score in json.loads(done.stdout)]
    assert ranked(connection, index, local) == found
