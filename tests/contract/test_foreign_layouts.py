"""An index that the store of another project made is refused by that project's name, with what to do next."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder, documents

from hybrid_search.engine.foreign_layouts import layout_of
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import IndexMismatchError
from hybrid_search.ingest import index_documents
from hybrid_search.search import AsyncSearchClient, SearchClient
from hybrid_search.settings import EngineSettings, Settings

TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
VECTORS = {
    "opensearch": {"type": "knn_vector", "dimension": 6, "method": {"name": "hnsw", "engine": "lucene"}},
    "elasticsearch": {"type": "dense_vector", "dims": 6, "index": True, "similarity": "cosine"},
}
NAMES = {"opensearch": "vector_field", "elasticsearch": "vector"}


def mapped(project: str, engine: str) -> dict:
    """The mappings that langchain-community 0.4.2, opensearch-haystack 9.0.0 and llama-index's 1.3.0 make."""
    vectors = VECTORS[engine]
    if project == "LangChain":
        return {"properties": {"text": TEXT, NAMES[engine]: vectors, "metadata": {"properties": {"a": TEXT}}}}
    if project == "LlamaIndex":
        inner = {"_node_content": TEXT, "doc_id": TEXT, "ref_doc_id": TEXT, "n": {"type": "long"}}
        return {"properties": {"content": TEXT, "embedding": vectors, "metadata": {"properties": inner}}}
    strings = {"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}
    return {"dynamic_templates": [strings], "properties": {"content": {"type": "text"}, "embedding": vectors}}


@pytest.fixture(params=["LangChain", "LlamaIndex", "Haystack"])
def theirs(request, connection, index_name) -> tuple[str, str]:
    """An index in the layout of each project, and the project."""
    name = index_name()
    body = {"mappings": mapped(request.param, connection.dialect.engine)}
    if connection.dialect.engine == "opensearch":
        body["settings"] = {"index.knn": True}
    connection.send(Request.json("PUT", f"/{name}", body))
    return name, request.param


def test_a_search_names_the_layout_and_the_next_step(connection, theirs) -> None:
    """Who searches an index of another project's store reads whose it is, and how its documents come over."""
    name, project = theirs
    scheme = {"opensearch": "os", "elasticsearch": "es"}[connection.dialect.engine]
    with pytest.raises(IndexMismatchError) as caught:
        SearchClient(name, settings=Settings(), connection=connection)
    assert f"was not made by hybrid-search: it has the layout of {project} (text in " in str(caught.value)
    assert str(caught.value).endswith(f"hybrid-search index {scheme}:{name} NEW")


async def test_an_asynchronous_search_says_the_same(engine_url, theirs) -> None:
    """Both clients read one mapping in one place."""
    name, project = theirs
    with pytest.raises(IndexMismatchError, match=rf"it has the layout of {project}"):
        async with AsyncSearchClient(name, settings=Settings(engine=EngineSettings(url=engine_url))):
            pass


def test_a_load_names_it_before_anything_is_written(connection, theirs) -> None:
    """The documents of the other store are as they were: there are none, and no field was added."""
    name, project = theirs
    before = connection.send(Request.json("GET", f"/{name}/_mapping"))
    with pytest.raises(IndexMismatchError, match=rf"it has the layout of {project}"):
        index_documents(documents(2), name, connection, GeneratedEncoder(), Settings())
    assert connection.send(Request.json("GET", f"/{name}/_mapping")) == before
    connection.send(Request.json("POST", f"/{name}/_refresh"))
    assert connection.send(Request.json("GET", f"/{name}/_count"))["count"] == 0


@pytest.mark.parametrize(
    "mappings",
    [
        {},
        {"properties": {"text": TEXT}},
        {"properties": {"vector": VECTORS["elasticsearch"]}},
        {"properties": {"content": TEXT, "embedding": VECTORS["opensearch"]}},
        {"properties": {"content": {"type": "keyword"}, "embedding": VECTORS["opensearch"]}},
    ],
)
def test_an_index_of_nobody_known_is_given_no_name(mappings) -> None:
    """A text and a vector that anybody could have called so are no project's layout."""
    assert layout_of(mappings) is None
