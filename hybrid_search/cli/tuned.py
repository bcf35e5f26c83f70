"""The options of ``tune`` that say what is chosen, and by which measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid_search.cli.checks import named_legs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_search.engine import Connection
    from hybrid_search.evaluate.retrieval import OnProgress
    from hybrid_search.evaluate.tuning import Collected, Tuned
    from hybrid_search.read import Qrels
    from hybrid_search.records import Query
    from hybrid_search.search import SearchClient

PANEL = "What is tuned"


@dataclass(frozen=True)
class TunedOptions:
    """The measure, the legs, the reranker and the folds."""

    objective: Annotated[
        str, typer.Option(help="nDCG@10, RR@10, R@100, P@5 or Success@1, any cutoff.", rich_help_panel=PANEL)
    ] = "nDCG@10"
    legs: Annotated[str | None, typer.Option(help="The legs to weigh: bm25,dense,sparse.", rich_help_panel=PANEL)] = (
        None
    )
    rerank: Annotated[
        str | None,
        typer.Option(help="Also tune reranking by late, or by a cross-encoder's name.", rich_help_panel=PANEL),
    ] = None
    rules: Annotated[
        bool,
        typer.Option(
            "--rules/--no-rules",
            help="Try weights of their own for some queries, as those of few words.",
            rich_help_panel=PANEL,
        ),
    ] = True
    folds: Annotated[int, typer.Option(min=2, help="Parts that the queries are split into.", rich_help_panel=PANEL)] = 5

    def tune(
        self,
        client: SearchClient,
        connection: Connection,
        queries: Sequence[Query],
        qrels: Qrels,
        *,
        ignore_identical: bool,
        progress: OnProgress,
    ) -> tuple[Tuned, Collected]:
        """What tuning found, over runs that are kept in the user's cache folder."""
        from platformdirs import user_cache_path

        from hybrid_search.evaluate.tuning import RunCache, run_tuning

        return run_tuning(
            client,
            queries,
            qrels,
            legs=named_legs(self.legs),
            objective=self.objective,
            folds=self.folds,
            rules=self.rules,
            ignore_identical=ignore_identical,
            cache=RunCache(user_cache_path("hybrid-search") / "evaluate", connection),
            progress=progress,
        )
