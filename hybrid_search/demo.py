"""The demo: a real engine, the documentation of this Python's standard library, five questions, explained answers.

It composes what a user composes: a node, a source of documents, an encoder, an index, a search client.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
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
HOPED = {
    "how do I parse a date from a string": "datetime.datetime.strptime",
    "run a command and capture its output": "subprocess.check_output",
    "keep only the last few items that were added": "collections.deque",
    "remember the results of an expensive function": "functools.cache",
    "which words are close to a misspelled one": "difflib.get_close_matches",
}
"""What one who knows Python would answer; the demo says where it stands when it is not among what is shown."""

QUESTIONS = tuple(HOPED)
PICTURED = (QUESTIONS[0], QUESTIONS[4])
HITS = 3
REACH = 100
"""How far down the hoped-for answer is looked for: the window of a leg."""
SETTINGS = Settings(
    documents=DocumentSettings(keyword=("module", "kind")),
    sparse=SparseSettings(model="starter"),
    rerank=RerankSettings(model="late"),
)


def run(console: Console, url: str | None, questions: Sequence[str] = QUESTIONS) -> None:
    """Index the documentation where it is not indexed yet, ask, print; a miss is named.

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
        for question in questions:
            _print_result(console, client.search(question, REACH))
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
    console.print("What is searched are docstrings, and nothing else that is written about Python.")
    console.print("Most of the time under a table is reranking on the CPU; a search without it takes some 30 ms.")
    _say(console, "Colours of the columns, and of what each gave in the bar: ", *_caption())


def _print_load(console: Console, report: IngestReport) -> None:
    source = f"documents about Python {platform.python_version()}'s standard library"
    if report.indexed == 0:
        _say(console, f"{report.documents:,} {source} are in the index ", (INDEX, "bold"), " already")
        return
    speed = f"({report.documents_per_second:.0f} documents/s)"
    took = f"indexed in {report.wall:.0f} s as {report.passages:,} passages {speed} into "
    _say(console, f"{report.indexed:,} {source} {took}", (INDEX, "bold"))


def _caption() -> list[str | tuple[str, str]]:
    from hybrid_search.search.table import COLOURS

    legs = [part for leg, colour in COLOURS.items() for part in ((f"━ {leg}", colour), ", ")]
    return [*legs, ("words of the question", "bold green")]


def _say(console: Console, *parts: str | tuple[str, str]) -> None:
    """A line of texts, some with a style."""
    from rich.text import Text

    console.print(Text.assemble(*parts))


def _print_result(console: Console, result: SearchResult) -> None:
    from rich.text import Text

    from hybrid_search.search.table import result_view

    console.print()
    console.print(result_view(replace(result, hits=result.hits[:HITS]), width=console.width))
    if note := miss(result):
        console.print(Text(f"  {note}", style="yellow"))


def miss(result: SearchResult) -> str | None:
    """What is said where the answer that one would hope for is not shown; None where it is, or none is known."""
    hoped = HOPED.get(result.query.text)
    if hoped is None or hoped in {hit.id for hit in result.hits[:HITS]}:
        return None
    rank = next((hit.rank for hit in result if hit.id == hoped), None)
    where = f"at rank {rank}" if rank else f"not among the first {REACH}"
    says = next((f'; the nearest it says is "{_first_words(hit.text)}"' for hit in result if hit.id == hoped), "")
    return f"a miss: {hoped}, which one would hope for, is {where}{says}"


def _first_words(text: str) -> str:
    """The first sentence, without a line break."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


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
