"""The demo: a real engine, the documentation of this Python's standard library, five questions, explained answers.

It composes what a user composes: a node, a source of documents, an encoder, an index, a search client.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING

from hybrid_search.cli.progress import progress_bar
from hybrid_search.encode import load_encoder, load_reranker
from hybrid_search.engine import Connection, connect
from hybrid_search.engine.indices import delete_index, read_meta
from hybrid_search.errors import IndexMismatchError
from hybrid_search.ingest import IngestReport, index_documents
from hybrid_search.read import stdlib
from hybrid_search.records import Document, SearchResult
from hybrid_search.search import SearchClient
from hybrid_search.settings import DocumentSettings, EngineSettings, RerankSettings, Settings, SparseSettings

if TYPE_CHECKING:
    from hybrid_search.encode.protocols import TextEncoder
    from hybrid_search.printed.console import Console

INDEX = "python-docs"
QUESTIONS = (
    "how do I parse a date from a string",
    "run a command and capture its output",
    "keep only the last few items that were added",
    "remember the results of an expensive function",
    "which words are close to a misspelled one",
)
HITS = 3
SETTINGS = Settings(
    documents=DocumentSettings(keyword=("module", "kind")),
    sparse=SparseSettings(model="starter"),
    rerank=RerankSettings(model="late"),
)


def run(console: Console, url: str | None, questions: Sequence[str] = QUESTIONS) -> None:
    """Index the documentation where it is not indexed yet, ask, print.

    Args:
        console: where answers are printed; progress goes to stderr.
        url: a cluster; None brings up the local node.
        questions: what to ask.

    Raises:
        HybridSearchError: what a node, a model, a load or a search can raise.
    """
    _print_models(console)
    with ExitStack() as stack:
        connection = stack.enter_context(connect(EngineSettings(url=url or _local_url(console))))
        encoder = load_encoder(SETTINGS)
        _print_load(console, _load(connection, encoder))
        reranker = load_reranker(SETTINGS, encoder)
        client = stack.enter_context(
            SearchClient(INDEX, settings=SETTINGS, connection=connection, encoder=encoder, reranker=reranker)
        )
        for result in (client.search(question, HITS) for question in questions):
            _print_result(console, result)
    _print_next(console, local=url is None)


def _local_url(console: Console) -> str:
    from hybrid_search.engine import local

    node = local.up()
    _say(console, f"OpenSearch {node.version} answers at ", (node.url, "bold"), f" (log: {node.log})")
    return node.url


def _load(connection: Connection, encoder: TextEncoder) -> IngestReport:
    """Load what the index lacks; an index of the demo that other models or settings made is made anew."""
    documents = list(stdlib.documents())
    try:
        return _index(documents, connection, encoder)
    except IndexMismatchError:
        if not read_meta(connection, INDEX):
            raise  # somebody else's index of that name is not the demo's to delete
        delete_index(connection, INDEX)
        return _index(documents, connection, encoder)


def _index(documents: Sequence[Document], connection: Connection, encoder: TextEncoder) -> IngestReport:
    with progress_bar(INDEX, len(documents)) as progress:
        return index_documents(documents, INDEX, connection, encoder, SETTINGS, progress=progress)


def _print_models(console: Console) -> None:
    console.rule(f"hybrid-search {version('hybrid-search')}")
    dense, sparse, reranker = SETTINGS.dense.model, SETTINGS.sparse.model, SETTINGS.rerank.model
    _say(console, "Dense leg: ", (dense, "cyan"), "; sparse leg: ", (sparse, "magenta"), ", a small head on the same")
    _say(console, "forward pass; reranker: ", (reranker, "bold"), " interaction of the same model's tokens.")
    console.print("All of them work without a model hub; stronger models are named in docs/models.md.")


def _print_load(console: Console, report: IngestReport) -> None:
    source = f"documents about Python {platform.python_version()}'s standard library"
    if report.indexed == 0:
        _say(console, f"{report.documents:,} {source} are in the index ", (INDEX, "bold"), " already")
        return
    speed = f"({report.documents_per_second:.0f} documents/s)"
    took = f"indexed in {report.wall:.0f} s as {report.passages:,} passages {speed} into "
    _say(console, f"{report.indexed:,} {source} {took}", (INDEX, "bold"))


def _say(console: Console, *parts: str | tuple[str, str]) -> None:
    """A line of texts, some with a style."""
    from rich.text import Text

    console.print(Text.assemble(*parts))


def _print_result(console: Console, result: SearchResult) -> None:
    from hybrid_search.search.table import result_view

    console.print()
    console.print(result_view(result, width=console.width))


def _print_next(console: Console, *, local: bool) -> None:
    from rich.panel import Panel
    from rich.text import Text

    commands = [
        f'hybrid-search search {INDEX} "read a file line by line"',
        f'hybrid-search search {INDEX} "sort a list by two keys" --explain --filter kind=function',
        "hybrid-search init documents.jsonl -o search.toml     # your own documents: look at them, write settings",
        "hybrid-search index documents.jsonl my-index --settings search.toml",
    ]
    if local:
        commands.append("hybrid-search down                                    # stop the node; its data stays")
    console.print(Panel(Text("\n".join(commands)), title="Next", title_align="left", border_style="green"))
