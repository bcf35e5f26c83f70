"""Engines for the tests: one OpenSearch and one Elasticsearch for the whole run, and every URL that is given.

``HYBRID_SEARCH_TEST_OPENSEARCH`` and ``HYBRID_SEARCH_TEST_ELASTICSEARCH`` name servers to use instead of starting one;
``HYBRID_SEARCH_TEST_URLS`` lists more, separated by spaces, that the contract suite runs on as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from elasticsearch_node import CannotRunError, elasticsearch_node
from sharing import folder_of_the_run, shared

from hybrid_search.engine import Connection, connect
from hybrid_search.engine.local import ephemeral
from hybrid_search.engine.protocols import Request
from hybrid_search.settings import EngineSettings

OPENSEARCH, ELASTICSEARCH = "opensearch", "elasticsearch"
GIVEN = os.environ.get("HYBRID_SEARCH_TEST_URLS", "").split()
ENGINES = [OPENSEARCH, ELASTICSEARCH, *(f"url-{number}" for number in range(len(GIVEN)))]

# Workers share the cores: threads of PyTorch that outnumber them spend their time waiting for each other.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

# Read when Haystack is imported: no test tells its makers anything.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

# Speed is no property under test: on a busy machine, hypothesis' limit of 200 ms for one example fails by chance.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def opensearch_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real OpenSearch: the one of the environment, or a node of this run, which its workers share."""
    if given := os.environ.get("HYBRID_SEARCH_TEST_OPENSEARCH"):
        yield given
        return
    with shared(folder_of_the_run(tmp_path_factory), OPENSEARCH, opensearch_node) as url:
        yield url


@contextmanager
def opensearch_node() -> Iterator[str]:
    """The URL of a node that ends with the block."""
    with ephemeral(heap="1g") as node:
        yield node.url


@pytest.fixture(scope="session")
def elasticsearch_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Elasticsearch: the one of the environment, or the node that Maven builds, which the workers share."""
    if given := os.environ.get("HYBRID_SEARCH_TEST_ELASTICSEARCH"):
        yield given
        return
    try:
        with shared(folder_of_the_run(tmp_path_factory), ELASTICSEARCH, elasticsearch_node) as url:
            yield url
    except CannotRunError as error:
        pytest.skip(f"no Elasticsearch: {error}")


@pytest.fixture(scope="session", params=ENGINES)
def engine_url(request: pytest.FixtureRequest) -> str:
    """The URL of each engine in turn: a test that uses it runs on all of them."""
    if request.param in {OPENSEARCH, ELASTICSEARCH}:
        return str(request.getfixturevalue(f"{request.param}_url"))
    return GIVEN[int(request.param.removeprefix("url-"))]


@pytest.fixture(scope="session")
def connection(engine_url: str) -> Iterator[Connection]:
    """A connection to each engine in turn."""
    with connect(EngineSettings(url=engine_url)) as opened:
        yield opened


@pytest.fixture(scope="session")
def opensearch(opensearch_url: str) -> Iterator[Connection]:
    """A connection to OpenSearch."""
    with connect(EngineSettings(url=opensearch_url)) as opened:
        yield opened


@pytest.fixture(scope="session")
def elasticsearch(elasticsearch_url: str) -> Iterator[Connection]:
    """A connection to Elasticsearch."""
    with connect(EngineSettings(url=elasticsearch_url)) as opened:
        yield opened


@pytest.fixture
def new_names(request: pytest.FixtureRequest) -> Iterator[Callable[[Connection], str]]:
    """Names that no other test has, for indices and aliases; what was made under them is deleted afterwards."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.lower())[:60]
    given: list[tuple[Connection, str]] = []

    def new_name(connection: Connection) -> str:
        name = f"{test}-{uuid4().hex[:8]}"
        given.append((connection, name))
        return name

    yield new_name
    for connection, name in given:
        connection.transport.send(Request.json("DELETE", f"/{name}", ignore_unavailable="true"))


@pytest.fixture
def index_name(connection: Connection, new_names: Callable[[Connection], str]) -> Callable[[], str]:
    """Unique names on the engine of ``connection``."""
    return lambda: new_names(connection)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of collections beside the checkout; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HYBRID_SEARCH_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no collections: put them beside the checkout, or set HYBRID_SEARCH_TEST_DATA")
    return folder
