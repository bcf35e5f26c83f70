"""What an OpenSearch home is made of: the facts about version 3.6.0 that no artifact says about itself.

3.6.0 is the newest version whose k-NN and neural-search plugins are both published as Maven artifacts. The security
plugin is not, so a local node has no TLS and no login and listens on the loopback interface only.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "3.6.0"
PLUGIN_VERSION = "3.6.0.0"
JAVA_VERSION = 21
"""The oldest Java that this version of OpenSearch runs on."""

SERVER_GROUP = "org.opensearch"
PLUGIN_GROUP = "org.opensearch.plugin"

SERVER_EXTRAS = ("opensearch-agent-bootstrap", "opensearch-plugin-classloader")
"""Needed in ``lib/`` beside the server's own dependencies, and missing from its POM."""

AGENT = "opensearch-agent"
"""The Java agent that replaced the security manager; it finds its libraries beside itself, in ``agent/``."""


COMPILER_GROUP = "org.eclipse.jdt"
COMPILER = "ecj"
COMPILER_VERSION = "3.46.0"
"""Compiles this package's own plugin where the node runs: a Java runtime is enough, it need not be a JDK."""


def descriptor(name: str, classname: str, *, extends: str = "") -> str:
    """The text of ``plugin-descriptor.properties``, which a distribution ships and a jar does not."""
    lines = {
        "description": f"OpenSearch module {name}",
        "version": VERSION,
        "name": name,
        "classname": classname,
        "java.version": JAVA_VERSION,
        "opensearch.version": VERSION,
        "extended.plugins": extends,
        "has.native.controller": "false",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


@dataclass(frozen=True, slots=True)
class Module:
    """A part of the server in a folder and class loader of its own: ``modules/<name>``."""

    name: str
    artifact: str
    classname: str

    @property
    def descriptor(self) -> str:
        """The text of its ``plugin-descriptor.properties``."""
        return descriptor(self.name, self.classname)


MODULES = (
    Module("transport-netty4", "transport-netty4-client", "org.opensearch.transport.Netty4ModulePlugin"),
    Module("mapper-extras", "mapper-extras-client", "org.opensearch.index.mapper.MapperExtrasModulePlugin"),
    Module("analysis-common", "analysis-common", "org.opensearch.analysis.common.CommonAnalysisModulePlugin"),
    Module("reindex", "reindex-client", "org.opensearch.index.reindex.ReindexModulePlugin"),
    Module("lang-painless", "lang-painless", "org.opensearch.painless.PainlessModulePlugin"),
    Module("parent-join", "parent-join-client", "org.opensearch.join.ParentJoinModulePlugin"),
    Module(
        "aggs-matrix-stats",
        "aggs-matrix-stats-client",
        "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin",
    ),
    Module("transport-grpc", "transport-grpc", "org.opensearch.transport.grpc.GrpcPlugin"),
    Module("ingest-common", "ingest-common", "org.opensearch.ingest.common.IngestCommonModulePlugin"),
    Module(
        "search-pipeline-common",
        "search-pipeline-common",
        "org.opensearch.search.pipeline.common.SearchPipelineCommonModulePlugin",
    ),
)

PLUGINS = {"opensearch-knn": "opensearch-knn", "opensearch-neural-search": "neural-search"}
"""Folder under ``plugins/`` (the name in the plugin's descriptor) -> artifact, a zip that is unpacked there."""

GUARD = "hybrid-search-guard"
GUARD_CLASS = "hybridsearch.guard.NodeGuard"
"""This package's own plugin: what it refuses is said in ``plugin/*.java``."""

POLICIES = {
    "modules/transport-netty4/plugin-security.policy": (
        'grant {\n  permission java.net.SocketPermission "*", "accept,connect,resolve";\n};\n'
    )
}
"""What the agent would otherwise deny: without it the nodes of a cluster silently never find each other."""

UNUSED_CLASSIFIERS = ("linux-", "osx-", "windows-")
"""Native QUIC libraries of each platform: HTTP/3 is off unless asked for, and they are a tenth of the download."""
