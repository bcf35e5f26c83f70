"""The options of ``evaluate`` that say which systems are measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

JUDGED = "Judged queries"
PANEL = "What is measured"

IgnoreIdentical = Annotated[
    bool | None,
    typer.Option(
        "--ignore-identical/--keep-identical",
        help="Leave out the document with the query's own id (default: for a BEIR folder).",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True)
class JudgedBy:
    """Queries and what is relevant to them."""

    queries: Annotated[Path, typer.Option(help="JSON lines, TSV, or a BEIR folder.", rich_help_panel=JUDGED)]
    qrels: Annotated[Path, typer.Option(help="Judgements: TSV, TREC, or a BEIR folder.", rich_help_panel=JUDGED)]
    split: Annotated[str, typer.Option(help="Which judgements of a BEIR folder.", rich_help_panel=JUDGED)] = "test"


@dataclass(frozen=True)
class MeasuredOptions:
    """Legs, fusions and reranking; weights, rank constant and reranker go into the settings."""

    legs: Annotated[str | None, typer.Option(help="The legs to measure: bm25,dense,sparse.", rich_help_panel=PANEL)] = (
        None
    )
    fusions: Annotated[
        str | None, typer.Option(help="The fusions to measure: rrf,min-max (default: all).", rich_help_panel=PANEL)
    ] = None
    weights: Annotated[
        str | None, typer.Option(help="A weight for each leg: bm25=.3,dense=.3,sparse=.4.", rich_help_panel=PANEL)
    ] = None
    rank_constant: Annotated[int | None, typer.Option(help="Rank constant of rrf.", rich_help_panel=PANEL)] = None
    window: Annotated[int | None, typer.Option(help="Documents that each leg ranks.", rich_help_panel=PANEL)] = None
    rerank: Annotated[
        str | None, typer.Option(help="Also rerank all: late, or the name of a cross-encoder.", rich_help_panel=PANEL)
    ] = None
    exact_dense: Annotated[
        bool, typer.Option("--exact-dense", help="Say what the graph search costs.", rich_help_panel=PANEL)
    ] = False
    ignore_identical: IgnoreIdentical = None
