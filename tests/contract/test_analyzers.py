"""Analyzers by name on every engine: those of the distribution, those of plugins, and names that none has."""

from __future__ import annotations

import pytest
from loading import GeneratedEncoder, documents
from msgspec.structs import replace

from hybrid_search.engine import indices
from hybrid_search.engine.analyzers import BUILT_IN, check_analyzers, has_analyzer
from hybrid_search.engine.protocols import Request
from hybrid_search.errors import SettingsError, UnsupportedError
from hybrid_search.ingest import index_documents
from hybrid_search.languages import ANALYZERS
from hybrid_search.records import IndexSchema
from hybrid_search.settings import DocumentSettings, EngineSettings, Settings

NOT_IN_THE_TEST_NODE = {"fingerprint", "pattern"}


def built(connection):
    """Skip where the node has not even German."""
    if not has_analyzer(connection, "german"):
        pytest.skip("this node was built with the English analyzer alone")
    return connection


def with_analyzer(name):
    return Settings(documents=DocumentSettings(text=("text",)), engine=EngineSettings(analyzer=name))


@pytest.mark.parametrize("name", sorted(BUILT_IN - NOT_IN_THE_TEST_NODE))
def test_every_analyzer_that_is_listed_is_there(connection, name) -> None:
    """The check passes them, whatever the version."""
    check_analyzers(built(connection), {"engine.analyzer": name})


def test_one_of_every_language_makes_an_index(connection, index_name) -> None:
    """What the table of languages names can be the analyzer of a field."""
    built(connection)
    properties = {code: {"type": "text", "analyzer": analyzer} for code, analyzer in ANALYZERS.items()}
    body = {"mappings": {"properties": properties}}
    assert connection.send(Request.json("PUT", f"/{index_name()}", body))["acknowledged"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("germn", "Did you mean 'german'?"),
        ("German", "Take 'german'"),
        ("de", "Take 'german'"),
        ("deutsch", "Take 'german'"),
        ("japanese", "Take 'cjk'"),
        ("kuromoji", "Install the plugin analysis-kuromoji on every node, or take 'cjk'"),
        ("nori", "Install the plugin analysis-nori on every node, or take 'cjk'"),
        ("polish", "Install the plugin analysis-stempel on every node, or take 'standard', which knows no language"),
        ("klingon", None),
        ("", None),
    ],
)
def test_a_name_that_no_node_has_is_refused_before_anything_is_made(connection, index_name, name, remedy) -> None:
    """With the nearest that the node has, or the plugin that brings it; there is no index afterwards."""
    index = index_name()
    with pytest.raises(SettingsError) as caught:
        index_documents(documents(2), index, built(connection), GeneratedEncoder(), with_analyzer(name))
    version = ".".join(map(str, connection.dialect.version))
    assert caught.value.what == f"{connection.dialect.engine} {version} has no analyzer {name!r}"
    assert caught.value.where == "engine.analyzer"
    listed = f"There are: {', '.join(sorted(BUILT_IN))}"
    assert caught.value.remedy == (remedy or listed)
    assert not indices.exists(connection, index)


def test_an_index_that_is_there_is_not_asked_again(connection, index_name) -> None:
    """Its analyzer is another matter: one that the settings name and the index has not is a difference."""
    index = index_name()
    index_documents(documents(2), index, connection, GeneratedEncoder(), with_analyzer("english"))
    report = index_documents(documents(2), index, connection, GeneratedEncoder(), with_analyzer("english"))
    assert report.unchanged == 2
    with pytest.raises(indices.IndexMismatchError, match="analyzer: english / germn"):
        index_documents(documents(2), index, connection, GeneratedEncoder(), with_analyzer("germn"))


def test_settings_keep_what_they_are_given() -> None:
    """A name is judged by the node alone: plugins bring names that nobody can list."""
    assert replace(EngineSettings(), analyzer="ik_smart").analyzer == "ik_smart"


def test_a_cluster_that_may_not_be_asked_says_it_itself(connection, index_name) -> None:
    """Where a user has no right to ask, the engine refuses to make the index, and that is no unknown error."""
    with pytest.raises(UnsupportedError) as caught:
        indices.create_index(connection, index_name(), IndexSchema(None, None, analyzer="germn"))
    assert "analyzer [germn] has not been configured" in caught.value.what
    assert caught.value.remedy == "This server's version, licence or set of plugins lacks it"
